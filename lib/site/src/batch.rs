//! Many files of one folder at once: ten thousand nodes in one command without ten thousand syncs.
//!
//! Every file is first written beside its place; then all of them are made durable together; then each
//! is renamed into its place; then the folder is synced once. So no file ever stands in its place
//! before its contents are on the disk: a power failure leaves old or new files, each one whole, just
//! as with [`NewFile::replace`] one by one. A kill leaves some of the files new and the rest old.

use std::ffi::OsStr;
use std::path::Path;

use crate::error::Error;
use crate::file::{Beside, NewFile, Owner};
use crate::folder::Folder;

/// Up to here each file is synced by itself: syncfs(2) waits for whatever else the file system has to
/// write, which on a controller can be slurmctld's state.
const FEW: usize = 16;

/// Files of one folder, owner and mode that are to appear together.
#[derive(Debug)]
pub struct Batch {
    folder: Folder,
    mode: u32,
    owner: Option<Owner>,
    pending: Vec<Beside>,
}

impl Batch {
    /// An empty batch for a folder, which is held open from now on.
    ///
    /// # Errors
    /// When it is not there, or somebody else's link is on root's way to it.
    pub fn new(folder: &Path, mode: u32) -> Result<Self, Error> {
        let folder = Folder::open(folder).map_err(Error::write(folder))?;
        Ok(Self { folder, mode, owner: None, pending: Vec::new() })
    }

    /// The same, its files the folder's owner's: what root writes into SlurmUser's folders must stay SlurmUser's. For
    /// everybody else it changes nothing.
    ///
    /// # Errors
    /// When the folder does not say whose it is.
    pub fn owned_as_its_folder(self) -> Result<Self, Error> {
        let owner = self.folder.owner().map_err(Error::write(self.folder.path()))?;
        Ok(Self { owner, ..self })
    }

    /// Writes a file beside its place. It gets there with [`commit`](Self::commit).
    ///
    /// # Errors
    /// When it cannot be written; the batch stays as it was.
    pub fn add(&mut self, file_name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.path().join(file_name);
        let file = NewFile::new(&path, self.mode).owned_by(self.owner).not_synced();
        self.pending.push(file.write_in(&self.folder, OsStr::new(file_name), bytes)?);
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
        let failed = || Error::write(self.folder.path());
        if self.pending.len() <= FEW {
            self.pending.iter().try_for_each(Beside::sync)?;
        } else {
            self.folder.sync_file_system().map_err(failed())?;
        }
        for written in self.pending {
            written.take_place().map(drop)?;
            each();
        }
        self.folder.sync().map_err(failed())
    }
}

/// Removes what a killed [`Batch`] or [`NewFile`] left of files that end in `ending`. The caller holds the
/// lock under which such files are written, so their writers are gone.
///
/// # Errors
/// When the folder cannot be read, or a file in it not be removed.
pub fn sweep(folder: &Path, ending: &str) -> Result<(), Error> {
    let sweep = || {
        let folder = Folder::open(folder)?;
        let is_left =
            |name: &OsStr| target_of(&name.to_string_lossy()).is_some_and(|to| to.ends_with(ending));
        let names = folder.names()?.into_iter();
        names.filter(|name| is_left(name)).try_for_each(|name| folder.remove(&name).map(drop))
    };
    sweep().map_err(Error::write(folder))
}

/// The file that `.NAME.PID.RANDOM.tmp` was to become.
fn target_of(name: &str) -> Option<&str> {
    let mut parts = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplitn(3, '.');
    let (_random, _pid) = (parts.next()?, parts.next()?);
    parts.next()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

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
            let mut batch = Batch::new(folder.path(), 0o600).unwrap();
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
    fn a_link_in_the_folders_place_leads_no_file_of_a_batch_elsewhere() {
        let at = tempfile::tempdir().unwrap();
        let [folder, moved, roots] = ["folder", "moved", "roots"].map(|name| at.path().join(name));
        for many in [1, FEW + 1] {
            fs::create_dir(&folder).unwrap();
            fs::create_dir(&roots).unwrap();
            let mut batch = Batch::new(&folder, 0o600).unwrap();
            batch.add("0", b"new").unwrap();
            fs::rename(&folder, &moved).unwrap();
            std::os::unix::fs::symlink(&roots, &folder).unwrap();
            for n in 1..many {
                batch.add(&n.to_string(), b"new").unwrap();
            }
            batch.commit(|| {}).unwrap();
            assert_eq!((names(&moved).len(), names(&roots).len()), (many, 0));
            fs::remove_dir_all(&moved).unwrap();
            fs::remove_dir(&roots).unwrap();
            fs::remove_file(&folder).unwrap();
        }
    }

    #[test]
    fn the_files_are_the_held_folders_owners_whatever_stands_at_its_path_by_then() {
        const SOMEBODY: u32 = 65_534;
        let at = tempfile::tempdir().unwrap();
        let [folder, moved] = ["folder", "moved"].map(|name| at.path().join(name));
        fs::create_dir(&folder).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
        let batch = Batch::new(&folder, 0o600).unwrap();
        fs::rename(&folder, &moved).unwrap();
        fs::create_dir(&folder).unwrap();
        let mut batch = batch.owned_as_its_folder().unwrap();
        batch.add("a", b"x").unwrap();
        batch.commit(|| {}).unwrap();
        let owner = |path: &Path| fs::metadata(path).map(|is| (is.uid(), is.gid())).unwrap();
        assert_eq!(owner(&moved.join("a")), owner(&moved));
    }

    #[test]
    fn a_batch_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(folder.path(), 0o600).unwrap();
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
