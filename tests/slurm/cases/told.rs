//! What docs/operations.md quotes of Slurm's logs is what this Slurm says: whoever looks for it in a log finds it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::lab::Lab;

pub(super) const NAME: &str = "operations.md quotes Slurm's logs as this Slurm writes them";

const PAGE: &str = include_str!("../../../docs/operations.md");

/// It has these words alone, and Debian's Slurm lacks it.
const S2N: (&str, &str) = ("tls_s2n.so", "No own certificate has been loaded yet");

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
