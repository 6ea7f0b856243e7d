//! What came of a reload: who has shown that it loaded the files, and who has not, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::part::Who;
use crate::advice::Advice;
use crate::{hostlist, report};

/// Why a daemon has not shown that it loaded the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The site's tools do not get there.
    Unreachable(String),
    /// Something else lies there than what was brought.
    OtherFile(String),
    /// No such process there.
    NotRunning,
    /// slurmctld says that it is away: powered down, booting, of the future.
    Away(String),
    /// slurmctld says that it does not answer, or does not know it.
    Down(String),
    /// It still runs as it was started before the files came.
    Old(String),
    /// It started anew, and all its CPUs are taken, or nothing may start there.
    Busy(String),
    /// It started anew, and no step ran there.
    StepFailed(String),
    /// It did not start anew after its reload, or ended.
    Failed(String),
    /// It was left alone, since another one before it went wrong.
    LeftAlone,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "out of reach: {why}"),
            Self::NotRunning => f.write_str("no such process runs there"),
            Self::Away(state) => write!(f, "away ({state})"),
            Self::Down(state) => write!(f, "does not answer slurmctld ({state})"),
            Self::Old(since) => write!(f, "still runs as it was started {since}, before the files came"),
            Self::Busy(state) => write!(f, "started anew, but no step can run there now ({state})"),
            Self::StepFailed(why) => write!(f, "started anew, but a step there failed: {why}"),
            Self::OtherFile(why) | Self::Failed(why) => f.write_str(why),
            Self::LeftAlone => f.write_str("left alone, since one before went wrong"),
        }
    }
}

/// Who is there, and who is behind.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Those that have shown it.
    pub(crate) confirmed: Vec<Who>,
    /// Those that have not.
    pub(crate) behind: Vec<(Who, Reason)>,
    /// When the first daemon that serves was told to reload, slurmdbd or the slurmctld at work; `None`: neither had to be.
    pub(crate) began: Option<Instant>,
}

impl Outcome {
    pub(super) fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    pub(super) fn confirm(&mut self, who: &Who) {
        self.confirmed.push(who.clone());
    }

    pub(super) fn fail(&mut self, who: &Who, why: Reason) {
        self.behind.push((who.clone(), why));
    }

    /// The reasons, each with all that have it.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for (who, why) in &self.behind {
            reasons.entry((who.program(), why.to_string())).or_default().push(who.name());
        }
        let line = |((program, why), names): ((&str, String), Vec<&str>)| {
            format!("{program} {}: {why}", hostlist::fold_texts(names))
        };
        reasons.into_iter().map(line).collect()
    }

    /// Nothing when all are there; else a warning for each reason, and an error that names who is behind.
    ///
    /// # Errors
    /// When any is.
    pub(crate) fn into_result(self) -> anyhow::Result<()> {
        if self.behind.is_empty() {
            return Ok(());
        }
        self.reasons().iter().for_each(|line| report::warning(line));
        let all = self.behind.len() + self.confirmed.len();
        let names = hostlist::fold_texts(self.behind.iter().map(|(who, _)| who.name()));
        Err(Advice::new(
            format!("{} of {all} daemons have not shown that they loaded it: {names}", self.behind.len()),
            "mend what is said above and run the same again: it goes on with these",
        )
        .into())
    }
}

#[cfg(test)]
mod tests {
    use pki::name::NodeName;

    use super::*;
    use crate::members::Role;

    #[test]
    fn equal_reasons_are_told_once_with_a_hostlist() {
        let node = |name: &str| Who {
            role: Role::Slurmd,
            host: format!("host-of-{name}"),
            node: Some(NodeName::parse(name.as_bytes()).unwrap()),
        };
        let mut outcome = Outcome::default();
        for name in ["n1", "n2", "n3"] {
            outcome.fail(&node(name), Reason::Busy("ALLOCATED".into()));
        }
        outcome.fail(&node("n9"), Reason::Away("POWERED_DOWN".into()));
        outcome.confirm(&node("n4"));
        assert_eq!(
            outcome.reasons(),
            [
                "slurmd n9: away (POWERED_DOWN)",
                "slurmd n[1-3]: started anew, but no step can run there now (ALLOCATED)",
            ]
        );
        let error = outcome.into_result().unwrap_err().to_string();
        assert_eq!(error, "4 of 5 daemons have not shown that they loaded it: n[1-3,9]");
    }
}
