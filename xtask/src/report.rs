//! What became of the steps, and the table that says so.

use std::time::Duration;

/// What became of one step; the texts say why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    Failed(String),
    /// A tool that a machine may lack is not there.
    Skipped(String),
    /// A step before it failed. Counts as a failure.
    NotRun(String),
}

/// One step that was taken.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) time: Duration,
}

/// The steps in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Whether the step of this name was taken and failed.
    pub(crate) fn failed(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.name == name && matches!(line.verdict, Verdict::Failed(_)))
    }

    /// Whether all is well; with `no_skips` a skipped step is not.
    pub(crate) fn passed(&self, no_skips: bool) -> bool {
        self.lines.iter().all(|line| match line.verdict {
            Verdict::Passed => true,
            Verdict::Skipped(_) => !no_skips,
            Verdict::Failed(_) | Verdict::NotRun(_) => false,
        })
    }

    /// One line per step, then the sum.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{:14} {:8} {:>9}\n", "step", "result", "time");
        for line in &self.lines {
            let (result, why) = line.verdict.shown();
            let row = format!("{:14} {result:8} {:>7.1} s  {why}", line.name, line.time.as_secs_f64());
            text += &format!("{}\n", row.trim_end());
        }
        text + &self.sum()
    }

    fn sum(&self) -> String {
        let count = |of: fn(&Verdict) -> bool| self.lines.iter().filter(|line| of(&line.verdict)).count();
        let passed = count(|verdict| matches!(verdict, Verdict::Passed));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        let failed = self.lines.len() - passed - skipped;
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Verdict {
    /// The word for the table, and the first line of the reason.
    fn shown(&self) -> (&'static str, &str) {
        let (word, why) = match self {
            Self::Passed => ("passed", ""),
            Self::Failed(why) => ("FAILED", why.as_str()),
            Self::Skipped(why) => ("SKIPPED", why.as_str()),
            Self::NotRun(why) => ("NOT RUN", why.as_str()),
        };
        (word, why.lines().next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        let line = |verdict: &Verdict| Line {
            name: "deny",
            verdict: verdict.clone(),
            time: Duration::from_millis(1250),
        };
        Report { lines: verdicts.iter().map(line).collect() }
    }

    #[test]
    fn a_skipped_step_passes_unless_skips_are_forbidden() {
        let skipped = report(&[Verdict::Passed, Verdict::Skipped("not installed".into())]);
        assert!(skipped.passed(false));
        assert!(!skipped.passed(true));
    }

    #[test]
    fn one_failed_step_or_one_that_could_not_run_fails_the_whole() {
        assert!(!report(&[Verdict::Passed, Verdict::Failed("no".into())]).passed(false));
        assert!(!report(&[Verdict::Passed, Verdict::NotRun("no".into())]).passed(false));
    }

    #[test]
    fn the_table_names_each_step_with_its_time_and_the_reason_in_one_line() {
        let table = report(&[Verdict::Passed, Verdict::Failed("first line\nsecond line".into())]).table();
        assert!(table.contains("deny           passed       1.2 s\n"), "{table}");
        assert!(table.contains("deny           FAILED       1.2 s  first line\n"), "{table}");
        assert!(table.ends_with("1 passed, 1 failed, 0 skipped"), "{table}");
    }
}
