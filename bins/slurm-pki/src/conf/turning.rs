//! The way of every change to Slurm's files: what is shown, what must hold, what is asked, then one file after the other.

use std::collections::BTreeSet;

use site::clock;

use super::change::Change;
use super::held;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;

/// Changes that belong together.
#[derive(Debug)]
pub(super) struct Turning<'a> {
    pub(super) global: &'a Global,
    pub(super) changes: Vec<Change>,
    /// New files beside the old ones, and nothing else.
    pub(super) prepare: bool,
    /// When new files beside the old ones are put in place.
    pub(super) when: &'a str,
    /// What a person types who must do it by hand.
    pub(super) by_hand: Vec<String>,
    pub(super) question: &'a str,
}

/// When files that concern every daemon are put in place.
pub(super) const ALL_STOPPED: &str = "When all Slurm daemons are stopped";

/// What a person does by hand where lines go, or become others: what a run would change, by files, with the lines around it.
pub(super) fn difference(changes: &[Change]) -> Vec<String> {
    let mut lines = vec!["# a line with - goes; one with + comes in its place".to_owned()];
    for change in changes {
        lines.extend(change.diff().lines().map(str::to_owned));
    }
    lines
}

impl Turning<'_> {
    /// Carries it out; `false` when nothing was changed, because nothing is to change or `--dry-run` was said.
    ///
    /// # Errors
    /// When a file cannot or must not be changed, something does not hold, or the answer is no.
    pub(super) fn carry_out(&self, must_hold: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<bool> {
        if self.changes.is_empty() {
            report::done(self.global, "nothing to change");
            return Ok(false);
        }
        self.leave_what_others_hold()?;
        self.refuse_shared()?;
        for change in &self.changes {
            report::line(change.diff().trim_end_matches('\n'));
        }
        if self.global.dry_run {
            return Ok(false);
        }
        self.changes.iter().try_for_each(Change::must_be_possible)?;
        must_hold()?;
        report::confirm(self.global, self.question)?;
        self.write()?;
        Ok(true)
    }

    fn leave_what_others_hold(&self) -> anyhow::Result<()> {
        let held = |change: &Change| held::by_whom(change.real(), change.before(), self.prepare);
        let Some(held) = self.changes.iter().find_map(held) else { return Ok(()) };
        self.by_hand.iter().for_each(|line| report::line(line));
        Err(Advice::new(format!("{}; nothing was changed", held.why), held.how).into())
    }

    /// The second change of a file would undo the first.
    fn refuse_shared(&self) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        match self.changes.iter().find(|change| !seen.insert(change.real())) {
            None => Ok(()),
            Some(change) => Err(Advice::new(
                format!("{} is included by two files: slurm.conf and slurmdbd.conf", change.real().display()),
                "slurm.conf and slurmdbd.conf have lines of their own: include that file in one of them only",
            )
            .into()),
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        if !self.prepare {
            let now = clock::now();
            return self.changes.iter().try_for_each(|change| change.write(self.global, now));
        }
        let mut moves = Vec::new();
        for change in &self.changes {
            let beside = change.write_beside(self.global)?;
            moves.push(format!("  mv {} {}", beside.display(), change.real().display()));
        }
        report::line(&format!("{}:", self.when));
        moves.iter().for_each(|line| report::line(line));
        Ok(())
    }
}
