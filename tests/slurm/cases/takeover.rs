//! A second controller takes over while nodes enrol, and hands back.

use anyhow::{Context, Result, ensure};

use super::Case;
use crate::cluster::{Cluster, PATIENCE};
use crate::conf::Conf;
use crate::probe::{Probe, Running};
use crate::shell::wait_until;
use crate::site;

pub(super) const CASES: &[Case] = &[
    ("the backup takes over in the middle of enrolments", to_the_backup),
    ("the primary comes back in the middle of enrolments", and_back),
];

/// Nodes ask again soon.
pub(super) fn conf() -> Conf {
    Conf { backup: true, message_timeout: 5, ..Conf::default() }
}

/// How many nodes ask before, and as many after.
const NODES: usize = 8;

fn to_the_backup(cluster: &mut Cluster<'_>) -> Result<()> {
    site::enrol(cluster, "t[1-16],u[1-16]", &[])?;
    let before = start(cluster, "t", 1..=NODES)?;
    wait_until("the first certificate is issued", PATIENCE, || {
        Ok(cluster.lab.ledger_of("ctl1")?.iter().any(|line| is_of(line, "t")))
    })?;
    if let Some(primary) = cluster.primary.take() {
        primary.kill();
    }
    // ctl2 notices after SlurmctldTimeout; these find nobody until then.
    let after = start(cluster, "t", NODES + 1..=2 * NODES)?;
    all_enrolled(cluster, before)?;
    all_enrolled(cluster, after)?;
    ensure!(cluster.lab.ledger_of("ctl2")?.iter().any(|line| is_of(line, "t")), "ctl2 issued nothing");
    Ok(())
}

fn and_back(cluster: &mut Cluster<'_>) -> Result<()> {
    let before = start(cluster, "u", 1..=NODES)?;
    wait_until("the first certificate is issued", PATIENCE, || {
        Ok(cluster.lab.ledger_of("ctl2")?.iter().any(|line| is_of(line, "u")))
    })?;
    cluster.start_primary()?;
    let after = start(cluster, "u", NODES + 1..=2 * NODES)?;
    all_enrolled(cluster, before)?;
    all_enrolled(cluster, after)?;
    ensure!(cluster.lab.ledger_of("ctl1")?.iter().any(|line| is_of(line, "u")), "ctl1 issued nothing");
    Ok(())
}

fn is_of(line: &serde_json::Value, prefix: &str) -> bool {
    line.get("node").and_then(|node| node.as_str()).is_some_and(|node| node.starts_with(prefix))
}

fn start(
    cluster: &Cluster<'_>,
    prefix: &str,
    numbers: std::ops::RangeInclusive<usize>,
) -> Result<Vec<(String, Running)>> {
    numbers
        .map(|number| {
            let node = format!("{prefix}{number}");
            let running = Probe::slurmd(cluster.lab).start(&["persist", &node])?;
            Ok((node, running))
        })
        .collect()
}

/// Everyone got a certificate for the key it holds, and it is in a ledger.
fn all_enrolled(cluster: &Cluster<'_>, nodes: Vec<(String, Running)>) -> Result<()> {
    for (node, running) in nodes {
        let pair = running.wait_at_most(PATIENCE)?.pair().with_context(|| node.clone())?;
        pair.expect_name(&node)?;
        let hash = pair.fingerprint()?;
        let ledger = cluster.lab.ledger(&node)?;
        let recorded =
            ledger.iter().any(|line| line.get("spki_sha256").and_then(|it| it.as_str()) == Some(&hash));
        ensure!(recorded, "{node} is in no ledger");
    }
    Ok(())
}
