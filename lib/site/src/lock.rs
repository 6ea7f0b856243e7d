//! Taking a lock, and waiting for one, never for ever: who owns the folder of a lock file can hold the lock as long as he
//! likes, and root must not hang on that without a word.

use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::error::Error;

/// As long as a command of an admin's waits for another one that only reads and writes files.
pub const AMONG_COMMANDS: Duration = Duration::from_secs(30);

/// The first pause between two looks: whoever has the lock mostly writes one line.
const FIRST_PAUSE: Duration = Duration::from_micros(100);

/// The longest pause is this part of the whole wait.
const PAUSES: u32 = 400;

/// Locks an open file for this process alone; it ends with the handle. `false` when somebody else has it. `path`: for
/// messages.
///
/// # Errors
/// When the file system has no locks.
pub fn try_now(file: &File, path: &Path) -> Result<bool, Error> {
    match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(Error::write(path)(e.into())),
    }
}

/// The same, and waits for it where somebody else has it.
///
/// # Errors
/// [`Error::Busy`] when somebody else had it all the time; and as [`try_now`].
pub fn wait_for(file: &File, path: &Path, at_most: Duration) -> Result<(), Error> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    while !try_now(file, path)? {
        if begun.elapsed() >= at_most {
            return Err(Error::Busy { path: path.to_owned() });
        }
        sleep(pause);
        pause = (pause * 2).min(at_most / PAUSES);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn open(path: &Path) -> File {
        crate::file::open_to_append(path, 0o600).unwrap()
    }

    /// A lock that somebody has until the file is dropped, and where it lies until the folder is.
    fn held() -> (tempfile::TempDir, PathBuf, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let held = open(&path);
        assert!(try_now(&held, &path).unwrap());
        (folder, path, held)
    }

    #[test]
    fn a_lock_is_had_at_once_or_not_at_all_by_who_does_not_wait() {
        let (_folder, path, held) = held();
        let other = open(&path);
        assert!(!try_now(&other, &path).unwrap());
        drop(held);
        assert!(try_now(&other, &path).unwrap());
    }

    #[test]
    fn what_cannot_be_locked_is_an_error_and_nobody_at_work() {
        let path = Path::new("/dev/null");
        let no_lock = rustix::fs::open(path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let error = try_now(&no_lock.into(), path).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
    }

    #[test]
    fn a_lock_that_somebody_keeps_is_an_error_that_names_it() {
        let (_folder, path, _held) = held();
        let error = wait_for(&open(&path), &path, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_lock_that_is_given_back_meanwhile_is_had() {
        let (_folder, path, held) = held();
        let (begun, waits) = mpsc::channel();
        let other = path.clone();
        let waiting = thread::spawn(move || {
            begun.send(()).unwrap();
            wait_for(&open(&other), &other, Duration::from_secs(600))
        });
        waits.recv().unwrap();
        drop(held);
        waiting.join().unwrap().unwrap();
    }
}
