//! All nodes boot at once.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::crowd::{Answer, Crowd};
use crate::bench::figures::Figures;
use crate::bench::processor::Processor;
use crate::bench::side::Side;
use crate::bench::table::{Table, rounded};
use crate::cluster::Cluster;

pub(crate) fn table(nodes: usize) -> Table {
    Table {
        name: "slurm-boot",
        title: format!(
            "{nodes} nodes ask a real slurmctld for their first certificate at the same moment (MessageTimeout=10, \
             conmgr_threads=32; the ledger on a disk, synced). Times in s; a wait is from a node's first question to its \
             certificate, in however many attempts."
        ),
        columns: vec![
            "with",
            "certificates",
            "median wait",
            "longest wait",
            "nodes that asked again after 10 s",
            "CPU of the scripts and their start",
            "CPU of slurmctld itself",
        ],
        rows: Vec::new(),
    }
}

/// A row of it.
pub(crate) fn measured(cluster: &Cluster<'_>, side: Side, crowd: &Crowd) -> Result<Vec<Value>> {
    let pid = cluster.primary()?.pid();
    let before = (Processor::of(pid)?, cluster.lab.ledger_of("ctl1")?.len());
    let answers = crowd.enrol(cluster.lab)?;
    let used = Processor::of(pid)?.since(before.0);
    let got = answers.iter().filter(|answer| answer.good).count();
    if side != Side::Nothing {
        let certificates = crowd.certificates(cluster.lab);
        ensure!(certificates == got, "{got} nodes were answered, {certificates} have a certificate");
    }
    if side == Side::Ours {
        let lines = cluster.lab.ledger_of("ctl1")?.len() - before.1;
        ensure!(lines >= got, "{lines} lines in the ledger of {got} certificates");
    }
    row(side, &answers, got, used).context("a storm")
}

fn row(side: Side, answers: &[Answer], got: usize, used: Processor) -> Result<Vec<Value>> {
    let waits = Figures::of(answers);
    ensure!(waits.count() > 0, "nobody asked");
    Ok(vec![
        json!(side.name()),
        if side == Side::Nothing { Value::Null } else { json!(got) },
        rounded(waits.median(), 2),
        rounded(waits.longest(), 2),
        json!(answers.iter().filter(|answer| answer.more > 0).count()),
        rounded(used.children, 2),
        rounded(used.own, 2),
    ])
}
