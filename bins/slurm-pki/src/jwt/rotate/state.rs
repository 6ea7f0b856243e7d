//! How far a rotation has come, on the disk before the first key changes: `<state_dir>/jwt-key/rotation.json`, and beside it
//! the new key and the former one, until it is over.

use std::fs::File;
use std::path::{Path, PathBuf};

use pki::secret::Secret;
use pki::time::UnixTime;
use serde::{Deserialize, Serialize};
use site::file::{self, Keep, NewFile, Owner};
use site::lock;

use super::copies::KeyCopy;
use crate::admin::{Admin, make_below, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::fleet::digest;

const VERSION: u32 = 1;

/// Far longer than any.
const MAX_STATE: usize = 256 * 1024;

/// What is in the folder, in the order in which it goes: the state last, so that nothing of a key stays behind unseen.
const NAMES: [&str; 3] = ["former.key", "new.key", "rotation.json"];

/// As long a key as is read at all.
pub(super) const MAX_KEY: usize = 64 * 1024;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// The new key takes the former one's place.
    Changing,
    /// The former key takes its place again.
    PuttingBack,
    /// It is over, one way or the other; what is left here goes.
    Over,
}

/// The whole of it. Unknown members are refused: they mean something to the version that wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    v: u32,
    pub(super) phase: Phase,
    pub(super) begun: UnixTime,
    /// SHA-256 of the key that goes.
    pub(super) former: String,
    /// SHA-256 of the key that comes.
    pub(super) new: String,
    /// Where it lies.
    pub(super) copies: Vec<KeyCopy>,
    /// Whether a daemon may have loaded the new one.
    pub(super) reloaded: bool,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    owner: Owner,
    _lock: File,
}

impl Folder {
    /// Opens it for this run alone.
    ///
    /// # Errors
    /// When it cannot be made, or another run is at work.
    pub(super) fn open(admin: &Admin, owner: Owner) -> anyhow::Result<Self> {
        let path = admin.top().state_dir.join("jwt-key");
        refuse_links_of_others(&path)?;
        make_below(&admin.top().state_dir, &path, 0o700, Some(owner))?;
        let lock_path = path.join(".lock");
        let lock = file::open_to_append(&lock_path, 0o600).advise()?;
        if !lock::try_now(&lock, &lock_path).advise()? {
            return Err(Advice::new(
                "another slurm-pki jwt key rotate is at work",
                "wait for its end, and run this again if it failed",
            )
            .into());
        }
        // A run that was killed leaves what it was writing, and that may be a key.
        NAMES.iter().try_for_each(|name| file::remove_leftovers(&path.join(name))).advise()?;
        Ok(Self { path, owner, _lock: lock })
    }

    /// Puts both keys and the state there, the state last: where it is, they are.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn begin(
        &self,
        former: &Secret,
        new: &Secret,
        copies: Vec<KeyCopy>,
        now: UnixTime,
    ) -> anyhow::Result<State> {
        for (name, key) in [("former.key", former), ("new.key", new)] {
            self.write(name, 0o400, key.expose())?;
        }
        let (former, new) = (digest(former.expose()), digest(new.expose()));
        let state =
            State { v: VERSION, phase: Phase::Changing, begun: now, former, new, copies, reloaded: false };
        self.save(&state)?;
        Ok(state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, state: &State) -> anyhow::Result<()> {
        let text = [serde_json::to_vec_pretty(state)?, b"\n".to_vec()].concat();
        self.write("rotation.json", 0o600, &text)
    }

    /// Reads a key that is kept here.
    ///
    /// # Errors
    /// When it is not there, or not the one that the state means.
    pub(super) fn key(&self, name: &str, wanted: &str) -> anyhow::Result<Secret> {
        let path = self.path.join(name);
        let key = file::read_itself(&path, Keep::Secret, MAX_KEY).advise()?;
        if digest(key.expose()) == wanted {
            return Ok(key);
        }
        Err(Advice::new(
            format!("{} is not the key that rotation.json beside it means", path.display()),
            "somebody changed it: bring it back from a backup, or end the rotation by hand: one key on slurmctld's and \
             slurmdbd's hosts, both reloaded, and this folder removed",
        )
        .into())
    }

    /// Marks it as over, and takes the keys away.
    ///
    /// # Errors
    /// When that cannot be written; the same command does it again.
    pub(super) fn end(&self, state: &mut State) -> anyhow::Result<()> {
        state.phase = Phase::Over;
        self.save(state)?;
        for name in NAMES {
            file::remove(&self.path.join(name)).advise()?;
        }
        Ok(())
    }

    fn write(&self, name: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(name);
        NewFile::new(&path, mode).owned_by(Some(self.owner)).replace(bytes).advise()
    }
}

impl State {
    /// Reads it; `None` when no rotation is under way.
    ///
    /// # Errors
    /// When it cannot be read, or has no meaning here.
    pub(super) fn load(admin: &Admin) -> anyhow::Result<Option<Self>> {
        let path = path(admin);
        let Some(text) = file::read_if_there(&path, Keep::Secret, MAX_STATE).advise()? else {
            return Ok(None);
        };
        match serde_json::from_slice::<Self>(text.expose()) {
            Ok(state) if state.v == VERSION => Ok(Some(state)),
            Ok(state) => Err(unreadable(&path, &format!("version {} is not known here", state.v))),
            Err(e) => Err(unreadable(&path, &e.to_string())),
        }
    }
}

/// Where it lies.
pub(super) fn path(admin: &Admin) -> PathBuf {
    admin.top().state_dir.join("jwt-key/rotation.json")
}

fn unreadable(path: &Path, why: &str) -> anyhow::Error {
    Advice::new(
        format!("{}: {why}", path.display()),
        "use the version of slurm-pki that wrote it, or bring the file back from a backup",
    )
    .into()
}
