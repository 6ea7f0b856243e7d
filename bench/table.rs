//! What a section has measured: a table that is printed as Markdown and written as JSON.

use serde_json::{Value, json};

/// One table.
pub(crate) struct Table {
    /// Its name in the JSON, and between which marks it goes in a file.
    pub(crate) name: &'static str,
    /// One line above it: what was measured, how often.
    pub(crate) caption: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// What is in a table.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A number, and how many digits of it after the point mean something.
    Number(f64, usize),
    /// Not measured, or without a meaning here.
    Nothing,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Seconds, shown as whole microseconds.
    pub(crate) fn micros(seconds: f64) -> Self {
        Self::Number(seconds * 1e6, 0)
    }

    pub(crate) fn millis(seconds: f64) -> Self {
        Self::Number(seconds * 1e3, 1)
    }

    pub(crate) fn seconds(seconds: f64) -> Self {
        Self::Number(seconds, 1)
    }

    pub(crate) fn count(count: usize) -> Self {
        // Far below the 2^53 up to which every whole number is an f64.
        Self::Number(u32::try_from(count).map_or(f64::INFINITY, f64::from), 0)
    }

    pub(crate) fn ratio(of: f64, to: f64) -> Self {
        Self::Number(of / to, 2)
    }

    /// So many in so many seconds: a second.
    pub(crate) fn per(count: usize, seconds: f64) -> f64 {
        u32::try_from(count).map_or(f64::INFINITY, f64::from) / seconds
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, digits) if number.is_finite() => format!("{number:.digits$}"),
            Self::Number(..) | Self::Nothing => String::new(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
            Self::Nothing => Value::Null,
        }
    }
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = (0..self.columns.len()).map(|column| if self.is_text(column) { "---" } else { "--:" });
        let mut text = format!("{}\n\n", self.caption);
        text += &line(self.columns.iter().map(|&column| column.to_owned()).collect());
        text += &format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
        for row in &self.rows {
            text += &line(row.iter().map(Cell::shown).collect());
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let row = |row: &Vec<Cell>| row.iter().map(Cell::value).collect::<Vec<_>>();
        json!({ "name": self.name, "caption": self.caption, "columns": self.columns,
                "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }

    fn is_text(&self, column: usize) -> bool {
        self.rows.iter().any(|row| matches!(row.get(column), Some(Cell::Text(_))))
    }
}
