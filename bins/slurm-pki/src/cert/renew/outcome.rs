//! What came of each pair: a line for a person, an object for a script.

use std::path::PathBuf;

use pki::time::UnixTime;
use serde::Serialize;

use super::super::facts::DaemonFacts;
use super::super::target::{Place, Target};
use crate::moment;
use crate::report;

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// There is a new pair.
    Renewed,
    /// With `--dry-run`: there would be.
    WouldRenew,
    /// It is not time yet.
    NotDue,
    /// It would be time, and a new one would be no better.
    Held,
    /// Its files are this host's own, on storage that both have.
    Shared,
    /// Something went wrong.
    Failed,
}

/// What came of one pair.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    daemon: &'static str,
    host: String,
    #[serde(skip)]
    here: bool,
    pub(super) result: Word,
    /// Why it was renewed, or was not.
    why: Option<String>,
    cert: PathBuf,
    key: PathBuf,
    /// When the certificate ends that lies there now.
    pub(super) not_after: Option<UnixTime>,
    /// When it is to be renewed.
    due: Option<UnixTime>,
    /// What to do about a failure.
    hint: Option<String>,
}

impl Outcome {
    fn new(target: &Target, result: Word, why: Option<String>) -> Self {
        Self {
            daemon: target.daemon.program(),
            host: target.place.host(),
            here: target.place == Place::Here,
            result,
            why,
            cert: target.config.cert.clone(),
            key: target.config.key.clone(),
            not_after: None,
            due: None,
            hint: None,
        }
    }

    /// For a pair that stays.
    pub(super) fn stays(target: &Target, result: Word, why: Option<String>, facts: &DaemonFacts) -> Self {
        let not_after = facts.leaf.as_ref().map(|leaf| leaf.not_after);
        Self { not_after, due: facts.due, ..Self::new(target, result, why) }
    }

    /// For a pair that is this host's own.
    pub(super) fn shared(target: &Target) -> Self {
        Self::new(target, Word::Shared, Some("on storage that both have".into()))
    }

    /// For a pair that takes the old one's place, or would.
    pub(super) fn renews(target: &Target, result: Word, why: String, not_after: UnixTime) -> Self {
        Self { not_after: Some(not_after), ..Self::new(target, result, Some(why)) }
    }

    /// For one that cannot be renewed.
    pub(super) fn failed(target: &Target, error: &anyhow::Error) -> Self {
        let why = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let advice = error.chain().find_map(|cause| cause.downcast_ref::<crate::advice::Advice>());
        let hint = advice.map(|advice| advice.hint.clone());
        Self { hint, ..Self::new(target, Word::Failed, Some(why)) }
    }

    /// Says it: failures as warnings, all others as results. `activates`: whether the daemon is looked at next.
    pub(super) fn say(&self, activates: bool, now: UnixTime) {
        let whose =
            if self.here { self.daemon.to_owned() } else { format!("{} on {}", self.daemon, self.host) };
        let why = self.why.as_deref().unwrap_or_default();
        let until =
            self.not_after.map(|end| format!(" until {}", moment::shown(end, now))).unwrap_or_default();
        match self.result {
            Word::Renewed if activates => report::line(&format!("{whose}: renewed{until} ({why})")),
            Word::Renewed => report::line(&format!(
                "{whose}: renewed{until} ({why}); it is loaded at the next start, --activate restarts the daemon"
            )),
            Word::WouldRenew => report::line(&format!("{whose}: would be renewed{until} ({why})")),
            Word::NotDue => {
                let due =
                    self.due.map(|due| format!(" before {}", moment::shown(due, now))).unwrap_or_default();
                report::line(&format!("{whose}: not due{due}"));
            }
            Word::Held => report::line(&format!("{whose}: due, and not renewed: {why}")),
            Word::Shared => report::line(&format!("{whose}: has this host's own files ({why})")),
            Word::Failed => {
                let hint = self.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                report::warning(&format!("{whose}: not renewed: {why}{hint}"));
            }
        }
    }
}
