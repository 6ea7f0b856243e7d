//! How far a rotation has come: `<state_dir>/auth-key/state.json`, replaced by one rename. It says what is being reached
//! before the files that make it so, and no secret: whoever changes it has no list delivered that daemons would refuse.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use pki::time::UnixTime;
use serde::{Deserialize, Serialize};
use site::file::{self, Keep};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};

/// As long as a list of all hosts of the largest cluster.
const MAX_STATE: usize = 16 * 1024 * 1024;

const VERSION: u32 = 1;

/// What is being reached, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// The first key, brought to every host.
    Init,
    /// slurm.key's bytes in a slurm.jwks that all have loaded.
    Import,
    /// A new key that all have loaded, and nobody signs with.
    Add,
    /// All sign with it.
    Use,
    /// The old one leaves.
    Drop,
    /// Aborted: all sign with the old key again.
    Return,
    /// Aborted: the new one leaves.
    Remove,
}

impl Phase {
    /// The command that completes it.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Init => "slurm-pki auth-key init --everywhere",
            Self::Import => "slurm-pki auth-key import",
            Self::Add => "slurm-pki auth-key add",
            Self::Use => "slurm-pki auth-key use",
            Self::Drop => "slurm-pki auth-key drop",
            Self::Return | Self::Remove => "slurm-pki auth-key abort",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Import => "import",
            Self::Add => "add",
            Self::Use => "use",
            Self::Drop => "drop",
            Self::Return => "return",
            Self::Remove => "remove",
        })
    }
}

/// One that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    pub(super) phase: Phase,
    /// Since when it is this phase.
    pub(super) since: UnixTime,
    /// When all began.
    pub(super) begun: UnixTime,
    /// When every daemon had shown that it loaded this phase's list.
    pub(super) done: Option<UnixTime>,
    /// What signed before; none at `init` and `import`.
    pub(super) old: Option<String>,
    /// What is to sign.
    pub(super) new: String,
    /// When all had loaded the new key: a step manager that is older does not know it.
    pub(super) added: Option<UnixTime>,
    /// Whether the old key is known to others, and hosts that are not reached hold nothing up.
    pub(super) compromised: bool,
    /// Nodes, images and sources that somebody has said may miss the new key.
    pub(super) named: Vec<String>,
    /// Daemons that have loaded this phase's list.
    pub(super) confirmed: Vec<String>,
    /// Daemons that have not, and why.
    pub(super) behind: BTreeMap<String, String>,
}

impl Rotation {
    pub(super) fn begun(phase: Phase, old: Option<String>, new: String, now: UnixTime) -> Self {
        Self {
            phase,
            since: now,
            begun: now,
            done: None,
            old,
            new,
            added: None,
            compromised: false,
            named: Vec::new(),
            confirmed: Vec::new(),
            behind: BTreeMap::new(),
        }
    }

    /// Goes on to another phase, which nobody has reached yet.
    pub(super) fn enter(&mut self, phase: Phase, now: UnixTime) {
        if self.phase != phase {
            (self.phase, self.since, self.done) = (phase, now, None);
            self.confirmed.clear();
            self.behind.clear();
        }
    }
}

/// What is known of a key besides what the list says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    /// When it was made.
    pub(super) created: UnixTime,
}

/// All of it. Unknown members are refused: they mean something to the version that wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    v: u32,
    /// What is under way.
    pub(super) rotation: Option<Rotation>,
    /// The keys that were made here, by kid.
    pub(super) keys: BTreeMap<String, Made>,
}

impl Default for State {
    fn default() -> Self {
        Self { v: VERSION, rotation: None, keys: BTreeMap::new() }
    }
}

impl State {
    /// The file's text.
    pub(super) fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        Ok([serde_json::to_vec_pretty(self)?, b"\n".to_vec()].concat())
    }

    /// Reads it; nothing is under way where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or has no meaning here.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = match file::read_itself(path, Keep::Intact, MAX_STATE) {
            Err(e) if e.is_not_found() => return Ok(Self::default()),
            read => read.advise()?,
        };
        match serde_json::from_slice::<Self>(text.expose()) {
            Ok(state) if state.v != VERSION => {
                Err(unreadable(path, &format!("version {} is not known here", state.v)))
            }
            Ok(state) if !state.names_are_kids() => Err(unreadable(path, "a key's name in it is no UUID")),
            Ok(state) => Ok(state),
            Err(e) => Err(unreadable(path, &format!("line {}, column {}", e.line(), e.column()))),
        }
    }

    /// The new key's name is written into a file of root's: only what was made here.
    fn names_are_kids(&self) -> bool {
        self.rotation.as_ref().is_none_or(|rotation| uuid::Uuid::parse_str(&rotation.new).is_ok())
    }
}

fn unreadable(path: &Path, why: &str) -> anyhow::Error {
    Advice::new(
        format!("{}: {why}", path.display()),
        "use the version of slurm-pki that wrote it, or bring the file back from a backup; without it nothing is under way",
    )
    .into()
}

/// The folder of it.
pub(super) fn folder(admin: &Admin) -> PathBuf {
    admin.top().state_dir.join("auth-key")
}

/// Where it lies.
pub(super) fn path(admin: &Admin) -> PathBuf {
    folder(admin).join("state.json")
}
