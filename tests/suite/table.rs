//! What became of the cases, and the table that says so.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::terminal;

/// All cases, in the order in which they ran.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Row {
    name: String,
    failure: Option<String>,
    time: Duration,
}

impl Table {
    /// Runs a case and enters it. What a failed one has to say is printed at once, in full.
    pub fn run(&mut self, name: &str, case: impl FnOnce() -> Result<()>) {
        let begun = Instant::now();
        let failure = case().err().map(|failure| format!("{failure:#}"));
        if let Some(failure) = &failure {
            terminal::error(&format!("{name}: {failure}\n"));
        }
        self.rows.push(Row { name: name.to_owned(), failure, time: begun.elapsed() });
    }

    /// A line below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Whether there were cases, and none failed.
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.failure.is_none())
    }

    /// One line per case, the sum, the notes.
    pub fn text(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(4);
        let mut text = format!("\n{:width$}  result      time\n", "case");
        for row in &self.rows {
            let (result, why) = match &row.failure {
                None => ("passed", ""),
                Some(why) => ("FAILED", why.lines().next().unwrap_or_default()),
            };
            let line = format!("{:width$}  {result:6} {:>7.1} s  {why}", row.name, row.time.as_secs_f64());
            text += &format!("{}\n", line.trim_end());
        }
        let failed = self.rows.iter().filter(|row| row.failure.is_some()).count();
        text += &format!("{} passed, {failed} failed", self.rows.len() - failed);
        for note in &self.notes {
            text += &format!("\n{note}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole_and_is_named_with_its_reason() {
        let mut table = Table::default();
        table.run("a node enrols", || Ok(()));
        assert!(table.passed());
        table.run("a node renews", || anyhow::bail!("no certificate\nlog line"));
        assert!(!table.passed());
        let text = table.text();
        assert!(text.contains("a node enrols  passed"), "{text}");
        assert!(
            text.lines()
                .any(|line| line.starts_with("a node renews  FAILED") && line.ends_with("no certificate")),
            "{text}"
        );
        assert!(text.ends_with("1 passed, 1 failed"), "{text}");
    }

    #[test]
    fn no_case_at_all_is_no_success() {
        assert!(!Table::default().passed());
    }
}
