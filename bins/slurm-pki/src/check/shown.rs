//! Findings as Nagios and a person read them: a summary in the first line, then what is wrong, each with what to
//! do.

use serde::Serialize;

use super::finding::{Finding, Findings, Severity};
use super::scene::Roles;
use crate::global::Global;
use crate::report;

#[derive(Serialize)]
struct Document<'a> {
    state: Severity,
    host: &'a Roles,
    ok: usize,
    warning: usize,
    critical: usize,
    unknown: usize,
    findings: &'a [Finding],
    skipped: &'a [Finding],
    not_looked_at: &'a [String],
}

/// Prints all of it.
///
/// # Errors
/// When it cannot be made JSON.
pub(super) fn show(
    global: &Global,
    schema: &str,
    found: &Findings,
    roles: &Roles,
    all: bool,
) -> anyhow::Result<()> {
    if global.json {
        return report::json(schema, &document(found, roles));
    }
    report::line(&summary(found, roles));
    if global.quiet {
        return Ok(());
    }
    for severity in [Severity::Critical, Severity::Warning, Severity::Unknown] {
        found.all().iter().filter(|finding| finding.severity == severity).for_each(print);
    }
    if all {
        found.all().iter().filter(|finding| finding.severity == Severity::Ok).for_each(print);
    }
    for finding in found.skipped() {
        report::line(&one_line(&format!("left out by --skip {}: {}", finding.code, finding.what)));
    }
    found.unseen().iter().for_each(|what| report::line(&one_line(&format!("not looked at: {what}"))));
    Ok(())
}

fn document<'a>(found: &'a Findings, roles: &'a Roles) -> Document<'a> {
    Document {
        state: found.worst(),
        host: roles,
        ok: found.count(Severity::Ok),
        warning: found.count(Severity::Warning),
        critical: found.count(Severity::Critical),
        unknown: found.count(Severity::Unknown),
        findings: found.all(),
        skipped: found.skipped(),
        not_looked_at: found.unseen(),
    }
}

/// `SLURM-PKI CRITICAL - 1 critical, 2 warnings, 40 ok (controller): period: …`. What follows a `|` would be figures
/// to Nagios.
fn summary(found: &Findings, roles: &Roles) -> String {
    let worst = found.worst();
    let count = |severity, one: &str, many: &str| match found.count(severity) {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let counts = [
        count(Severity::Critical, "critical", "critical"),
        count(Severity::Warning, "warning", "warnings"),
        count(Severity::Unknown, "unknown", "unknown"),
        Some(format!("{} ok", found.count(Severity::Ok))),
        (!found.skipped().is_empty()).then(|| format!("{} left out", found.skipped().len())),
    ];
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let first = found.all().iter().find(|finding| finding.severity == worst && worst != Severity::Ok);
    let first = first.map_or(String::new(), |finding| format!(": {}: {}", finding.code, finding.what));
    let word = worst.word().to_ascii_uppercase();
    one_line(&format!("SLURM-PKI {word} - {counts} ({roles}){first}"))
}

fn print(finding: &Finding) {
    let (word, code) = (finding.severity.word(), finding.code);
    let word = if report::colours() { coloured(finding.severity, word) } else { format!("{word:<8}") };
    report::raw_line(&format!("{word}  {}", one_line(&format!("{code}: {}", finding.what))));
    if let Some(fix) = &finding.fix {
        report::raw_line(&one_line(&format!("          fix: {fix}")));
    }
}

fn coloured(severity: Severity, word: &str) -> String {
    let colour = match severity {
        Severity::Ok => 32,
        Severity::Warning => 33,
        Severity::Critical => 31,
        Severity::Unknown => 35,
    };
    format!("\x1b[{colour}m{word:<8}\x1b[0m")
}

/// A finding is one line, whatever stands in a file's name.
fn one_line(text: &str) -> String {
    report::printable(text).replace('\n', "\\n").replace('|', "/")
}
