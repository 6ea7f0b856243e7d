//! What was measured, for `cargo xtask bench` to show beside its own tables.

use serde_json::{Value, json};

/// One table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in the JSON and in BENCHMARKS.md.
    pub(crate) name: &'static str,
    /// One line above it.
    pub(crate) title: String,
    /// Their headings, with the unit.
    pub(crate) columns: Vec<&'static str>,
    /// Texts and numbers.
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    /// As the document has it.
    pub(crate) fn json(&self) -> Value {
        json!({ "name": self.name, "title": self.title, "columns": self.columns, "rows": self.rows })
    }
}

/// A number with so many digits after the point; no more of them mean anything.
pub(crate) fn rounded(number: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    json!((number * scale).round() / scale)
}
