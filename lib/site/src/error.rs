//! What can be wrong with a site: one fact each, with the path in it and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use pki::explain::{Explain, shown};

use crate::folder::LinkOfOthers;

/// Why the site on disk cannot be used.
#[derive(Debug)]
pub enum Error {
    /// A file could not be read.
    Read {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    Write {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file that others could change or read: not used.
    Loose {
        /// Which.
        path: PathBuf,
        /// What is wrong with its type, owner or mode.
        why: String,
        /// The command that mends it.
        fix: String,
    },
    /// A file longer than the bound of its kind.
    TooLong {
        /// Which.
        path: PathBuf,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The config does not mean anything.
    Config {
        /// The config file, or a name for the defaults.
        path: PathBuf,
        /// What is wrong, with the key's name.
        why: String,
    },
    /// A file whose contents are refused.
    Contents {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Something that must be there is not.
    Missing {
        /// What, and where it was looked for.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Another process held a lock for too long.
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The kernel would not do something.
    System {
        /// What.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: a read that failed.
    pub fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// For `map_err`: a write that failed.
    pub fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// For `map_err`: contents that `pki` refuses.
    pub fn contents<E: Explain>(path: &Path) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |e| Self::Contents { path, why: e.to_string(), hint: e.hint() }
    }

    /// Whether a file was simply not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A path for a log line: what somebody put into it is escaped.
pub(crate) fn shown_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

/// What the kernel said, without Rust's "(os error 13)".
fn plain(source: &io::Error) -> String {
    if let Some(link) = LinkOfOthers::of(source) {
        return link.to_string();
    }
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "cannot read {}: {}", shown_path(path), plain(source))
            }
            Self::Write { path, source } => {
                write!(f, "cannot write {}: {}", shown_path(path), plain(source))
            }
            Self::Loose { path, why, .. } => write!(f, "{} is not used: {why}", shown_path(path)),
            Self::TooLong { path, limit } => {
                write!(f, "{} is not used: longer than {limit} bytes", shown_path(path))
            }
            Self::Config { path, why } => write!(f, "config {}: {why}", shown_path(path)),
            Self::Contents { path, why, .. } => write!(f, "{}: {why}", shown_path(path)),
            Self::Missing { what, .. } => f.write_str(what),
            Self::Busy { path } => write!(f, "waited too long for the lock {}", shown_path(path)),
            Self::System { what, source } => write!(f, "cannot {what}: {}", plain(source)),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } | Self::System { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

impl Explain for Error {
    fn hint(&self) -> String {
        match self {
            Self::Read { path, source } => read_hint(path, source),
            Self::Write { source, .. } => write_hint(source),
            Self::Loose { fix, .. } => format!("if its contents are still right: {fix}"),
            Self::TooLong { .. } => "see what is in it; a file of this kind is never that long".into(),
            Self::Config { .. } => {
                "every key is explained in the slurm-pki.toml that comes with the package".into()
            }
            Self::Contents { hint, .. } | Self::Missing { hint, .. } => hint.clone(),
            Self::Busy { .. } => "see who holds it with: fuser -v FILE; a stuck file system does too".into(),
            Self::System { .. } => "this is between the program and the kernel; see dmesg".into(),
        }
    }
}

fn link_hint(link: &LinkOfOthers) -> String {
    format!("see where it leads; if that is meant: chown -h root {}", shown_path(link.path()))
}

fn read_hint(path: &Path, source: &io::Error) -> String {
    if let Some(link) = LinkOfOthers::of(source) {
        return link_hint(link);
    }
    match source.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "it and its folders must be readable by uid {}; see: namei -l {}",
            rustix::process::geteuid().as_raw(),
            shown_path(path)
        ),
        io::ErrorKind::NotFound => {
            "create it with slurm-pki init or node bundle, or name another path in the config".into()
        }
        _ => "see the file system's state in dmesg".into(),
    }
}

fn write_hint(source: &io::Error) -> String {
    if let Some(link) = LinkOfOthers::of(source) {
        return link_hint(link);
    }
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that file system; nothing was issued and nothing is lost".into()
        }
        io::ErrorKind::PermissionDenied => format!(
            "its folder must belong to uid {} and be writable for it",
            rustix::process::geteuid().as_raw()
        ),
        io::ErrorKind::ReadOnlyFilesystem => "mount that file system writable, or name another path".into(),
        io::ErrorKind::NotFound => "its folder is missing: slurm-pki init makes it".into(),
        _ => "see the file system's state in dmesg".into(),
    }
}

/// Text that somebody else chose, for the `why` of an error.
pub(crate) fn quoted(text: &str) -> String {
    shown(text.as_bytes()).to_string()
}
