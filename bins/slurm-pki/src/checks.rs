//! What a demo or a rehearsal looked at, and what came of it.

use serde::Serialize;

use crate::report::{self, printable};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// The part of the whole: "enrolment", "renewal", "refusals", …
    pub(crate) part: &'static str,
    /// The node, or what else it was about.
    pub(crate) subject: String,
    /// The step, in one word.
    pub(crate) step: &'static str,
    /// What was done, as a person would write it.
    pub(crate) what: String,
    /// Whether it went as it must.
    pub(crate) passed: bool,
    /// What came of it; of a failure, what the program said.
    pub(crate) detail: String,
}

/// All of them, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks(Vec<Check>);

/// What is being looked at.
#[derive(Clone, Debug)]
pub(crate) struct Looked<'a> {
    pub(crate) part: &'static str,
    pub(crate) subject: &'a str,
    pub(crate) step: &'static str,
    pub(crate) what: String,
}

impl Checks {
    /// Notes a result with a word on it; gives back what a passed one brought.
    pub(crate) fn note<T>(&mut self, looked: Looked<'_>, result: Result<(T, String), String>) -> Option<T> {
        let (brought, detail) = match result {
            Ok((brought, detail)) => (Some(brought), detail),
            Err(why) => (None, why),
        };
        let Looked { part, subject, step, what } = looked;
        let passed = brought.is_some();
        self.0.push(Check { part, subject: subject.to_owned(), step, what, passed, detail });
        brought
    }

    /// Puts others after these.
    pub(crate) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Check] {
        &self.0
    }

    /// Those of one part.
    pub(crate) fn of_part(&self, part: &str) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(move |check| check.part == part)
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> usize {
        self.0.iter().filter(|check| !check.passed).count()
    }
}

/// `ok` or `FAILED`, in a column of `width`.
pub(crate) fn mark(passed: bool, width: usize) -> String {
    match (passed, report::colours()) {
        (true, true) => format!("\x1b[32m{:<width$}\x1b[0m", "ok"),
        (true, false) => format!("{:<width$}", "ok"),
        (false, true) => format!("\x1b[31m{:<width$}\x1b[0m", "FAILED"),
        (false, false) => format!("{:<width$}", "FAILED"),
    }
}

/// A check in one line, what a program said about its failure below it.
pub(crate) fn line(check: &Check, width: usize) {
    let Check { what, passed, detail, .. } = check;
    let mark = mark(*passed, 6);
    if *passed {
        report::raw_line(&format!("  {mark}  {}", printable(&format!("{what:<width$}  {detail}"))));
    } else {
        report::raw_line(&format!("  {mark}  {}", printable(what)));
        detail.lines().for_each(|said| report::line(&format!("            {said}")));
    }
}

/// The widest `what` among checks, for the column.
pub(crate) fn width<'a>(checks: impl IntoIterator<Item = &'a Check>) -> usize {
    checks.into_iter().map(|check| check.what.len()).max().unwrap_or_default()
}
