//! keygen and certgen, as every user command runs them.

use anyhow::{Result, ensure};
use interop::handshake::{Side, VERSIONS, handshake};

use super::Case;
use crate::cluster::Cluster;
use crate::probe::Probe;

pub(super) const CASES: &[Case] =
    &[("keygen and certgen through certgen_script.so, as an ordinary user", as_an_ordinary_user)];

/// The peer of a client command trusts its certificate and nothing else.
fn as_an_ordinary_user(cluster: &mut Cluster<'_>) -> Result<()> {
    let outcome = Probe::client(cluster.lab).run(&["client"])?;
    let pair = outcome.pair()?;
    let (cert, key) = (pair.cert.as_bytes(), pair.key.as_bytes());
    let command = Side { pair: Some((cert, key)), trust: cert };
    let daemon = Side { pair: None, trust: cert };
    for tls in VERSIONS {
        handshake(command, daemon, tls).map_err(|no| anyhow::anyhow!("{tls:?}: {no:?}"))?;
    }
    let again = Probe::client(cluster.lab).run(&["client"])?.pair()?;
    ensure!(again.key != pair.key, "the same key twice");
    Ok(())
}
