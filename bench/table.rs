//! The one file here that prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measurement is for the terminal")]

use std::process::ExitCode;
use std::time::Duration;

use crate::run::{Cost, Costs};

const RULE: &str = "|---|--:|--:|--:|--:|--:|--:|--:|";
const VAULT_RULE: &str = "|---|--:|--:|--:|--:|--:|";

/// As Markdown, so that it can be pasted where it is reported.
pub(crate) fn print(costs: &Costs, rounds: usize) {
    let floor = costs.floors.last().unwrap();
    println!("Whole processes, {rounds} runs of each, in µs.\n");
    println!("| program | KiB | min | median | 3/4 | ÷ nothing | shell twin | twin ÷ ours |\n{RULE}");
    for cost in &costs.floors {
        println!("{}| | |", common(cost, floor));
    }
    for (ours, twin) in &costs.pairs {
        let times_cheaper = ratio(twin.median(), ours.median());
        println!("{}| {} | {times_cheaper:.1} |", common(ours, floor), micros(twin.median()));
    }
    println!("\n| program | min | median | 3/4 | in files | ÷ in files |\n{VAULT_RULE}");
    for (vault, files) in &costs.vaults {
        let [min, median, upper] = [vault.shortest(), vault.median(), vault.upper_quartile()].map(micros);
        let times = ratio(vault.median(), files.median());
        println!("| {} | {min} | {median} | {upper} | {} | {times:.1} |", vault.name, micros(files.median()));
    }
}

fn common(cost: &Cost, floor: &Cost) -> String {
    let (name, kib) = (&cost.name, cost.size / 1024);
    let [min, median, upper] = [cost.shortest(), cost.median(), cost.upper_quartile()].map(micros);
    format!("| {name} | {kib} | {min} | {median} | {upper} | {:.2} ", ratio(cost.median(), floor.median()))
}

fn micros(time: Duration) -> u128 {
    time.as_micros()
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}

/// A command line that makes no sense.
pub(crate) fn misused(what: &str) -> ExitCode {
    eprintln!("bench: error: {what}\nbench: hint: cargo xtask bench [--rounds N]");
    ExitCode::from(64)
}
