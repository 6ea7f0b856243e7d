//! Owner and mode of a pair's two files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use site::file::{NewFile, Owner};

use super::{CERT_MODE, DaemonFiles, KEY_MODE};

/// What a key's mode may keep: nothing for others, whatever the old one allowed (slurm-contract.md 3.1).
const KEY_MASK: u32 = 0o660;

/// What a certificate's mode may keep.
const CERT_MASK: u32 = 0o664;

/// Owner and mode of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Permission bits.
    pub(crate) mode: u32,
    /// Whose it is.
    pub(crate) owner: Owner,
}

/// Those of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looks {
    /// The key's.
    pub(crate) key: Look,
    /// The certificate's.
    pub(crate) cert: Look,
}

impl Look {
    /// A file that is to look so.
    pub(super) fn file<'a>(&self, path: &'a Path) -> NewFile<'a> {
        NewFile::new(path, self.mode).owned_by(Some(self.owner))
    }

    fn on_disk(path: &Path) -> Option<Self> {
        Some((&fs::metadata(path).ok().filter(fs::Metadata::is_file)?).into())
    }
}

impl From<&fs::Metadata> for Look {
    fn from(metadata: &fs::Metadata) -> Self {
        let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
        Self { mode: metadata.mode() & 0o777, owner }
    }
}

impl Looks {
    /// A new pair's: the key is for its owner alone.
    pub(crate) fn new(owner: Owner) -> Self {
        Self { key: Look { mode: KEY_MODE, owner }, cert: Look { mode: CERT_MODE, owner } }
    }

    /// As an old pair's, less what no pair may have.
    pub(crate) fn masked(key: Look, cert: Look) -> Self {
        // Whoever owns it must be able to read it.
        let masked = |look: Look, mask: u32| Look { mode: look.mode & mask | 0o400, ..look };
        Self { key: masked(key, KEY_MASK), cert: masked(cert, CERT_MASK) }
    }

    /// As a daemon's files are on this disk, where they are.
    pub(crate) fn on_disk(files: &DaemonFiles) -> Option<Self> {
        Some(Self::masked(Look::on_disk(&files.key)?, Look::on_disk(&files.cert)?))
    }
}
