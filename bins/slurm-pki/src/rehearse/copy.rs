//! A private copy of the live config, with a key folder and a ledger of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use site::config::ConfigFile;
use site::file::{self, Keep, NewFile, Owner, make_folder};
use tempfile::TempDir;
use toml::{Table, Value};

use crate::advice::{Advice, Advise as _};

/// The bound that the programs have too.
const MAX_CONFIG: usize = 256 * 1024;

/// A copy that goes away with this value.
#[derive(Debug)]
pub(super) struct Copy {
    folder: TempDir,
    table: Table,
}

impl Copy {
    /// Reads the live config again, as text: what the programs do not know must survive.
    ///
    /// # Errors
    /// When it cannot be read, or no temporary folder can be made.
    pub(super) fn of(config: &ConfigFile) -> anyhow::Result<Self> {
        let text = file::read_if_there(config.path(), Keep::Intact, MAX_CONFIG).advise()?;
        let table = match &text {
            Some(text) => std::str::from_utf8(text.expose())?.parse()?,
            None => Table::new(),
        };
        let folder = tempfile::Builder::new().prefix("slurm-pki-rehearsal.").tempdir_in(open_to_others())?;
        let mut copy = Self { folder, table };
        copy.set("node", "key_dir", copy.path("keys"))?;
        copy.set("controller", "ledger", copy.path("ledger"))?;
        Ok(copy)
    }

    /// Where something of this copy's own lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets a key to a path or another text.
    ///
    /// # Errors
    /// When it is not UTF-8, which TOML has to be.
    pub(super) fn set(&mut self, section: &str, key: &str, value: impl AsRef<Path>) -> anyhow::Result<()> {
        let path = value.as_ref();
        let text = path.to_str().ok_or_else(|| {
            Advice::new(
                format!("{} cannot stand in a config", path.display()),
                "TMPDIR names the folder for temporary files; give it one whose name is UTF-8",
            )
        })?;
        let section = self.table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            section.insert(key.to_owned(), Value::from(text));
        }
        Ok(())
    }

    /// Writes the copy for programs that `user` will run (`None`: whoever runs this). The folder is the
    /// user's alone, and given away last.
    ///
    /// # Errors
    /// When it cannot be written.
    #[expect(
        clippy::disallowed_methods,
        reason = "where temporary folders are made nobody exchanges those of root"
    )]
    pub(super) fn write(&self, user: Option<Owner>) -> anyhow::Result<PathBuf> {
        make_folder(&self.path("keys"), 0o700, user).advise()?;
        make_folder(&self.path("ledger"), 0o700, user).advise()?;
        let path = self.path("slurm-pki.toml");
        NewFile::new(&path, 0o644).not_synced().replace(self.table.to_string().as_bytes()).advise()?;
        if let Some(Owner { uid, gid }) = user {
            chown(self.folder.path(), Some(uid), Some(gid))?;
        }
        Ok(path)
    }
}

/// The folder for temporary files, unless only its owner gets in (pam_tmpdir): SlurmUser must.
fn open_to_others() -> PathBuf {
    let named = std::env::temp_dir();
    let enters = |folder: &Path| fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o001 != 0);
    let root = rustix::process::geteuid().is_root();
    if root && !named.ancestors().all(enters) { PathBuf::from("/tmp") } else { named }
}
