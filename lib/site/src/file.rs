//! Files that are checked when opened, and written whole or not at all.
//!
//! The seven programs never look users up (a static program must not load NSS: ARCHITECTURE.md), so
//! they accept root and their own effective uid as owners, and nobody else.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use pki::secret::Secret;
use rustix::fs::OFlags;

use crate::error::{Error, shown_path};
use crate::folder::Folder;
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
    read_checked(path, open_itself(path)?, keep, limit)
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
    let file = open_itself(path)?;
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
    let failed = || Error::write(path);
    let (folder, name) = Folder::around(path).map_err(failed())?;
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
    let file = folder.file(name, flags, mode).map_err(failed())?;
    let metadata = file.metadata().map_err(failed())?;
    let owner = folder.owner().map_err(failed())?;
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
    owner.take(file).map_err(Error::write(path))
}

/// `O_NONBLOCK`, so that a FIFO in the file's place cannot hold us for five seconds.
fn open(path: &Path) -> Result<File, Error> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(Error::read(path))
}

/// No link in its place; and for root none of others on the way.
fn open_itself(path: &Path) -> Result<File, Error> {
    let open = || {
        let (folder, name) = Folder::around(path)?;
        folder.file(name, OFlags::RDONLY, 0)
    };
    open().map_err(Error::read(path))
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
    whose: Whose,
    /// Whether it must survive a power failure (it always survives a kill).
    pub durable: bool,
}

/// Owner and group of a file or folder to be.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// Whoever runs this.
    Ours,
    These(Owner),
    /// Those of its folder, where we are root and could give files away.
    OfTheFolder,
}

impl Whose {
    fn of(owner: Option<Owner>) -> Self {
        owner.map_or(Self::Ours, Self::These)
    }

    /// Of the folder that is held open, not of what stands at its path by now.
    fn within(self, folder: &Folder) -> io::Result<Option<Owner>> {
        match self {
            Self::Ours => Ok(None),
            Self::These(owner) => Ok(Some(owner)),
            Self::OfTheFolder => folder.owner(),
        }
    }
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
    /// Makes what is open this owner's.
    pub(crate) fn take(self, file: &File) -> io::Result<()> {
        std::os::unix::fs::fchown(file, Some(self.uid), Some(self.gid))
    }
}

impl<'a> NewFile<'a> {
    /// A durable file of ours.
    #[must_use]
    pub fn new(path: &'a Path, mode: u32) -> Self {
        Self { path, mode, whose: Whose::Ours, durable: true }
    }

    /// The same with an owner.
    #[must_use]
    pub fn owned_by(self, owner: Option<Owner>) -> Self {
        Self { whose: Whose::of(owner), ..self }
    }

    /// The same with the owner of the folder that it is written in: what root writes into SlurmUser's folders must stay
    /// SlurmUser's. For everybody else it changes nothing.
    #[must_use]
    pub fn owned_as_its_folder(self) -> Self {
        Self { whose: Whose::OfTheFolder, ..self }
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
        self.write_beside(bytes)?.take_place()?.sync()
    }

    /// The same for files that belong together: all of them are written and synced beside their places before the first
    /// takes its own. A kill between two renames leaves the first new and the second old.
    ///
    /// # Errors
    /// When any step fails; before the first rename all old files are still there.
    pub fn replace_together(files: &[(Self, &[u8])]) -> Result<(), Error> {
        let written = files.iter().map(|(file, bytes)| file.write_beside(bytes));
        let written = written.collect::<Result<Vec<_>, Error>>()?;
        let placed = written.into_iter().map(Beside::take_place).collect::<Result<Vec<_>, Error>>()?;
        placed.iter().try_for_each(Placed::sync)
    }

    /// Makes the file, whole at its first appearance; `false` when one is there already.
    ///
    /// # Errors
    /// When any step fails; then there is no new file.
    pub fn create(self, bytes: &[u8]) -> Result<bool, Error> {
        let written = self.write_beside(bytes)?;
        // link(2) fails where a file is, symlinks included: O_EXCL for a file that is already whole.
        match written.folder.link(&written.name, &written.target) {
            Ok(()) => {
                let placed = written.placed();
                drop(written);
                placed.sync()?;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::write(self.path)(e)),
        }
    }

    fn write_beside(&self, bytes: &[u8]) -> Result<Beside, Error> {
        let (folder, name) = Folder::around(self.path).map_err(Error::write(self.path))?;
        self.write_in(&folder, name, bytes)
    }

    /// The file whole, in a folder that is held open, under a name of its own beside the one that it is to have.
    pub(crate) fn write_in(&self, folder: &Folder, name: &OsStr, bytes: &[u8]) -> Result<Beside, Error> {
        let beside = Beside {
            folder: folder.clone(),
            name: name_beside(name)?,
            target: name.to_owned(),
            durable: self.durable,
        };
        let write = || {
            let mut file = folder.new_file(&beside.name, self.mode, self.whose.within(folder)?)?;
            file.write_all(bytes)?;
            if self.durable { file.sync_all() } else { Ok(()) }
        };
        write().map_err(Error::write(self.path))?;
        Ok(beside)
    }
}

/// `.NAME.PID.RANDOM.tmp`. The pid says whether its writer is still there.
fn name_beside(name: &OsStr) -> Result<OsString, Error> {
    let random = u32::from_ne_bytes(random::bytes()?);
    Ok(format!(".{}.{}.{random:08x}.tmp", name.to_string_lossy(), std::process::id()).into())
}

/// A file that is not in its place yet, and is removed if it never gets there.
#[derive(Debug)]
pub(crate) struct Beside {
    folder: Folder,
    /// Empty once it has its own.
    name: OsString,
    target: OsString,
    durable: bool,
}

impl Beside {
    /// Makes it durable under the name that it has for now.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let sync = || self.folder.file(&self.name, OFlags::RDONLY, 0)?.sync_all();
        sync().map_err(Error::write(&self.path()))
    }

    /// Puts it in place of whatever is there.
    pub(crate) fn take_place(mut self) -> Result<Placed, Error> {
        self.folder.rename(&self.name, &self.target).map_err(Error::write(&self.path()))?;
        self.name.clear();
        Ok(self.placed())
    }

    fn placed(&self) -> Placed {
        Placed { folder: self.folder.clone(), durable: self.durable }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.target)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.folder.remove(&self.name);
        }
    }
}

/// A file that is in its place.
#[must_use = "its name is not durable yet"]
#[derive(Debug)]
pub(crate) struct Placed {
    folder: Folder,
    durable: bool,
}

impl Placed {
    fn sync(&self) -> Result<(), Error> {
        if self.durable {
            self.folder.sync().map_err(Error::write(self.folder.path()))?;
        }
        Ok(())
    }
}

/// Takes a file away, and no folder; `false` when nothing is there. Root goes to it through no link of others.
///
/// # Errors
/// When it is there and stays.
pub fn remove(path: &Path) -> Result<bool, Error> {
    let remove = || {
        let (folder, name) = Folder::around(path)?;
        folder.remove(name)
    };
    match remove() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map_err(Error::write(path)),
    }
}

/// Gives a file or folder another name, durably. Root goes to both through no link of others.
///
/// # Errors
/// When the kernel does not do it.
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    let rename = || {
        let ((here, old), (there, new)) = (Folder::around(from)?, Folder::around(to)?);
        here.rename_into(old, &there, new)?;
        there.sync()
    };
    rename().map_err(Error::write(to))
}

/// Gives a file a second name in its folder; `false` when something has that name. Root goes there through no link of
/// others.
///
/// # Errors
/// When the kernel does not do it.
pub fn link_beside(path: &Path, name: &OsStr) -> Result<bool, Error> {
    let link = || {
        let (folder, own) = Folder::around(path)?;
        folder.link(own, name)
    };
    match link() {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::write(&path.with_file_name(name))(e)),
    }
}

/// Puts a symlink in place of whatever is there, by one rename. Root goes there through no link of others.
///
/// # Errors
/// When any step fails; then what was there still is.
pub fn place_link(to: &Path, path: &Path) -> Result<(), Error> {
    let failed = || Error::write(path);
    let (folder, target) = Folder::around(path).map_err(failed())?;
    let name = name_beside(target)?;
    folder.symlink(to, &name).map_err(failed())?;
    let beside = Beside { folder, name, target: target.to_owned(), durable: true };
    beside.take_place()?.sync()
}

/// Removes what a killed [`NewFile`] left beside `path`.
///
/// # Errors
/// When the folder cannot be read, or such a file not be removed.
pub fn remove_leftovers(path: &Path) -> Result<(), Error> {
    let Some(target) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let remove = || {
        let (folder, _) = Folder::around(path)?;
        let names = folder.names()?.into_iter();
        let mut left = names.filter(|name| is_leftover_of(&name.to_string_lossy(), target));
        left.try_for_each(|name| folder.remove(&name).map(drop))
    };
    remove().map_err(Error::write(path))
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
    make_folder_for(path, mode, Whose::of(owner))
}

/// The same, with the owner of the folder that it is made in.
pub(crate) fn make_folder_owned_as_its_folder(path: &Path, mode: u32) -> Result<(), Error> {
    make_folder_for(path, mode, Whose::OfTheFolder)
}

fn make_folder_for(path: &Path, mode: u32, whose: Whose) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent()
        && !above.as_os_str().is_empty()
    {
        make_folder(above, 0o755, None)?;
    }
    let make = || {
        let (folder, name) = Folder::around(path)?;
        folder.make(name, mode, whose.within(&folder)?)
    };
    match make() {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(Error::write(path)(e)),
        _ => Ok(()),
    }
}

/// Gives root's empty folder to its owner to be, on a handle: by name, what is there a moment later could
/// be a file that somebody moved or linked there. `false` when it is not empty, or not root's.
///
/// # Errors
/// When it is no folder, or cannot be given away.
pub fn give_empty_folder(path: &Path, owner: Owner) -> Result<bool, Error> {
    let give = || {
        let (folder, name) = Folder::around(path)?;
        folder.within(name)?.give(owner)
    };
    give().map_err(Error::write(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
