//! The only place that writes: the answer once and whole, or the error once and whole.

use pki::secret::Secret;
use rustix::io::{Errno, write};
use rustix::stdio::{stderr, stdout};

/// A program's answer.
#[derive(Debug)]
pub enum Output {
    /// The exit status says it all.
    Nothing,
    /// A request or a certificate.
    Public(String),
    /// A token or a private key.
    Secret(Secret),
}

impl Output {
    /// Writes the answer to stdout. No buffer in between keeps a copy of a secret.
    ///
    /// # Errors
    /// When not all of it could be written: Slurm must not take a part for the whole.
    pub(crate) fn print(&self) -> Result<(), Errno> {
        match self {
            Self::Nothing => Ok(()),
            Self::Public(text) => write_all(stdout(), text.as_bytes()),
            Self::Secret(secret) => write_all(stdout(), secret.expose()),
        }
    }
}

/// Writes an error's lines to stderr; there is nobody to tell when that fails.
pub(crate) fn complain(lines: &str) {
    let _ = write_all(stderr(), lines.as_bytes());
}

/// One write(2) for a pipe with room; more only where the kernel takes less.
fn write_all(to: impl std::os::fd::AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
