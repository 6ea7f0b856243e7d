//! How a demo looks to a person: the first node step by step, all nodes in a table, then the rest.

use std::path::Path;
use std::time::Duration;

use pki::name::NodeName;

use super::client::CLIENT;
use super::exchange::PARTS;
use super::refusals::REFUSALS;
use super::scratch::SITE;
use crate::checks::{Check, Checks, line, mark, width};
use crate::report;

/// With more nodes than this only those with a failure get a row.
const MOST_ROWS: usize = 50;

/// Shows everything.
pub(super) fn show(checks: &Checks, nodes: &[NodeName], took: Duration) {
    part(checks, SITE, "A site, as an admin sets it up:");
    if let Some(first) = nodes.first() {
        story(checks, first);
    }
    table(checks, nodes);
    let failed: Vec<_> = checks.all().iter().filter(|check| is_in_table(check) && !check.passed).collect();
    if !failed.is_empty() {
        report::line("\nFailed:");
        failed.iter().for_each(|check| line(check, 0));
    }
    part(checks, REFUSALS, "\nWhat a cluster must refuse:");
    part(checks, CLIENT, "\nOne client command, as every squeue does it:");
    let (failed, all) = (checks.failed(), checks.all().len());
    let total =
        if failed == 0 { format!("{all} checks passed") } else { format!("{failed} of {all} checks FAILED") };
    report::line(&format!("\n{total} on {} nodes, in {:.1} s", nodes.len(), took.as_secs_f64()));
}

/// What lies where, with openssl as the second opinion.
pub(super) fn readme(folder: &Path, node: &NodeName) -> String {
    let folder = folder.display();
    format!(
        "The scratch site of a slurm-pki demo. Nothing uses it; remove it when you have seen enough.\n\n\
         openssl x509 -noout -text -in {folder}/ca_cert.pem\n\
         openssl req -noout -text -verify -in {folder}/exchange/{node}.csr.pem\n\
         openssl x509 -noout -text -in {folder}/exchange/{node}.cert.pem\n\
         openssl verify -CAfile {folder}/ca_cert.pem {folder}/exchange/{node}.cert.pem\n\
         cat {folder}/slurm-pki.toml {folder}/state/ledger/issued.*.jsonl\n\
         find {folder}/bundles/{node}\n"
    )
}

fn is_in_table(check: &Check) -> bool {
    PARTS.iter().any(|(part, _)| *part == check.part)
}

fn story(checks: &Checks, node: &NodeName) {
    let of_node = || checks.all().iter().filter(|check| is_in_table(check) && check.subject == node.as_str());
    let width = width(of_node());
    for (part, _) in PARTS {
        report::line(&format!("\n{} of {node}:", capital(part)));
        of_node().filter(|check| check.part == part && check.passed).for_each(|check| line(check, width));
    }
}

fn part(checks: &Checks, part: &str, title: &str) {
    report::line(title);
    let width = width(checks.of_part(part));
    checks.of_part(part).for_each(|check| line(check, width));
}

/// A row per node, a column per step; `-` where an earlier failure ended it.
fn table(checks: &Checks, nodes: &[NodeName]) {
    let failed: Vec<&str> =
        checks.all().iter().filter(|check| !check.passed).map(|check| check.subject.as_str()).collect();
    let many = nodes.len() > MOST_ROWS;
    let rows: Vec<&NodeName> = nodes.iter().filter(|node| !many || failed.contains(&node.as_str())).collect();
    report::line("\nAll nodes:");
    if many {
        report::line(&format!("  {} nodes passed every step", nodes.len() - rows.len()));
    }
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|node| node.as_str().len()).max().unwrap_or_default().max(4);
    let (above, below): (Vec<_>, Vec<_>) = PARTS.iter().map(|(part, steps)| headings(part, steps)).unzip();
    report::line(format!("  {:width$}  {}", "", above.join("  ")).trim_end());
    report::line(format!("  {:width$}  {}", "node", below.join("  ")).trim_end());
    for node in rows {
        let cells: Vec<_> = PARTS.iter().map(|(part, steps)| cells(checks, node, part, steps)).collect();
        report::raw_line(format!("  {:width$}  {}", node.as_str(), cells.join("  ")).trim_end());
    }
}

/// Wide enough for `FAILED`.
fn column(step: &str) -> usize {
    step.len().max(6)
}

fn headings(part: &str, steps: &[&str]) -> (String, String) {
    let below: Vec<_> = steps.iter().map(|step| format!("{step:<0$}", column(step))).collect();
    let below = format!("| {}", below.join(" "));
    (format!("{:<1$}", format!("| {part}"), below.len()), below)
}

fn cells(checks: &Checks, node: &NodeName, part: &str, steps: &[&str]) -> String {
    let cell = |step: &&str| {
        let of_step =
            |check: &&Check| check.part == part && check.step == *step && check.subject == node.as_str();
        let mut found = checks.all().iter().filter(of_step).peekable();
        match found.peek() {
            Some(_) => mark(found.all(|check| check.passed), column(step)),
            None => format!("{:<1$}", "-", column(step)),
        }
    };
    format!("| {}", steps.iter().map(cell).collect::<Vec<_>>().join(" "))
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at_checked(1).unwrap_or(("", word));
    first.to_uppercase() + rest
}
