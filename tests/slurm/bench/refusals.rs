//! A signer that refuses: every client comes again after MessageTimeout, and slurmctld has others to answer.

use anyhow::Result;
use serde_json::{Value, json};

use crate::bench::crowd::{self, Crowd};
use crate::bench::figures::Figures;
use crate::bench::processor::Processor;
use crate::bench::side::Side;
use crate::bench::table::{Table, rounded};
use crate::cluster::Cluster;
use crate::lab::Lab;

/// Seconds; after it a client gives up (slurm.conf).
const MESSAGE_TIMEOUT: f64 = 10.0;

pub(crate) fn table(seconds: u32) -> Table {
    Table {
        name: "slurm-refusals",
        title: format!(
            "The CA key is away. Clients renew, are refused, and come again 10 s later, for {seconds} s; meanwhile the RPC \
             of `scontrol ping`, ten times a second. Answer times in ms. The clients are on the same processors, and ask as \
             often as those let them."
        ),
        columns: vec![
            "with",
            "clients",
            "asked per s",
            "refused per s",
            "gave up after 10 s",
            "CPU s per s",
            "pings",
            "unanswered",
            "median answer, quiet",
            "median answer",
            "longest answer",
        ],
        rows: Vec::new(),
    }
}

/// slurmctld's usual answer time.
pub(crate) fn quiet(lab: &Lab) -> Result<f64> {
    Ok(Figures::of(&crowd::ping(lab, 3)?).median())
}

/// A row of it.
pub(crate) fn measured(
    cluster: &Cluster<'_>,
    side: Side,
    crowd: &Crowd,
    clients: usize,
    seconds: u32,
    quiet: f64,
) -> Result<Vec<Value>> {
    let lab = cluster.lab;
    let pid = cluster.primary()?.pid();
    let before = Processor::of(pid)?;
    let asking = crowd.renew(lab, clients, seconds)?;
    let pings = crowd::ping(lab, seconds)?;
    let used = Processor::of(pid)?.since(before);
    let asked = asking.answers()?;
    let answered = Figures::of(asked.iter().filter(|question| question.more == 0));
    let gave_up = answered.longer_than(MESSAGE_TIMEOUT);
    let answers = Figures::of(pings.iter().filter(|ping| ping.good));
    let seconds = f64::from(seconds);
    Ok(vec![
        json!(side.name()),
        json!(clients),
        rounded(count(asked.len()) / seconds, 1),
        rounded(count(answered.count() - gave_up) / seconds, 1),
        json!(gave_up),
        rounded((used.own + used.children) / seconds, 2),
        json!(pings.len()),
        json!(pings.len() - answers.count()),
        rounded(quiet * 1e3, 1),
        rounded(answers.median() * 1e3, 1),
        rounded(answers.longest() * 1e3, 1),
    ])
}

fn count(of: usize) -> f64 {
    u32::try_from(of).map_or(f64::INFINITY, f64::from)
}
