//! Many files of one folder at once: ten thousand nodes in one command without ten thousand syncs.
//!
//! Every file is first written beside its place; then all of them are made durable together; then each
//! is renamed into its place; then the folder is synced once. So no file ever stands in its place
//! before its contents are on the disk: a power failure leaves old or new files, each one whole, just
//! as with [`NewFile::replace`] one by one. A kill leaves some of the files new and the rest old.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::{Beside, NewFile, Owner};

/// Up to here each file is synced by itself: syncfs(2) waits for whatever else the file system has to
/// write, which on a controller can be slurmctld's state.
const FEW: usize = 16;

/// Files of one folder, owner and mode that are to appear together.
#[derive(Debug)]
pub struct Batch<'a> {
    folder: &'a Path,
    mode: u32,
    owner: Option<Owner>,
    pending: Vec<(Beside, PathBuf)>,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    #[must_use]
    pub fn new(folder: &'a Path, mode: u32, owner: Option<Owner>) -> Self {
        Self { folder, mode, owner, pending: Vec::new() }
    }

    /// Writes a file beside its place. It gets there with [`commit`](Self::commit).
    ///
    /// # Errors
    /// When it cannot be written; the batch stays as it was.
    pub fn add(&mut self, file_name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(file_name);
        let file = NewFile::new(&path, self.mode).owned_by(self.owner).not_synced();
        let written = file.write_beside(bytes)?;
        self.pending.push((written, path));
        Ok(())
    }

    /// Puts all files into their places, replacing what is there; `each` is called once per file.
    ///
    /// # Errors
    /// When a step fails; files that are not in their places by then never get there.
    pub fn commit(self, mut each: impl FnMut()) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let failed = || Error::write(self.folder);
        let folder = File::open(self.folder).map_err(failed())?;
        if self.pending.len() <= FEW {
            for (written, path) in &self.pending {
                File::open(written.path()).and_then(|file| file.sync_all()).map_err(Error::write(path))?;
            }
        } else {
            rustix::fs::syncfs(&folder).map_err(|e| failed()(e.into()))?;
        }
        for (written, path) in self.pending {
            fs::rename(written.path(), &path).map_err(Error::write(&path))?;
            written.forget();
            each();
        }
        folder.sync_all().map_err(failed())
    }
}

/// Removes what a killed [`Batch`] or [`NewFile`] left of files that end in `ending`. The caller holds the
/// lock under which such files are written, so their writers are gone.
///
/// # Errors
/// When the folder cannot be read, or a file in it not be removed.
pub fn sweep(folder: &Path, ending: &str) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        let name = entry.file_name();
        if target_of(&name.to_string_lossy()).is_some_and(|target| target.ends_with(ending)) {
            fs::remove_file(entry.path()).map_err(Error::write(&entry.path()))?;
        }
    }
    Ok(())
}

/// The file that `.NAME.PID.RANDOM.tmp` was to become.
fn target_of(name: &str) -> Option<&str> {
    let mut parts = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplitn(3, '.');
    let (_random, _pid) = (parts.next()?, parts.next()?);
    parts.next()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_with_the_commit_and_not_before() {
        for many in [2, FEW + 1] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("0"), "old").unwrap();
            let mut batch = Batch::new(folder.path(), 0o600, None);
            for n in 0..many {
                batch.add(&n.to_string(), b"new").unwrap();
            }
            assert_eq!(fs::read(folder.path().join("0")).unwrap(), b"old");
            let mut count = 0;
            batch.commit(|| count += 1).unwrap();
            assert_eq!(count, many);
            assert_eq!(names(folder.path()).len(), many);
            for name in names(folder.path()) {
                let path = folder.path().join(name);
                assert_eq!(fs::read(&path).unwrap(), b"new");
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
            }
        }
    }

    #[test]
    fn a_batch_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(folder.path(), 0o600, None);
        batch.add("a", b"x").unwrap();
        drop(batch);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_a_kill_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = [".lock", ".n1.json.1.used.77.0badcafe.tmp", "n1.json", "x.tmp"];
        for name in kept.into_iter().chain([".n1.json.77.0badcafe.tmp"]) {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        sweep(folder.path(), ".json").unwrap();
        assert_eq!(names(folder.path()), kept);
    }
}
