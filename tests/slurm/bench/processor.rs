//! Processor time of a daemon and of the scripts that it has run.

use std::fs;

use anyhow::{Context, Result};

/// So many in a second, on every Linux (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// Seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Processor {
    /// The daemon itself.
    pub(crate) own: f64,
    /// Every child that it has waited for, and what those have waited for.
    pub(crate) children: f64,
}

impl Processor {
    /// Since the process began.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).with_context(|| format!("a strange /proc/{pid}/stat"))
    }

    /// Fields 14 to 17 of proc_pid_stat(5); the second field is a name in brackets and may have anything in it.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<f64> =
            rest.split_whitespace().skip(11).take(4).map_while(|n| n.parse().ok()).collect();
        let [user, system, user_of_children, system_of_children] = fields.try_into().ok()?;
        Some(Self { own: (user + system) / TICKS, children: (user_of_children + system_of_children) / TICKS })
    }

    /// Since then.
    pub(crate) fn since(self, then: Self) -> Self {
        Self { own: self.own - then.own, children: self.children - then.children }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let text = "7 (slurm) (x) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 10 30 20 0 9 0";
        assert_eq!(Processor::parse(text), Some(Processor { own: 2.0, children: 0.4 }));
        assert_eq!(Processor::parse("7 (slurm) S 1"), None);
    }
}
