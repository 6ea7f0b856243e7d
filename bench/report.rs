//! The one file here that prints, and that writes what was measured.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measurement is for the terminal")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::machine::Machine;
use crate::options::Options;
use crate::plot;
use crate::programs::Programs;
use crate::table::Table;

/// What is under way.
pub(crate) fn begins(section: &str) {
    eprintln!("bench: {section} …");
}

/// As Markdown, as soon as it is there.
pub(crate) fn shows(tables: &[Table]) {
    tables.iter().for_each(|table| println!("{}", table.markdown()));
}

/// On what all of it was measured.
pub(crate) fn ends(machine: &Machine, programs: Option<&Programs>) {
    println!("{}", machine.described(programs));
}

/// Everything so far, where it was asked for.
pub(crate) fn keeps(options: &Options, machine: &Machine, tables: &[Table], programs: Option<&Programs>) {
    if let Some(path) = &options.json {
        let tables: Vec<_> = tables.iter().map(Table::json).collect();
        let all =
            json!({ "schema": "slurm-pki.bench.v1", "machine": machine.json(programs), "tables": tables });
        fs::write(path, format!("{all:#}\n")).unwrap();
    }
    if let (Some(path), Some(programs)) = (&options.svg, programs) {
        fs::write(path, plot::svg(programs)).unwrap();
    }
    if let Some(path) = &options.into {
        let parts = tables.iter().map(|table| (table.name, table.markdown()));
        replace(path, parts.chain([("machine", machine.described(programs))]));
    }
}

/// What is between `<!-- NAME -->` and `<!-- end -->`. A table for which there is no place is an error: it would be
/// missing without anybody seeing it.
fn replace<'a>(path: &Path, parts: impl Iterator<Item = (&'a str, String)>) {
    let mut text = fs::read_to_string(path).unwrap();
    for (name, new) in parts {
        let mark = format!("<!-- {name} -->\n");
        let begin = text.find(&mark).unwrap_or_else(|| panic!("{} has no place for {name}", path.display()));
        let begin = begin + mark.len();
        let end = begin + text[begin..].find("<!-- end -->").expect("a place ends");
        text.replace_range(begin..end, &format!("{}\n", new.trim_end()));
    }
    fs::write(path, text).unwrap();
}

/// A command line that makes no sense.
pub(crate) fn misused(what: &str) -> ExitCode {
    eprintln!("bench: error: {what}\nbench: hint: cargo xtask bench --help");
    ExitCode::from(64)
}
