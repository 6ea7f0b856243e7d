//! What commands remember of hosts from one run to the next: one JSON file for each kind, in `<state_dir>/fleet`.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use site::Error;
use site::file::{self, Keep, NewFile, Owner, make_folder};

use crate::admin::{Admin, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};

/// As long as a list of all hosts of the largest cluster.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// Such a file.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    path: PathBuf,
    owner: Option<Owner>,
}

impl Remembered {
    /// The one of this name.
    pub(crate) fn named(admin: &Admin, name: &str) -> Self {
        let path = admin.top().state_dir.join("fleet").join(name);
        Self { path, owner: admin.slurm_user().ok() }
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

    /// Writes it anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, all: &impl Serialize) -> anyhow::Result<()> {
        if let Some(folder) = self.path.parent() {
            refuse_links_of_others(folder)?;
            make_folder(folder, 0o755, self.owner).advise()?;
        }
        let text = serde_json::to_vec_pretty(all).map_err(|e| Error::write(&self.path)(e.into())).advise()?;
        NewFile::new(&self.path, 0o644).owned_by(self.owner).replace(&text).advise()
    }
}
