//! What was activated last at daemons that cannot be asked: restarted once for each certificate, and not at every run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use pki::x509::X509;
use site::Error;
use site::file::{self, Keep, NewFile, Owner, make_folder};

use crate::admin::{Admin, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::cert::target::Target;

/// As long as a list of all hosts of the largest cluster.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// Daemon and host, and the fingerprint of the certificate that it was last restarted with:
/// `<state_dir>/fleet/activated.json`.
#[derive(Debug)]
pub(super) struct Marks {
    path: PathBuf,
    owner: Option<Owner>,
    known: Mutex<BTreeMap<String, String>>,
}

impl Marks {
    /// Reads them; none when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not ours.
    pub(super) fn load(admin: &Admin) -> anyhow::Result<Self> {
        let path = admin.top().state_dir.join("fleet/activated.json");
        let known = match file::read_if_there(&path, Keep::Intact, MAX_FILE).advise()? {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_slice(text.expose()).map_err(|e| {
                Advice::new(
                    format!("{}: {e}", path.display()),
                    "remove it; daemons that cannot be asked are then restarted once more",
                )
            })?,
        };
        Ok(Self { path, owner: admin.slurm_user().ok(), known: Mutex::new(known) })
    }

    /// Whether the daemon was restarted with this certificate already.
    pub(super) fn has(&self, target: &Target, leaf: &X509) -> bool {
        let known = self.known.lock();
        known.is_ok_and(|known| known.get(&key(target)).is_some_and(|mark| *mark == leaf.fingerprint()))
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn note(&self, target: &Target, leaf: &X509) -> anyhow::Result<()> {
        let Ok(mut known) = self.known.lock() else { return Ok(()) };
        known.insert(key(target), leaf.fingerprint());
        if let Some(folder) = self.path.parent() {
            refuse_links_of_others(folder)?;
            make_folder(folder, 0o755, self.owner).advise()?;
        }
        let text =
            serde_json::to_vec_pretty(&*known).map_err(|e| Error::write(&self.path)(e.into())).advise()?;
        NewFile::new(&self.path, 0o644).owned_by(self.owner).replace(&text).advise()
    }
}

fn key(target: &Target) -> String {
    let nodes: Vec<&str> = target.nodes.iter().map(pki::name::NodeName::as_str).collect();
    format!("{} {} {}", target.daemon.short(), target.place.host(), nodes.join(",")).trim_end().to_owned()
}
