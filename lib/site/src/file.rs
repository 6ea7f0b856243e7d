//! Files that are checked when opened, and written whole or not at all.
//!
//! The seven programs never look users up (a static program must not load NSS: ARCHITECTURE.md), so
//! they accept root and their own effective uid as owners, and nobody else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pki::secret::Secret;
use rustix::fs::OFlags;

use crate::error::{Error, shown_path};
use crate::random;

/// What others may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nobody else may read it; its group may (a key that root owns and SlurmUser's group reads).
    Secret,
    /// Everybody may read it, nobody else may change it.
    Intact,
}

impl Keep {
    /// The permission bits that must not be set.
    fn forbidden(self) -> u32 {
        match self {
            Self::Secret => 0o037,
            Self::Intact => 0o022,
        }
    }
}

/// Reads a file of at most `limit` bytes after checking type, owner and mode on the open handle.
/// Symlinks are followed.
///
/// # Errors
/// When it cannot be read, is longer, or others could have read or changed it.
pub fn read(path: &Path, keep: Keep, limit: usize) -> Result<Secret, Error> {
    read_checked(path, open(path)?, keep, limit)
}

/// As [`read`], where a symlink is an error: in a folder of SlurmUser's it could lead root to a secret of root's, which
/// would then be written where SlurmUser reads it.
///
/// # Errors
/// As [`read`], and when it is a link.
pub fn read_itself(path: &Path, keep: Keep, limit: usize) -> Result<Secret, Error> {
    read_checked(path, open_with(path, OFlags::NOFOLLOW)?, keep, limit)
}

/// As [`read_itself`], with the owner, mode and number of names that these very bytes have.
///
/// # Errors
/// As [`read_itself`].
pub fn read_itself_with_metadata(
    path: &Path,
    keep: Keep,
    limit: usize,
) -> Result<(Secret, fs::Metadata), Error> {
    let file = open_with(path, OFlags::NOFOLLOW)?;
    let metadata = file.metadata().map_err(Error::read(path))?;
    check(path, &metadata, keep)?;
    check_folder(path)?;
    Ok((contents(path, &file, &metadata, limit)?, metadata))
}

fn read_checked(path: &Path, file: File, keep: Keep, limit: usize) -> Result<Secret, Error> {
    let metadata = file.metadata().map_err(Error::read(path))?;
    check(path, &metadata, keep)?;
    check_folder(path)?;
    contents(path, &file, &metadata, limit)
}

/// Reads a file of at most `limit` bytes, whoever it belongs to, with the owner and mode that these very
/// bytes have: looked up by name a second time, the file could be another one.
///
/// # Errors
/// When it cannot be read, is longer, or is no regular file.
pub fn read_with_metadata(path: &Path, limit: usize) -> Result<(Secret, fs::Metadata), Error> {
    let file = open_regular(path)?;
    let metadata = file.metadata().map_err(Error::read(path))?;
    Ok((contents(path, &file, &metadata, limit)?, metadata))
}

/// Opens a regular file to read. A FIFO or a device in its place would never end.
///
/// # Errors
/// When it cannot be opened, or is something else.
pub fn open_regular(path: &Path) -> Result<File, Error> {
    let file = open(path)?;
    must_be_file(path, &file.metadata().map_err(Error::read(path))?)?;
    Ok(file)
}

fn contents(path: &Path, file: &File, metadata: &fs::Metadata, limit: usize) -> Result<Secret, Error> {
    // One buffer, large enough from the start: growing would leave unwiped copies behind.
    let mut bytes = Vec::with_capacity(limit.min(usize::try_from(metadata.len()).unwrap_or(limit)) + 1);
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let done = file.take(bound).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    done.map_err(Error::read(path))?;
    if bytes.expose().len() > limit {
        return Err(Error::TooLong { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// As [`read`]; `None` when there is no such file.
///
/// # Errors
/// As [`read`], a missing file excepted.
pub fn read_if_there(path: &Path, keep: Keep, limit: usize) -> Result<Option<Secret>, Error> {
    match read(path, keep, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Opens a file of ours to append to, making it with `mode` where it is missing; type, owner and mode
/// are checked on the handle. Symlinks are not followed. What root makes here by hand goes to the
/// folder's owner, or SlurmUser would be kept out.
///
/// # Errors
/// When it cannot be opened, or others could have changed it.
pub fn open_to_append(path: &Path, mode: u32) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(mode)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path)
        .map_err(Error::write(path))?;
    let metadata = file.metadata().map_err(Error::write(path))?;
    let owner = path.parent().and_then(Owner::of_folder);
    check_owned(path, &metadata, Keep::Intact, owner.map(|owner| owner.uid))?;
    check_folder(path)?;
    if let Some(owner) = owner {
        give(path, &file, &metadata, owner)?;
    }
    Ok(file)
}

/// Gives root's file to the folder's owner: only an empty one, as a killed run leaves it too, and one that
/// has no other name. Whoever the folder belongs to may have moved or linked a file of root's into it, to
/// be given that.
fn give(path: &Path, file: &File, metadata: &fs::Metadata, owner: Owner) -> Result<(), Error> {
    if (metadata.uid(), metadata.gid()) == (owner.uid, owner.gid) {
        return Ok(());
    }
    if metadata.nlink() != 1 {
        return Err(Error::Loose {
            path: path.to_owned(),
            why: "it has another name somewhere else".into(),
            fix: format!("find the other with: find / -xdev -samefile {}", shown_path(path)),
        });
    }
    if metadata.len() != 0 {
        return Err(Error::Loose {
            path: path.to_owned(),
            why: "it is not its folder's owner's, and something is in it already".into(),
            fix: format!("chown {}:{} {}", owner.uid, owner.gid, shown_path(path)),
        });
    }
    std::os::unix::fs::fchown(file, Some(owner.uid), Some(owner.gid)).map_err(Error::write(path))
}

/// `O_NONBLOCK`, so that a FIFO in the file's place cannot hold us for five seconds.
fn open(path: &Path) -> Result<File, Error> {
    open_with(path, OFlags::empty())
}

fn open_with(path: &Path, more: OFlags) -> Result<File, Error> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(Error::read(path))
}

fn check(path: &Path, metadata: &fs::Metadata, keep: Keep) -> Result<(), Error> {
    check_owned(path, metadata, keep, None)
}

fn must_be_file(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(Error::Loose {
        path: path.to_owned(),
        why: "it is not a regular file".into(),
        fix: format!("put a file at {}", shown_path(path)),
    })
}

/// As [`check`], where `also` may be the owner too.
fn check_owned(path: &Path, metadata: &fs::Metadata, keep: Keep, also: Option<u32>) -> Result<(), Error> {
    let loose = |why: String, fix: String| Err(Error::Loose { path: path.to_owned(), why, fix });
    let shown = shown_path(path);
    let own = rustix::process::geteuid().as_raw();
    must_be_file(path, metadata)?;
    if !crate::trust::is_trusted(metadata.uid()) && also != Some(metadata.uid()) {
        return loose(
            format!("it belongs to uid {}, not to root or to uid {own}, who runs this", metadata.uid()),
            match own {
                // Obeyed in SlurmUser's folders, a chown to root would lock slurmctld's programs out.
                0 => format!(
                    "run this as uid {}, as slurmctld would; only if root is to own it: chown 0 {shown}",
                    metadata.uid()
                ),
                _ => format!("chown {own} {shown}"),
            },
        );
    }
    let mode = metadata.mode() & 0o7777;
    if mode & keep.forbidden() != 0 {
        let (why, fix) = match keep {
            Keep::Secret => ("others can read or change it", format!("chmod go= {shown}")),
            Keep::Intact => ("others can change it", format!("chmod go-w {shown}")),
        };
        return loose(format!("{why} (mode {mode:04o})"), fix);
    }
    Ok(())
}

/// A folder that others may write to lets them exchange the file; its owner is not judged.
fn check_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(()),
    };
    let mode = fs::metadata(folder).map_err(Error::read(folder))?.mode() & 0o7777;
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(Error::Loose {
            path: path.to_owned(),
            why: format!("others can exchange it: its folder has mode {mode:04o}"),
            fix: format!("chmod go-w {}", shown_path(folder)),
        });
    }
    Ok(())
}

/// A file to be: its final mode from the first byte on, its owner before anyone can open it.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Where.
    pub path: &'a Path,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group; `None`: whoever runs this.
    pub owner: Option<Owner>,
    /// Whether it must survive a power failure (it always survives a kill).
    pub durable: bool,
}

/// A file's owner and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// The owner of an existing file or folder, when we are root and could give files away: what root
    /// writes into SlurmUser's folders must stay SlurmUser's. `None` for everybody else.
    #[must_use]
    pub fn of_folder(folder: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let metadata = fs::metadata(folder).ok()?;
        Some(Self { uid: metadata.uid(), gid: metadata.gid() })
    }
}

impl<'a> NewFile<'a> {
    /// A durable file of ours.
    #[must_use]
    pub fn new(path: &'a Path, mode: u32) -> Self {
        Self { path, mode, owner: None, durable: true }
    }

    /// The same with an owner.
    #[must_use]
    pub fn owned_by(self, owner: Option<Owner>) -> Self {
        Self { owner, ..self }
    }

    /// The same, not synced: for files that can be made again.
    #[must_use]
    pub fn not_synced(self) -> Self {
        Self { durable: false, ..self }
    }

    /// Puts the file in place of whatever is there: new file, sync, rename, sync of the folder. A kill
    /// at any instant leaves the old file or the new one.
    ///
    /// # Errors
    /// When any step fails; then the old file is still there.
    pub fn replace(self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.write_beside(bytes)?;
        fs::rename(&written.0, self.path).map_err(Error::write(self.path))?;
        written.forget();
        self.sync_folder()
    }

    /// The same for files that belong together: all of them are written and synced beside their places before the first
    /// takes its own. A kill between two renames leaves the first new and the second old.
    ///
    /// # Errors
    /// When any step fails; before the first rename all old files are still there.
    pub fn replace_together(files: &[(Self, &[u8])]) -> Result<(), Error> {
        let written = files.iter().map(|(file, bytes)| Ok((file, file.write_beside(bytes)?)));
        let written = written.collect::<Result<Vec<_>, Error>>()?;
        for (file, beside) in written {
            fs::rename(&beside.0, file.path).map_err(Error::write(file.path))?;
            beside.forget();
        }
        files.iter().try_for_each(|(file, _)| file.sync_folder())
    }

    /// Makes the file, whole at its first appearance; `false` when one is there already.
    ///
    /// # Errors
    /// When any step fails; then there is no new file.
    pub fn create(self, bytes: &[u8]) -> Result<bool, Error> {
        let written = self.write_beside(bytes)?;
        // link(2) fails where a file is, symlinks included: O_EXCL for a file that is already whole.
        match fs::hard_link(&written.0, self.path) {
            Ok(()) => {
                drop(written);
                self.sync_folder()?;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::write(self.path)(e)),
        }
    }

    /// The file whole, under a name of its own in the same folder.
    pub(crate) fn write_beside(&self, bytes: &[u8]) -> Result<Beside, Error> {
        let beside = Beside(self.name_beside()?);
        let failed = || Error::write(self.path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(self.mode)
            .open(&beside.0)
            .map_err(failed())?;
        // The umask may have taken bits away.
        file.set_permissions(fs::Permissions::from_mode(self.mode)).map_err(failed())?;
        if let Some(Owner { uid, gid }) = self.owner {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid)).map_err(failed())?;
        }
        file.write_all(bytes).map_err(failed())?;
        if self.durable {
            file.sync_all().map_err(failed())?;
        }
        Ok(beside)
    }

    /// `.NAME.PID.RANDOM.tmp` in the same folder. The pid says whether its writer is still there.
    fn name_beside(&self) -> Result<PathBuf, Error> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let random = u32::from_ne_bytes(random::bytes()?);
        Ok(self.path.with_file_name(format!(".{name}.{}.{random:08x}.tmp", std::process::id())))
    }

    fn sync_folder(&self) -> Result<(), Error> {
        if !self.durable {
            return Ok(());
        }
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::write(folder))
    }
}

/// A file that is not in its place yet, and is removed if it never gets there.
#[derive(Debug)]
pub(crate) struct Beside(PathBuf);

impl Beside {
    /// Where it is for now.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// It was renamed: nothing is left to remove.
    pub(crate) fn forget(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Removes what a killed [`NewFile`] left beside `path`.
///
/// # Errors
/// When the folder cannot be read, or such a file not be removed.
pub fn remove_leftovers(path: &Path) -> Result<(), Error> {
    let (Some(folder), Some(target)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(());
    };
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        if is_leftover_of(&entry.file_name().to_string_lossy(), target) {
            fs::remove_file(entry.path()).map_err(Error::write(&entry.path()))?;
        }
    }
    Ok(())
}

/// Whether `name` is what [`NewFile`] leaves behind for `target` when it is killed, and its writer is
/// gone.
pub(crate) fn is_leftover_of(name: &str, target: &str) -> bool {
    let writer = || {
        let rest = name.strip_prefix('.')?.strip_prefix(target)?.strip_prefix('.')?;
        rest.strip_suffix(".tmp")?.split('.').next()?.parse().ok()
    };
    writer().is_some_and(crate::process::is_gone)
}

/// Makes a folder (and those above it) with `mode` where it is missing.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent()
        && !above.as_os_str().is_empty()
    {
        make_folder(above, 0o755, None)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(Error::write(path)(e)),
    }
    settle_folder(path, mode, owner)
}

/// Mode (the umask may have taken bits away) and owner of a new folder, on a handle: where the folder
/// above is somebody else's, a link may stand here by now, and what it leads to is not touched.
fn settle_folder(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), Error> {
    let folder = open_folder(path).map_err(Error::write(path))?;
    folder.set_permissions(fs::Permissions::from_mode(mode)).map_err(Error::write(path))?;
    if let Some(Owner { uid, gid }) = owner {
        std::os::unix::fs::fchown(&folder, Some(uid), Some(gid)).map_err(Error::write(path))?;
    }
    Ok(())
}

/// Gives root's empty folder to its owner to be, on a handle: by name, what is there a moment later could
/// be a file that somebody moved or linked there. `false` when it is not empty, or not root's.
///
/// # Errors
/// When it is no folder, or cannot be given away.
pub fn give_empty_folder(path: &Path, owner: Owner) -> Result<bool, Error> {
    let give = || {
        let folder = open_folder(path)?;
        let entries = rustix::fs::Dir::read_from(&folder)?;
        let mut names = entries.flatten().map(|entry| entry.file_name().to_owned());
        if folder.metadata()?.uid() != 0 || names.any(|name| name != c"." && name != c"..") {
            return Ok(false);
        }
        std::os::unix::fs::fchown(&folder, Some(owner.uid), Some(owner.gid)).map(|()| true)
    };
    give().map_err(Error::write(path))
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_replaced_file_has_its_final_mode_and_leaves_nothing_beside() {
        let folder = folder();
        let path = folder.path().join("key");
        fs::write(&path, "old").unwrap();
        NewFile::new(&path, 0o600).replace(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn create_never_touches_what_is_there_not_even_a_dangling_link() {
        let folder = folder();
        let path = folder.path().join("key");
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(!NewFile::new(&path, 0o600).create(b"new").unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_others_can_read_is_not_used() {
        let folder = folder();
        let path = folder.path().join("key");
        for (mode, used) in [(0o400, true), (0o600, true), (0o640, true), (0o644, false), (0o620, false)] {
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path, Keep::Secret, 9).is_ok(), used, "{mode:o}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_in_a_folder_that_others_can_write_to_is_not_used() {
        let folder = folder();
        let path = folder.path().join("conf");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(read(&path, Keep::Intact, 9), Err(Error::Loose { .. })));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(read(&path, Keep::Intact, 9).is_ok());
    }

    #[test]
    fn what_is_appended_to_is_a_regular_file_that_others_cannot_change_for_root_too() {
        let folder = folder();
        let path = folder.path().join("f");
        open_to_append(&path, 0o600).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(open_to_append(&path, 0o600), Err(Error::Loose { .. })));
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
        assert!(matches!(open_to_append(&path, 0o600), Err(Error::Loose { .. })));
    }

    #[test]
    fn a_link_in_a_new_folders_place_changes_nothing_where_it_leads() {
        let folder = folder();
        let (roots, link) = (folder.path().join("roots"), folder.path().join("new"));
        make_folder(&roots, 0o700, None).unwrap();
        std::os::unix::fs::symlink(&roots, &link).unwrap();
        assert!(settle_folder(&link, 0o755, None).is_err());
        assert_eq!(fs::metadata(&roots).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_file_with_another_name_or_with_contents_is_never_given_away() {
        let folder = folder();
        let (path, linked) = (folder.path().join("f"), folder.path().join("roots"));
        fs::write(&linked, "x").unwrap();
        fs::hard_link(&linked, &path).unwrap();
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let other = Owner { uid: metadata.uid() + 1, gid: metadata.gid() };
        assert!(matches!(give(&path, &file, &metadata, other), Err(Error::Loose { .. })));
        fs::remove_file(&linked).unwrap();
        let metadata = file.metadata().unwrap();
        assert!(matches!(give(&path, &file, &metadata, other), Err(Error::Loose { .. })));
        let own = Owner { uid: metadata.uid(), gid: metadata.gid() };
        assert!(give(&path, &file, &metadata, own).is_ok());
    }

    #[test]
    fn a_longer_file_and_a_fifo_are_not_used() {
        let folder = folder();
        let path = folder.path().join("f");
        fs::write(&path, "1234567890").unwrap();
        assert!(matches!(read(&path, Keep::Intact, 9), Err(Error::TooLong { .. })));
        assert!(matches!(read(Path::new("/dev/null"), Keep::Intact, 9), Err(Error::Loose { .. })));
    }
}
