//! What docs/operations.md says of Slurm's logs: the words that it quotes are this Slurm's, so that whoever looks for them finds
//! them, and its commands give more log, and less again.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::Case;
use crate::cluster::Cluster;
use crate::lab::Lab;
use crate::log::lines_with;

pub(super) const NAME: &str = "operations.md quotes Slurm's logs as this Slurm writes them";

pub(super) const CASES: &[Case] = &[(
    "operations.md's commands raise slurmctld's and slurmd's debug level and flags at run time, and lower them",
    more_log,
)];

const PAGE: &str = include_str!("../../../docs/operations.md");

/// It has these words alone, and Debian's Slurm lacks it.
const S2N: (&str, &str) = ("tls_s2n.so", "No own certificate has been loaded yet");

/// What slurmd writes of each job, before it starts it, at this level.
const LAUNCH: &str = "debug2: Processing RPC: REQUEST_LAUNCH_TASKS";

/// Where Slurm puts a name or a number between its words.
const CUT: [&str; 3] = ["…", " -1", " 'n1'"];

/// What must appear (a table of log and line), and what is in quotation marks in the first column of the symptoms.
fn quoted() -> BTreeSet<&'static str> {
    let troubleshooting = PAGE.split("## Troubleshooting").nth(1).unwrap_or_default();
    let mut all = BTreeSet::new();
    for line in troubleshooting.lines().filter(|line| line.starts_with("| ")) {
        let mut columns = line.trim_matches('|').split(" | ").map(str::trim);
        match (columns.next(), columns.next()) {
            (Some("slurmd" | "slurmctld"), Some(told)) => drop(all.insert(told)),
            (Some(symptom), _) => all.extend(symptom.split('"').skip(1).step_by(2)),
            _ => {}
        }
    }
    all
}

/// The pieces that stand in a program as they stand in the page.
fn pieces(quoted: &'static str) -> Vec<&'static str> {
    let mut pieces = vec![quoted];
    for cut in CUT {
        pieces = pieces.into_iter().flat_map(|piece| piece.split(cut)).collect();
    }
    pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

pub(super) fn by_this_slurm(lab: &Lab) -> Result<()> {
    let mut programs = Vec::new();
    for path in lab.daemons_and_plugins()? {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        programs.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let mut quoted = quoted();
    ensure!(quoted.len() > 20, "only {} are quoted", quoted.len());
    ensure!(quoted.contains(S2N.1), "{} is not quoted", S2N.1);
    if !lab.has_plugin(S2N.0) {
        quoted.remove(S2N.1);
    }
    let is_told = |piece: &&str| programs.iter().any(|program| program.contains(*piece));
    let untold: Vec<&str> = quoted.into_iter().flat_map(pieces).filter(|piece| !is_told(piece)).collect();
    ensure!(untold.is_empty(), "this Slurm has none of these words: {untold:?}");
    Ok(())
}

/// The commands with this word, as they stand there, for the nodes that are up here.
fn commands(with: &str) -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix("    scontrol ")?.split('#').next());
    let for_those = |word: &'static str| if word.starts_with("nodes=") { "nodes=n[1-2]" } else { word };
    let commands = lines.map(|command| command.split_whitespace().map(for_those).collect::<Vec<_>>());
    commands.filter(|command| command.contains(&with)).collect()
}

/// What slurmctld says that it runs with, and how often slurmd on n1 writes of the one job that it is given.
fn seen(cluster: &Cluster<'_>) -> Result<(String, usize)> {
    let log = cluster.slurmd("n1")?.log.later();
    cluster.slurm("srun", &["--nodes=1", "--nodelist=n1", "true"])?;
    let config = cluster.slurm("scontrol", &["show", "config"])?;
    let words = |key: &str| {
        let line =
            config.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap_or_default();
        line.split_whitespace().collect::<String>()
    };
    Ok((format!("{} {}", words("DebugFlags"), words("SlurmctldDebug")), lines_with(&log.text(), LAUNCH)))
}

fn more_log(cluster: &mut Cluster<'_>) -> Result<()> {
    for (word, flags_and_level, has_debug2) in [
        ("-AuditTLS", "DebugFlags=(null) SlurmctldDebug=verbose", false),
        ("+AuditTLS", "DebugFlags=AuditTLS SlurmctldDebug=verbose", false),
        ("debug2", "DebugFlags=AuditTLS SlurmctldDebug=debug2", true),
        ("info", "DebugFlags=AuditTLS SlurmctldDebug=info", false),
    ] {
        let commands = commands(word);
        ensure!(commands.len() == 2, "{word} stands in {} commands, not one for each daemon", commands.len());
        for command in commands {
            cluster.slurm("scontrol", &command)?;
        }
        let (shown, lines) = seen(cluster)?;
        ensure!(shown == flags_and_level, "after {word}: {shown}");
        ensure!((lines > 0) == has_debug2, "after {word} slurmd wrote {lines} lines with {LAUNCH}");
    }
    // What this cluster's slurm.conf has.
    cluster.slurm("scontrol", &["setdebug", "verbose"])?;
    cluster.slurm("scontrol", &["setdebug", "verbose", "nodes=n[1-2]"]).map(drop)
}
