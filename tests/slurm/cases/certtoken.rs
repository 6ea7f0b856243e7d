//! CertToken: slurmctld compares with its own record and asks nobody.

use anyhow::{Result, ensure};

use super::Case;
use super::enrolment::{ASKED, signed};
use crate::cluster::Cluster;
use crate::log::expect;
use crate::probe::Probe;
use crate::site;

pub(super) const CASES: &[Case] = &[
    ("CertToken set by scontrol stands in for the validation", by_scontrol),
    ("CertToken set by slurm-pki node token --set-certtoken", by_slurm_pki),
    ("a token unlike CertToken is refused, whatever our store says", another_token),
];

/// The plugin's line about a token that is the CertToken.
pub(super) fn matches(node: &str) -> String {
    format!("Token received from node '{node}' matches what was set in node record table")
}

fn by_scontrol(cluster: &mut Cluster<'_>) -> Result<()> {
    let token = site::token(cluster.lab, "n3")?;
    cluster.scontrol_reads(&format!("update nodename=n3 certtoken={token}"))?;
    enrols_by_certtoken(cluster, "n3")
}

fn by_slurm_pki(cluster: &mut Cluster<'_>) -> Result<()> {
    let old = site::token(cluster.lab, "n4")?;
    cluster.slurm_pki(&["node", "token", "n4", "--set-certtoken"])?;
    site::hand_out(cluster, "n4", &["--force"])?;
    ensure!(site::token(cluster.lab, "n4")? != old, "the token is still the old one");
    enrols_by_certtoken(cluster, "n4")
}

fn enrols_by_certtoken(cluster: &Cluster<'_>, node: &str) -> Result<()> {
    let shown = cluster.node(node)?;
    ensure!(shown.contains("TLSCertTokenSet=Yes"), "scontrol does not show it: {shown}");
    let log = cluster.log_from_now()?;
    Probe::slurmd(cluster.lab).run(&["enrol", node])?.pair()?.expect_name(node)?;
    expect(&log.text(), &[(&matches(node), 1), (&signed(node), 1), (ASKED, 0)])
}

fn another_token(cluster: &mut Cluster<'_>) -> Result<()> {
    cluster.scontrol_reads("update nodename=n5 certtoken=quite-another-token")?;
    cluster.lab.keep_secret("quite-another-token");
    let (log, before) = (cluster.log_from_now()?, cluster.lab.ledger("n5")?.len());
    Probe::slurmd(cluster.lab).run(&["enrol", "n5"])?.expect_refused()?;
    let line = "Token does not match what was set in node record table for node 'n5'";
    expect(&log.text(), &[(line, 1), (&signed("n5"), 0)])?;
    ensure!(cluster.lab.ledger("n5")?.len() == before, "something was issued");
    Ok(())
}
