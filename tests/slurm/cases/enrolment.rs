//! A cluster comes up, a node gets its first certificate, and the next one without a token.

use anyhow::{Result, ensure};

use super::Case;
use crate::cluster::Cluster;
use crate::log::{Log, expect};
use crate::probe::{Pair, Probe};
use crate::site;

pub(super) const CASES: &[Case] = &[
    ("slurm-pki init makes a site that slurmctld starts on", init),
    ("slurmctld and two slurmd's come up, and srun runs on both", comes_up),
    ("a node's first enrolment", first),
    ("a login host that is no node enrols as sackd", login_host),
];

/// The plugin's line about a certificate that slurmctld signed.
pub(super) fn signed(node: &str) -> String {
    format!("Successfully generated signed certificate for node '{node}'")
}

/// The plugin's line about a token that was accepted, by whomever.
pub(super) fn validated(node: &str) -> String {
    format!("Successfully validated node token for node {node}.")
}

/// In the plugin's line before it runs our validation. "Successfully validated" says less: that line comes for a CertToken
/// and for a renewal over mTLS too, where nothing was validated.
pub(super) const ASKED: &str = "validation script to check token";

/// The plugin's lines on the node, each once.
pub(super) const ON_THE_NODE: [(&str, usize); 3] = [
    ("Successfully retrieved unique node token", 1),
    ("Successfully generated csr", 1),
    ("Successfully retrieved node's private certificate key", 1),
];

/// A node enrols by token and validation, with the plugin's lines once each and one line in the ledger.
pub(super) fn enrols(cluster: &Cluster<'_>, node: &str) -> Result<Pair> {
    let (log, before) = (cluster.log_from_now()?, cluster.lab.ledger(node)?.len());
    let outcome = Probe::slurmd(cluster.lab).run(&["enrol", node])?;
    let pair = outcome.pair()?;
    pair.expect_name(node)?;
    expect(&outcome.log, &ON_THE_NODE)?;
    expect(&log.text(), &[(ASKED, 1), (&validated(node), 1), (&signed(node), 1)])?;
    recorded(cluster, node, &pair, before + 1)?;
    Ok(pair)
}

/// The ledger has so many lines about the node, and the last is about this pair.
pub(super) fn recorded(cluster: &Cluster<'_>, node: &str, pair: &Pair, lines: usize) -> Result<()> {
    let ledger = cluster.lab.ledger(node)?;
    ensure!(ledger.len() == lines, "{} lines in the ledger about {node}, not {lines}", ledger.len());
    let hash = ledger.last().and_then(|line| line.get("spki_sha256")?.as_str());
    ensure!(hash == Some(&pair.fingerprint()?), "the ledger has another key: {hash:?}");
    Ok(())
}

fn init(cluster: &mut Cluster<'_>) -> Result<()> {
    cluster.slurm_pki(&["init", "--cluster", "suite", "--state-dir", "/var/lib/slurm-pki"])?;
    site::enrol(cluster, "n[1-9]", &[])?;
    // Everything is in its place now: a slurmctld that starts afterwards says nothing of it.
    if let Some(primary) = cluster.primary.take() {
        primary.stop()?;
    }
    cluster.start_primary()
}

fn comes_up(cluster: &mut Cluster<'_>) -> Result<()> {
    cluster.start_nodes(&["n1", "n2"])?;
    let answer = cluster.slurm("srun", &["--nodes=2", "--ntasks=2", "--label", "hostname"])?;
    for host in ["n1", "n2"] {
        ensure!(answer.lines().any(|line| line.ends_with(host)), "srun: {answer}");
    }
    Ok(())
}

fn first(cluster: &mut Cluster<'_>) -> Result<()> {
    enrols(cluster, "n1")?;
    let shown = cluster.node("n1")?;
    ensure!(shown.contains("TLSCertLastRenewal="), "slurmctld does not know of it: {shown}");
    Ok(())
}

fn login_host(cluster: &mut Cluster<'_>) -> Result<()> {
    site::enrol(cluster, "login1", &["--login"])?;
    let log: Log = cluster.log_from_now()?;
    let outcome = Probe::sackd(cluster.lab).run(&["enrol", "login1"])?;
    outcome.pair()?.expect_name("login1")?;
    expect(&outcome.log, &ON_THE_NODE)?;
    expect(&log.text(), &[(&validated("login1"), 1), (&signed("login1"), 1)])
}
