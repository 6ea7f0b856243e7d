//! What the suite below tests/slurm measures with a real slurmctld; it needs root, and prints one JSON document.

use std::env;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::scale::Scale;
use crate::table::{Cell, Table};

/// Its tables; none where `cargo xtask bench` has said why not.
pub(crate) fn measured(scale: Scale) -> Vec<Table> {
    let Some(suite) = env::var_os("SLURM_PKI_SLURM_SUITE") else { return Vec::new() };
    let output = Command::new(suite).args(scale.slurm).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the suite with a real Slurm ended with {}", output.status);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["tables"].as_array().unwrap().iter().map(table).collect()
}

fn table(table: &Value) -> Table {
    let rows: Vec<&Vec<Value>> =
        table["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap()).collect();
    let columns = table["columns"].as_array().unwrap();
    let digits: Vec<_> = (0..columns.len())
        .map(|column| rows.iter().map(|row| digits(&row[column])).max().unwrap_or_default())
        .collect();
    let cells =
        |row: &&Vec<Value>| row.iter().zip(&digits).map(|(value, digits)| cell(value, *digits)).collect();
    Table {
        name: text(&table["name"]),
        caption: text(&table["title"]).to_owned(),
        columns: columns.iter().map(text).collect(),
        rows: rows.iter().map(cells).collect(),
    }
}

/// Headings are part of the program elsewhere; the few that come from outside are kept to its end.
fn text(value: &Value) -> &'static str {
    value.as_str().unwrap().to_owned().leak()
}

fn cell(value: &Value, digits: usize) -> Cell {
    match value {
        Value::Null => Cell::Nothing,
        Value::Number(number) => Cell::Number(number.as_f64().unwrap(), digits),
        other => Cell::text(other.as_str().unwrap()),
    }
}

/// After the point.
fn digits(value: &Value) -> usize {
    match value {
        Value::Number(number) => number.to_string().split_once('.').map_or(0, |(_, digits)| digits.len()),
        _ => 0,
    }
}
