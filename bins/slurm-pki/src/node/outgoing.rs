//! `<state_dir>/outgoing`: secrets that wait to be bundled, the only place where the controller has them.

use std::fs;
use std::path::{Path, PathBuf};

use pki::name::NodeName;
use pki::record::Record;
use pki::token::{MAX_TOKEN, NodeSecret};
use site::Error;
use site::batch::{self, Batch};
use site::file::{self, Keep, Owner};

const FOLDER_MODE: u32 = 0o700;

/// As on the node itself.
const FILE_MODE: u32 = 0o400;

const ENDING: &str = "_token.txt";

/// The folder of waiting secrets. It is changed only under the store's lock.
#[derive(Debug)]
pub(crate) struct Outgoing {
    folder: PathBuf,
}

impl Outgoing {
    /// The folder below a state_dir.
    pub(crate) fn below(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("outgoing") }
    }

    /// Makes the folder where it is missing, and takes away what killed commands left in it.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub(crate) fn prepare(&self, owner: Option<Owner>) -> Result<(), Error> {
        file::make_folder(&self.folder, FOLDER_MODE, owner)?;
        batch::sweep(&self.folder, ENDING)
    }

    /// The secret that waits for a node: one of ours. SlurmUser could have linked a file here that only root
    /// reads, to be told of what is in it.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub(crate) fn waiting(&self, name: &NodeName) -> Result<Option<NodeSecret>, Error> {
        let path = self.path(name);
        match file::read_if_there(&path, Keep::Secret, MAX_TOKEN + 64)? {
            Some(text) => {
                let secret = NodeSecret::from_token_file(text.expose()).map_err(Error::contents(&path))?;
                if secret.is_foreign() { Err(not_ours(path)) } else { Ok(Some(secret)) }
            }
            None => Ok(None),
        }
    }

    /// Whether a secret waits for a node.
    pub(crate) fn has(&self, name: &NodeName) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Puts secrets there, all of them durable when this returns.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(crate) fn put<'a>(
        &self,
        secrets: impl IntoIterator<Item = (&'a NodeName, &'a NodeSecret)>,
        each: impl FnMut(),
    ) -> Result<(), Error> {
        let mut batch = Batch::new(&self.folder, FILE_MODE)?.owned_as_its_folder()?;
        for (name, secret) in secrets {
            batch.add(&format!("{name}{ENDING}"), secret.to_token_file().expose())?;
        }
        batch.commit(each)
    }

    /// The secret has left, or must never be used.
    ///
    /// # Errors
    /// When it is there but cannot be removed.
    pub(crate) fn remove(&self, name: &NodeName) -> Result<(), Error> {
        file::remove(&self.path(name)).map(drop)
    }

    fn path(&self, name: &NodeName) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }
}

fn not_ours(path: PathBuf) -> Error {
    Error::Contents {
        why: "it is no secret that slurm-pki made".into(),
        hint: "remove it: the next secret of this node then takes its place".into(),
        path,
    }
}

/// The record of a secret among a node's, if it has one.
pub(crate) fn record_of<'a>(secret: &NodeSecret, records: &'a [Record]) -> Option<&'a Record> {
    let digest = secret.token().digest();
    records.iter().find(|record| record.token == digest)
}
