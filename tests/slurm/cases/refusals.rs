//! What slurmctld and our two programs in it refuse.

use anyhow::{Result, ensure};

use super::Case;
use super::enrolment::{signed, validated};
use crate::cluster::Cluster;
use crate::log::expect;
use crate::probe::Probe;
use crate::requests::Stray;
use crate::site;

pub(super) const CASES: &[Case] = &[
    ("a wrong token is refused", wrong_token),
    ("no token is refused", no_token),
    ("a request for another node's name is refused", name_of_another),
    ("a name that is no node is refused", stranger),
    ("a removed node is refused", removed),
];

/// The plugin's line about a token that our program refused.
pub(super) fn not_validated(node: &str) -> String {
    format!("Unable to validate node certificate signing request for node '{node}'")
}

/// The plugin's line about a request that our program refused.
pub(super) fn not_signed(node: &str) -> String {
    format!("Unable to sign node certificate signing request for node '{node}'")
}

/// `lines` stand in slurmctld's log, and nothing was issued to either name.
fn refused(cluster: &Cluster<'_>, names: [&str; 2], probe: &[&str], lines: &[(&str, usize)]) -> Result<()> {
    let count = || anyhow::Ok(cluster.lab.ledger(names[0])?.len() + cluster.lab.ledger(names[1])?.len());
    let (log, before) = (cluster.log_from_now()?, count()?);
    Probe::stray(cluster.lab).run(probe)?.expect_refused()?;
    expect(&log.text(), lines)?;
    expect(&log.text(), &[(&signed(names[0]), 0), (&signed(names[1]), 0)])?;
    ensure!(count()? == before, "something was issued");
    Ok(())
}

fn wrong_token(cluster: &mut Cluster<'_>) -> Result<()> {
    let token = site::token(cluster.lab, "n2")?;
    Stray { token: &token, name: "n1", secret: &site::secret(cluster.lab, "n1")? }.lay_out(cluster.lab)?;
    let lines = [(not_validated("n1"), 1), ("validate_node_token: hint:".into(), 1), (validated("n1"), 0)];
    refused(cluster, ["n1", "n2"], &["enrol", "n1"], &borrowed(&lines))
}

fn no_token(cluster: &mut Cluster<'_>) -> Result<()> {
    Stray { token: "unused", name: "n1", secret: &site::secret(cluster.lab, "n1")? }.lay_out(cluster.lab)?;
    let lines = [(not_validated("n1"), 1), ("validate_node_token: error:".into(), 1), (validated("n1"), 0)];
    refused(cluster, ["n1", "n2"], &["renew", "n1"], &borrowed(&lines))
}

/// n1 is who it says, and asks for a certificate in n2's name: only the binding stops that.
fn name_of_another(cluster: &mut Cluster<'_>) -> Result<()> {
    let token = site::token(cluster.lab, "n1")?;
    Stray { token: &token, name: "n2", secret: &site::secret(cluster.lab, "n1")? }.lay_out(cluster.lab)?;
    let lines = [(validated("n1"), 1), (not_signed("n1"), 1), ("sign_csr: error:".into(), 1)];
    refused(cluster, ["n1", "n2"], &["enrol", "n1"], &borrowed(&lines))
}

fn stranger(cluster: &mut Cluster<'_>) -> Result<()> {
    let token = site::token(cluster.lab, "n1")?;
    Stray { token: &token, name: "stranger", secret: &site::secret(cluster.lab, "n1")? }
        .lay_out(cluster.lab)?;
    let lines = [(not_validated("stranger"), 1), ("validate_node_token: error:".into(), 1)];
    refused(cluster, ["n1", "stranger"], &["enrol", "stranger"], &borrowed(&lines))
}

fn removed(cluster: &mut Cluster<'_>) -> Result<()> {
    let (token, secret) = (site::token(cluster.lab, "n9")?, site::secret(cluster.lab, "n9")?);
    Stray { token: &token, name: "n9", secret: &secret }.lay_out(cluster.lab)?;
    cluster.slurm_pki(&["node", "remove", "n9", "--yes"])?;
    let lines = [(not_validated("n9"), 1), ("validate_node_token: error:".into(), 1)];
    refused(cluster, ["n9", "n9"], &["enrol", "n9"], &borrowed(&lines))
}

fn borrowed(lines: &[(String, usize)]) -> Vec<(&str, usize)> {
    lines.iter().map(|(words, times)| (words.as_str(), *times)).collect()
}
