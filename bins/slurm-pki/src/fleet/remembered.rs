//! What commands remember of hosts from one run to the next: one JSON file for each kind, in `<state_dir>/fleet`.

use std::fs::File;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use site::Error;
use site::file::{self, Keep, NewFile, Owner};
use site::lock;

use crate::admin::{Admin, make_below, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};

/// As long as a list of all hosts of the largest cluster.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// Below state_dir.
const FOLDER: &str = "fleet";

/// Such a file.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    state_dir: PathBuf,
    path: PathBuf,
    owner: Option<Owner>,
}

impl Remembered {
    /// The one of this name.
    pub(crate) fn named(admin: &Admin, name: &str) -> Self {
        let state_dir = admin.top().state_dir.clone();
        let path = state_dir.join(FOLDER).join(name);
        Self { state_dir, path, owner: admin.slurm_user().ok() }
    }

    /// Reads it; nothing when there is no such file. `hint`: what to do about one that is not ours.
    ///
    /// # Errors
    /// Then, or when it cannot be read.
    pub(crate) fn read<T: DeserializeOwned + Default>(&self, hint: &str) -> anyhow::Result<T> {
        match file::read_if_there(&self.path, Keep::Intact, MAX_FILE).advise()? {
            None => Ok(T::default()),
            Some(text) => serde_json::from_slice(text.expose())
                .map_err(|e| Advice::new(format!("{}: {e}", self.path.display()), hint).into()),
        }
    }

    /// Reads it, changes it and writes it, while no other command does: what another one remembered since this one began
    /// stays. `change` says whether it changed anything.
    ///
    /// # Errors
    /// When it cannot be read or written, or another command keeps it.
    pub(crate) fn change<T: DeserializeOwned + Default + Serialize>(
        &self,
        hint: &str,
        change: impl FnOnce(&mut T) -> bool,
    ) -> anyhow::Result<T> {
        let _lock = self.lock()?;
        let mut all = self.read(hint)?;
        if change(&mut all) {
            self.write(&all)?;
        }
        Ok(all)
    }

    /// On a file of its own: the other one is replaced at each change.
    fn lock(&self) -> anyhow::Result<File> {
        self.prepare_folder()?;
        let path = self.path.with_extension("lock");
        let lock = file::open_to_append(&path, 0o600).advise()?;
        lock::wait_for(&lock, &path, lock::AMONG_COMMANDS).advise()?;
        Ok(lock)
    }

    fn prepare_folder(&self) -> anyhow::Result<()> {
        let folder = self.state_dir.join(FOLDER);
        refuse_links_of_others(&folder)?;
        make_below(&self.state_dir, &folder, 0o755, self.owner)
    }

    /// Writes it anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, all: &impl Serialize) -> anyhow::Result<()> {
        self.prepare_folder()?;
        let text = serde_json::to_vec_pretty(all).map_err(|e| Error::write(&self.path)(e.into())).advise()?;
        NewFile::new(&self.path, 0o644).owned_by(self.owner).replace(&text).advise()
    }
}
