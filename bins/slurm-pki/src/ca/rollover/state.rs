//! How far a rollover has come: `<state_dir>/ca/rollover.json`, replaced by one rename. It says what is being
//! reached, before the files that make it so.

use std::fmt;
use std::path::{Path, PathBuf};

use pki::time::UnixTime;
use pki::x509::X509;
use serde::{Deserialize, Serialize};
use site::file::{self, Keep};

use super::in_vault::Issuers;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};

/// Far longer than any.
const MAX_STATE: usize = 64 * 1024;

const VERSION: u32 = 1;

/// Where a rollover stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// The new CA is made and goes into every bundle; the old one issues.
    Begun,
    /// The new CA issues, its cross certificate beside each leaf.
    Switched,
    /// All have shown that they do without the old root, and it goes from every bundle.
    Finishing,
    /// The old CA issues again, and the new root goes from every bundle.
    Aborting,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begun => "begun",
            Self::Switched => "switched",
            Self::Finishing => "finishing",
            Self::Aborting => "aborting",
        })
    }
}

/// A CA, as people compare them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// Subject: what the ledger calls issuer.
    pub(super) subject: String,
    /// SHA-256 of its certificate, lower-case hex.
    pub(super) sha256: String,
    /// Its end.
    pub(super) not_after: UnixTime,
}

impl Named {
    pub(super) fn of(ca: &X509) -> Self {
        let facts = ca.facts();
        Self { subject: facts.subject.clone(), sha256: ca.fingerprint(), not_after: facts.not_after }
    }
}

/// The whole of it. Unknown members are refused: they mean something to the version that wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    v: u32,
    /// What is being reached, or was.
    pub(super) phase: Phase,
    /// Since when.
    pub(super) since: UnixTime,
    /// When the rollover began.
    pub(super) begun: UnixTime,
    /// What issued until now.
    pub(super) old: Named,
    /// What issues from `switch` on.
    pub(super) new: Named,
    /// The trusted certificates above the old CA, by SHA-256: `finish` drops them.
    pub(super) leaving: Vec<String>,
    /// Where the CA is in Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vault: Option<Issuers>,
}

impl State {
    pub(super) fn begun(
        old: &X509,
        new: &X509,
        leaving: Vec<String>,
        vault: Option<Issuers>,
        now: UnixTime,
    ) -> Self {
        let (old, new) = (Named::of(old), Named::of(new));
        Self { v: VERSION, phase: Phase::Begun, since: now, begun: now, old, new, leaving, vault }
    }

    /// The file's text.
    pub(super) fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        Ok([serde_json::to_vec_pretty(self)?, b"\n".to_vec()].concat())
    }

    /// Reads it; `None` when no rollover is under way.
    ///
    /// # Errors
    /// When it cannot be read, or has no meaning here.
    pub(super) fn load(path: &Path) -> anyhow::Result<Option<Self>> {
        let Some(text) = file::read_if_there(path, Keep::Intact, MAX_STATE).advise()? else {
            return Ok(None);
        };
        match serde_json::from_slice::<Self>(text.expose()) {
            Ok(state) if state.v == VERSION => Ok(Some(state)),
            Ok(state) => Err(unreadable(path, &format!("version {} is not known here", state.v))),
            Err(e) => Err(unreadable(path, &e.to_string())),
        }
    }
}

fn unreadable(path: &Path, why: &str) -> anyhow::Error {
    Advice::new(
        format!("{}: {why}", path.display()),
        "use the version of slurm-pki that wrote it, or bring the file back from a backup",
    )
    .into()
}

/// Where it lies.
pub(super) fn path(admin: &Admin) -> PathBuf {
    admin.top().state_dir.join("ca/rollover.json")
}

/// For commands that would put another CA in the place of one that is on its way.
///
/// # Errors
/// When a rollover is under way.
pub(in crate::ca) fn refuse_while_under_way(admin: &Admin) -> anyhow::Result<()> {
    match State::load(&path(admin))? {
        None => Ok(()),
        Some(state) => Err(Advice::new(
            format!("a CA rollover is under way ({}, to {})", state.phase, state.new.subject),
            "see slurm-pki ca rollover status; finish or abort it first",
        )
        .into()),
    }
}
