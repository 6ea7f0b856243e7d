//! The certificates as Slurm's TLS library takes them.

use anyhow::{Context, Result, anyhow, ensure};
use interop::handshake::{No, Side, VERSIONS, handshake};
use pki::loads_in_s2n;

use crate::lab::Lab;
use crate::probe::Pair;

/// Slurm maps the CA file and hands it to s2n as a C string: what fills its last page has no end.
const PAGE: usize = 4096;

/// The file of trusted certificates.
pub(crate) fn trust(lab: &Lab) -> Result<String> {
    lab.text("/etc/slurm/ca_cert.pem")
}

/// slurmctld's own pair, as `slurm-pki init` installed it.
pub(crate) fn slurmctld(lab: &Lab) -> Result<(String, String)> {
    Ok((lab.text("/etc/slurm/ctld_cert.pem")?, lab.text("/etc/slurm/ctld_cert_key.pem")?))
}

/// slurmctld and the node shake hands, each as server and as client, under every version of TLS.
pub(crate) fn both_directions(lab: &Lab, node: &Pair, trust: &str) -> Result<()> {
    let (cert, key) = slurmctld(lab)?;
    let bundle = as_slurm_reads_it(trust)?;
    let slurmctld = Side { pair: Some((cert.as_bytes(), key.as_bytes())), trust: bundle };
    let node = Side { pair: Some((node.cert.as_bytes(), node.key.as_bytes())), trust: bundle };
    let without_certificate = Side { pair: None, trust: bundle };
    for tls in VERSIONS {
        for (what, server, client) in [
            ("a node renews", slurmctld, node),
            ("slurmctld calls a node", node, slurmctld),
            ("a node's first request", slurmctld, without_certificate),
        ] {
            handshake(server, client, tls).map_err(|no| anyhow!("{what}, {tls:?}: {no:?}"))?;
        }
    }
    Ok(())
}

/// Whether s2n loads a bundle, and whether our own reading of its rules says the same.
pub(crate) fn expect_unloadable(lab: &Lab, bundle: &str) -> Result<()> {
    let (cert, key) = slurmctld(lab)?;
    let side = Side { pair: Some((cert.as_bytes(), key.as_bytes())), trust: bundle.as_bytes() };
    let no = handshake(side, side, interop::handshake::Tls::V13).err().context("s2n loads it")?;
    ensure!(matches!(no, No::Load(_)), "{no:?}");
    ensure!(loads_in_s2n::trust_bundle(bundle.as_bytes()).is_err(), "our own check lets it pass");
    Ok(())
}

/// What s2n is given: an error where there is no end to read to.
fn as_slurm_reads_it(bundle: &str) -> Result<&[u8]> {
    ensure!(!bundle.len().is_multiple_of(PAGE), "the bundle fills whole pages: {} bytes", bundle.len());
    Ok(bundle.as_bytes())
}
