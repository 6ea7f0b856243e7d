//! The certificates after the first.

use anyhow::{Result, ensure};

use super::Case;
use super::enrolment::{ASKED, ON_THE_NODE, enrols, recorded, signed};
use super::refusals::not_signed;
use crate::cluster::Cluster;
use crate::conf::Conf;
use crate::log::expect;
use crate::probe::Probe;
use crate::requests::Stray;
use crate::site;

pub(super) const CASES: &[Case] = &[
    ("a renewal over mTLS, without token and without validation", renewal),
    ("a renewal that asks for another node's name is refused", name_of_another),
    ("a renewal of a removed node is refused", removed),
];

/// The plugin's line in place of a validation.
pub(super) const OVER_MTLS: &str = "connected via mTLS, skipping validation";

/// Whoever sends no token counts as one with a certificate.
pub(super) fn conf() -> Conf {
    Conf { mtls_flag: true, ..Conf::default() }
}

fn renewal(cluster: &mut Cluster<'_>) -> Result<()> {
    let first = enrols(cluster, "n8")?;
    let (log, before) = (cluster.log_from_now()?, cluster.lab.ledger("n8")?.len());
    let outcome = Probe::slurmd(cluster.lab).run(&["renew", "n8"])?;
    let pair = outcome.pair()?;
    pair.expect_name("n8")?;
    ensure!(pair.key != first.key, "the key is still the old one");
    let [token, request, key] = ON_THE_NODE.map(|(line, _)| line);
    expect(&outcome.log, &[(token, 0), (request, 1), (key, 1)])?;
    expect(&log.text(), &[(&signed("n8"), 1), (ASKED, 0), (OVER_MTLS, 1)])?;
    recorded(cluster, "n8", &pair, before + 1)
}

/// With any node's certificate slurmctld lets it pass: only the binding stops it.
fn name_of_another(cluster: &mut Cluster<'_>) -> Result<()> {
    Stray { token: "unused", name: "n8", secret: &site::secret(cluster.lab, "n1")? }.lay_out(cluster.lab)?;
    refused(cluster, "n8")
}

fn removed(cluster: &mut Cluster<'_>) -> Result<()> {
    cluster.slurm_pki(&["node", "remove", "n8", "--yes"])?;
    Stray { token: "unused", name: "n8", secret: &site::secret(cluster.lab, "n8")? }.lay_out(cluster.lab)?;
    refused(cluster, "n8")
}

fn refused(cluster: &Cluster<'_>, node: &str) -> Result<()> {
    let (log, before) = (cluster.log_from_now()?, cluster.lab.ledger(node)?.len());
    Probe::stray(cluster.lab).run(&["renew", node])?.expect_refused()?;
    expect(&log.text(), &[(&not_signed(node), 1), ("sign_csr: error:", 1), (&signed(node), 0), (ASKED, 0)])?;
    ensure!(cluster.lab.ledger(node)?.len() == before, "something was issued");
    Ok(())
}
