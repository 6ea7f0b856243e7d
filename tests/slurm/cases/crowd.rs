//! Many nodes at once.

use anyhow::{Context, Result, ensure};

use super::Case;
use super::enrolment::{ON_THE_NODE, recorded, signed, validated};
use crate::cluster::Cluster;
use crate::conf::CROWD;
use crate::log::{expect, lines_with};
use crate::probe::{Probe, Running};
use crate::site;

pub(super) const CASES: &[Case] = &[("200 enrolments at once, nothing lost and nothing twice", all_at_once)];

fn all_at_once(cluster: &mut Cluster<'_>) -> Result<()> {
    site::enrol(cluster, &format!("c[1-{CROWD}]"), &[])?;
    let log = cluster.log_from_now()?;
    let started: Result<Vec<(String, Running)>> = (1..=CROWD)
        .map(|number| {
            let node = format!("c{number}");
            let running = Probe::slurmd(cluster.lab).start(&["enrol", &node])?;
            Ok((node, running))
        })
        .collect();
    for (node, running) in started? {
        let outcome = running.wait()?;
        let pair = outcome.pair().with_context(|| node.clone())?;
        pair.expect_name(&node)?;
        expect(&outcome.log, &ON_THE_NODE)?;
        recorded(cluster, &node, &pair, 1)?;
    }
    let text = log.text();
    for number in 1..=CROWD {
        let node = format!("c{number}");
        for line in [validated(&node), signed(&node)] {
            let found = lines_with(&text, &line);
            ensure!(found == 1, "“{line}” stands in {found} lines");
        }
    }
    Ok(())
}
