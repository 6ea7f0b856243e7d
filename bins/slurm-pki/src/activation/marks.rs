//! What was activated last at daemons that cannot be asked: restarted once for each certificate, and not at every run.

use std::collections::BTreeMap;
use std::sync::Mutex;

use pki::x509::X509;

use crate::admin::Admin;
use crate::cert::target::Target;
use crate::fleet::Remembered;

/// Daemon and host, and the fingerprint of the certificate that it was last restarted with:
/// `<state_dir>/fleet/activated.json`.
#[derive(Debug)]
pub(super) struct Marks {
    file: Remembered,
    known: Mutex<BTreeMap<String, String>>,
}

impl Marks {
    /// Reads them; none when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not ours.
    pub(super) fn load(admin: &Admin) -> anyhow::Result<Self> {
        let file = Remembered::named(admin, "activated.json");
        let known = file.read("remove it; daemons that cannot be asked are then restarted once more")?;
        Ok(Self { file, known: Mutex::new(known) })
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
        self.file.write(&*known)
    }
}

fn key(target: &Target) -> String {
    let nodes: Vec<&str> = target.nodes.iter().map(pki::name::NodeName::as_str).collect();
    format!("{} {} {}", target.daemon.short(), target.place.host(), nodes.join(",")).trim_end().to_owned()
}
