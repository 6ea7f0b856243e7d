//! A step of one task on a node: what a job of a user would meet there.

use std::time::{Duration, Instant};

use super::commands::{filled, run};
use super::nodes::Node;
use super::outcome::Reason;
use crate::fleet::shown;

/// A node that is free is given as long as this, however late its turn comes.
const FREE: Duration = Duration::from_secs(30);

/// How a step comes to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a> {
    /// `[keys] step`.
    pub(super) words: &'a [String],
    /// How long nodes whose CPUs are taken are waited for, all together.
    pub(super) deadline: Instant,
    /// Whether such a node needs none.
    pub(super) accept_busy: bool,
}

impl Steps<'_> {
    /// Runs one on a node.
    ///
    /// # Errors
    /// Why none ran.
    pub(super) fn on(self, name: &str, node: Option<&Node>) -> Result<(), Reason> {
        let Some(node) = node else { return Err(Reason::Down("slurmctld does not know it".into())) };
        if node.is_away() {
            return Err(Reason::Away(node.states()));
        }
        if node.is_down() {
            return Err(Reason::Down(node.states()));
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = match (node.is_busy(), self.accept_busy) {
            (true, true) => return Ok(()),
            (true, false) if left.is_zero() => return Err(Reason::Busy(node.states())),
            (true, false) => left,
            (false, _) => left.max(FREE),
        };
        let words = filled(self.words, &[("%h", name), ("%n", name), ("%p", node.partition())]);
        let ran = run(&words, limit).map_err(Reason::StepFailed)?;
        match ran.failed {
            None => Ok(()),
            Some(_) if ran.over && node.is_busy() => Err(Reason::Busy(node.states())),
            Some(how) if ran.over => Err(Reason::StepFailed(how)),
            Some(how) => Err(Reason::StepFailed(match shown(&ran.said) {
                said if said.is_empty() => how,
                said => said,
            })),
        }
    }
}
