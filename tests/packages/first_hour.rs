//! docs/first-hour.md, read as what an admin types.

use anyhow::{Context, Result, anyhow};
use suite::shell::{said, wait_until};

use crate::booted::{Booted, PATIENCE};

const TEXT: &str = include_str!("../../docs/first-hour.md");

/// What the document says becomes of a block of commands, by a word behind its language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    /// Every line succeeds.
    Done,
    /// `refused`: it fails.
    Refused,
    /// `until`: it succeeds before long.
    InTime,
}

/// A block of commands.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) wanted: Wanted,
    pub(crate) commands: String,
}

/// All of them, in their order.
pub(crate) fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in TEXT.lines() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(kind) => {
                inside = true;
                steps.push(Step { wanted: wanted(kind), commands: String::new() });
            }
            None if inside => {
                if let Some(step) = steps.last_mut() {
                    step.commands += &format!("{line}\n");
                }
            }
            None => {}
        }
    }
    steps
}

fn wanted(kind: &str) -> Wanted {
    match kind {
        "sh refused" => Wanted::Refused,
        "sh until" => Wanted::InTime,
        _ => Wanted::Done,
    }
}

impl Step {
    /// Runs it where the packages lie; what it said.
    pub(crate) fn take(&self, on: &Booted<'_>) -> Result<String> {
        let script = format!("set -e; cd /mnt/release\n{}", self.commands);
        let mut text = String::new();
        let mut once = || -> Result<bool> {
            let output = on.outcome(&script)?;
            text = said(&output);
            Ok(output.status.success())
        };
        let came_about = match self.wanted {
            Wanted::InTime => wait_until("it succeeds", PATIENCE, once),
            wanted => match once()? {
                done if done == (wanted == Wanted::Done) => Ok(()),
                true => Err(anyhow!("it is not refused")),
                false => Err(anyhow!("it failed")),
            },
        };
        came_about.with_context(|| format!("{}\n{text}", self.commands))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_commands_and_says_what_becomes_of_it() {
        let kinds: Vec<&str> = TEXT.lines().filter_map(|line| line.strip_prefix("```")).collect();
        assert_eq!(kinds.len(), 2 * steps().len());
        assert!(kinds.iter().all(|kind| ["", "sh", "sh refused", "sh until"].contains(kind)), "{kinds:?}");
        assert!(steps().iter().any(|step| step.wanted == Wanted::Refused));
    }

    #[test]
    fn an_example_of_a_fence_is_read() {
        let first = steps().into_iter().next().unwrap();
        assert_eq!(first.wanted, Wanted::Done);
        assert!(first.commands.starts_with("dpkg --install "), "{}", first.commands);
    }
}
