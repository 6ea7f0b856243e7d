//! Waiting for a lock, never for ever: who owns the folder of a lock file can hold the lock as long as he likes, and root
//! must not hang on that without a word.

use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::Error;

/// As long as a command of an admin's waits for another one that only reads and writes files.
pub const AMONG_COMMANDS: Duration = Duration::from_secs(30);

/// The first pause between two looks: whoever has the lock mostly writes one line.
const FIRST_PAUSE: Duration = Duration::from_micros(100);

/// The longest pause is this part of the whole wait.
const PAUSES: u32 = 400;

/// Locks an open file for this process alone; it ends with the handle. `path`: for messages.
///
/// # Errors
/// [`Error::Busy`] when somebody else had it all the time; and when the file system has no locks.
pub fn wait_for(file: &File, path: &Path, at_most: Duration) -> Result<(), Error> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(e) => return Err(Error::write(path)(e.into())),
        }
        if begun.elapsed() >= at_most {
            return Err(Error::Busy { path: path.to_owned() });
        }
        sleep(pause);
        pause = (pause * 2).min(at_most / PAUSES);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn open(path: &Path) -> File {
        crate::file::open_to_append(path, 0o600).unwrap()
    }

    #[test]
    fn a_lock_that_somebody_keeps_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let held = open(&path);
        wait_for(&held, &path, Duration::ZERO).unwrap();
        let error = wait_for(&open(&path), &path, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_lock_that_is_given_back_meanwhile_is_had() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let held = open(&path);
        wait_for(&held, &path, Duration::ZERO).unwrap();
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
