//! What a rollover that is under way looks like to commands that only show it.

use pki::time::UnixTime;
use serde::Serialize;

use super::state::{self, State};
use crate::admin::Admin;

/// A rollover that has begun and is neither finished nor aborted.
#[derive(Debug, Serialize)]
pub(crate) struct UnderWay {
    /// How far it is.
    pub(crate) phase: String,
    /// Since when it is that far.
    pub(crate) since: UnixTime,
    /// When it began.
    pub(crate) begun: UnixTime,
    /// The CA that goes.
    pub(crate) old: String,
    /// The CA that comes.
    pub(crate) new: String,
}

impl UnderWay {
    /// Reads it; `None` when there is none.
    ///
    /// # Errors
    /// When its file cannot be read, or has no meaning here.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Option<Self>> {
        let state = State::load(&state::path(admin))?;
        Ok(state.map(|state| Self {
            phase: state.phase.to_string(),
            since: state.since,
            begun: state.begun,
            old: state.old.subject,
            new: state.new.subject,
        }))
    }
}
