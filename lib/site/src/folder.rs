//! A folder that is held open: what is done in it by name is done in this very folder, whatever stands at its path by then.
//!
//! Root works in folders of SlurmUser's, who could exchange one for a link between a look at it and a write in it, and so
//! lead the write to a folder of root's. So root goes to a folder through no link but root's own: where there are links,
//! part by part, each looked up in the one before it. Then every name is looked up in the folder that was reached.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::error::{Error, shown_path};
use crate::file::Owner;

/// The kernel's own bound for links on one way.
const MAX_LINKS: usize = 40;

/// To look names up in it, which takes no right to read it.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder that is held open.
#[derive(Clone, Debug)]
pub struct Folder {
    handle: Rc<OwnedFd>,
    /// How it was reached, for messages alone.
    path: PathBuf,
}

impl Folder {
    /// Goes to a folder: root through no link of others.
    ///
    /// # Errors
    /// When it is not there, or somebody else's link is on the way.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = if rustix::process::geteuid().is_root() {
            match openat2(CWD, path, HANDLE, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
                // A link is on the way: whose? Or the kernel is older than 5.6, or a filter knows no such call.
                Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => walk(path)?,
                opened => opened?,
            }
        } else {
            openat(CWD, path, HANDLE, Mode::empty())?
        };
        Ok(Self { handle: Rc::new(handle), path: path.to_owned() })
    }

    /// The folder that a path's last name stands in, and that name.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the path has no last name.
    pub fn around(path: &Path) -> io::Result<(Self, &OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => Ok((Self::open(folder)?, name)),
            _ => Ok((Self::open(Path::new("."))?, name)),
        }
    }

    /// How it was reached.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its owner, when we are root and could give files away. `None` for everybody else.
    pub(crate) fn owner(&self) -> io::Result<Option<Owner>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let is = rustix::fs::fstat(&*self.handle)?;
        Ok(Some(Owner { uid: is.st_uid, gid: is.st_gid }))
    }

    /// A new file with mode and owner, to write.
    ///
    /// # Errors
    /// When something has the name, or it cannot be made.
    pub fn new_file(&self, name: &OsStr, mode: u32, owner: Option<Owner>) -> io::Result<File> {
        let file = self.file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode)?;
        // The umask may have taken bits away.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        owner.map_or(Ok(()), |owner| owner.take(&file))?;
        Ok(file)
    }

    /// Opens a file itself, not what a link in its place leads to. A FIFO is not waited for.
    pub(crate) fn file(&self, name: &OsStr, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(openat(&*self.handle, name, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// A folder in it, and no link to one.
    ///
    /// # Errors
    /// When it is none, or cannot be reached.
    pub fn within(&self, name: &OsStr) -> io::Result<Self> {
        let handle = openat(&*self.handle, name, HANDLE | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { handle: Rc::new(handle), path: self.path.join(name) })
    }

    /// Makes a folder in it, with mode and owner.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(&self, name: &OsStr, mode: u32, owner: Option<Owner>) -> io::Result<Self> {
        rustix::fs::mkdirat(&*self.handle, name, Mode::from_raw_mode(mode))?;
        let made = self.within(name)?;
        made.settle(mode, owner, self.is_ours_alone()?)?;
        Ok(made)
    }

    /// Whether nobody else can give names in it.
    fn is_ours_alone(&self) -> io::Result<bool> {
        let is = rustix::fs::fstat(&*self.handle)?;
        Ok(is.st_uid == rustix::process::geteuid().as_raw() && is.st_mode & 0o022 == 0)
    }

    /// Mode and owner of a new folder. `safe`: nobody else can change the one around it, who may have put another of root's
    /// there since; then a file in it is of another program of ours, which found the new folder.
    fn settle(&self, mode: u32, owner: Option<Owner>, safe: bool) -> io::Result<()> {
        let folder = self.to_read()?;
        if !safe && (!self.names()?.is_empty() || (owner.is_some() && !is_own(&folder)?)) {
            return Err(io::Error::other("something else took its place"));
        }
        // The umask may have taken bits away.
        folder.set_permissions(fs::Permissions::from_mode(mode))?;
        owner.map_or(Ok(()), |owner| owner.take(&folder))
    }

    /// Gives itself away; `false` when it is not empty, or not the caller's.
    pub(crate) fn give(&self, owner: Owner) -> io::Result<bool> {
        let folder = self.to_read()?;
        if !self.names()?.is_empty() || !is_own(&folder)? {
            return Ok(false);
        }
        owner.take(&folder).map(|()| true)
    }

    /// Gives one of its names to what another has, in place of whatever is there.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.rename_into(from, self, to)
    }

    /// The same with a name in another folder.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn rename_into(&self, from: &OsStr, other: &Self, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&*self.handle, from, &*other.handle, to)?)
    }

    /// A second name of a file, where nothing has it.
    pub(crate) fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(&*self.handle, from, &*self.handle, to, AtFlags::empty())?)
    }

    /// A link, where nothing has its name.
    pub(crate) fn symlink(&self, to: &Path, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(to, &*self.handle, name)?)
    }

    /// Takes away what is no folder; `false` when nothing has the name.
    ///
    /// # Errors
    /// When it is there and stays.
    pub fn remove(&self, name: &OsStr) -> io::Result<bool> {
        self.unlink(name, AtFlags::empty())
    }

    /// Takes an empty folder away; `false` when nothing has the name.
    ///
    /// # Errors
    /// When it is there and stays.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<bool> {
        self.unlink(name, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &OsStr, flags: AtFlags) -> io::Result<bool> {
        match rustix::fs::unlinkat(&*self.handle, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes away whatever has the name, a folder with all that is in it; what links lead to stays.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn remove_all(&self, name: &OsStr) -> io::Result<()> {
        match self.unlink(name, AtFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::IsADirectory => {}
            Err(e) => return Err(e),
        }
        let folder = self.within(name)?;
        folder.names()?.iter().try_for_each(|inside| folder.remove_all(inside))?;
        self.remove_folder(name).map(drop)
    }

    /// Whether something has the name, a dangling link too.
    #[must_use]
    pub fn has(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&*self.handle, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// All names in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.to_read()?)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Makes what has changed in it durable.
    ///
    /// # Errors
    /// When the kernel cannot write it.
    pub fn sync(&self) -> io::Result<()> {
        self.to_read()?.sync_all()
    }

    /// Makes everything on its file system durable.
    ///
    /// # Errors
    /// When the kernel cannot write it.
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.to_read()?)?)
    }

    /// Itself again, with the right to read it.
    fn to_read(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&*self.handle, ".", flags, Mode::empty())?.into())
    }
}

fn is_own(folder: &File) -> io::Result<bool> {
    Ok(folder.metadata()?.uid() == rustix::process::geteuid().as_raw())
}

/// Refuses a way that a link of others is on. What is not there yet has none.
///
/// # Errors
/// When somebody else's link is on the way, and we are root.
pub fn refuse_links_of_others(path: &Path) -> Result<(), Error> {
    match Folder::open(path) {
        Err(e) if LinkOfOthers::of(&e).is_some() => Err(Error::read(path)(e)),
        _ => Ok(()),
    }
}

/// A link in root's way that is not root's.
#[derive(Debug)]
pub(crate) struct LinkOfOthers(PathBuf);

impl LinkOfOthers {
    /// What an error is about, if it is about one.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for LinkOfOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a link that is not root's: it could lead root anywhere", shown_path(&self.0))
    }
}

impl std::error::Error for LinkOfOthers {}

/// The folder at a path, through root's links alone.
fn walk(path: &Path) -> io::Result<OwnedFd> {
    let mut way = Way::new();
    way.prepend(path);
    // The empty path is nowhere, as for the kernel.
    if way.left.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut at = openat(CWD, ".", HANDLE, Mode::empty())?;
    while let Some(part) = way.left.pop_front() {
        at = match openat(&at, &*part, HANDLE | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => {
                way.passed.push(&part);
                folder
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                way.follow(&at, &part)?;
                at
            }
            Err(e) => return Err(e.into()),
        };
    }
    Ok(at)
}

/// What lies before a walk, and behind it.
struct Way {
    left: VecDeque<OsString>,
    passed: PathBuf,
    links: usize,
}

impl Way {
    fn new() -> Self {
        Self { left: VecDeque::new(), passed: PathBuf::new(), links: 0 }
    }

    /// Goes by these parts first. One that begins at the root leads away from wherever the walk is.
    fn prepend(&mut self, path: &Path) {
        for part in path.components().rev() {
            let part = if part == Component::RootDir { OsStr::new("/") } else { part.as_os_str() };
            self.left.push_front(part.to_owned());
        }
    }

    /// Goes on by what a link says, if it is root's. Owner and text are those of one link, which is held open.
    fn follow(&mut self, at: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(at, name, flags, Mode::empty())?;
        let is = rustix::fs::fstat(&link)?;
        if FileType::from_raw_mode(is.st_mode) != FileType::Symlink {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if is.st_uid != 0 {
            return Err(io::Error::other(LinkOfOthers(self.passed.join(name))));
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let to = rustix::fs::readlinkat(&link, "", Vec::new())?;
        self.prepend(Path::new(OsStr::from_bytes(to.as_bytes())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    const SOMEBODY: u32 = 65_534;

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// A scratch folder with these folders in it, as the kernel names it.
    fn scratch(folders: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().canonicalize().unwrap();
        folders.iter().for_each(|name| fs::create_dir(path.join(name)).unwrap());
        (scratch, path)
    }

    /// Puts a link to `to` in the place of what is at `path`, which gets the name `moved`.
    fn exchange(path: &Path, to: &Path) {
        fs::rename(path, path.with_file_name("moved")).unwrap();
        symlink(to, path).unwrap();
    }

    fn names(path: &Path) -> Vec<OsString> {
        Folder::open(path).unwrap().names().unwrap()
    }

    #[test]
    fn what_is_done_in_an_open_folder_is_done_there_whatever_stands_at_its_path_by_then() {
        let (_scratch, at) = scratch(&["slurms", "roots"]);
        fs::write(at.join("slurms/old"), "").unwrap();
        fs::write(at.join("roots/old"), "").unwrap();
        let folder = Folder::open(&at.join("slurms")).unwrap();
        exchange(&at.join("slurms"), &at.join("roots"));
        folder.new_file(OsStr::new("a"), 0o600, None).unwrap();
        folder.link(OsStr::new("a"), OsStr::new("b")).unwrap();
        folder.rename(OsStr::new("a"), OsStr::new("c")).unwrap();
        folder.symlink(Path::new("b"), OsStr::new("d")).unwrap();
        folder.make(OsStr::new("e"), 0o700, None).unwrap();
        assert!(folder.remove(OsStr::new("old")).unwrap());
        let mut there = names(&at.join("moved"));
        there.sort();
        assert_eq!(there, ["b", "c", "d", "e"]);
        assert_eq!(names(&at.join("roots")), ["old"]);
    }

    #[test]
    fn root_goes_through_links_of_roots_and_of_nobody_else() {
        let (_scratch, at) = scratch(&["state", "roots", "roots/in"]);
        let link = at.join("state/link");
        for to in [Path::new("../roots"), &at.join("roots"), Path::new("../state/../roots")] {
            symlink(to, &link).unwrap();
            assert!(Folder::open(&link.join("in")).is_ok());
            lchown(&link, Some(SOMEBODY), Some(SOMEBODY)).ok();
            let there = Folder::open(&link.join("in"));
            if is_root() {
                assert_eq!(LinkOfOthers::of(&there.unwrap_err()).unwrap().path(), link);
            } else {
                assert!(there.is_ok());
            }
            fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn a_link_of_others_is_found_behind_a_link_of_roots_and_in_the_place_of_a_file() {
        if !is_root() {
            return;
        }
        let (_scratch, at) = scratch(&["state", "roots"]);
        fs::write(at.join("roots/file"), "").unwrap();
        let (first, second) = (at.join("first"), at.join("state/second"));
        symlink("state/second/file", &first).unwrap();
        symlink("../roots", &second).unwrap();
        assert!(refuse_links_of_others(&first).is_ok());
        lchown(&second, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        let refusal = refuse_links_of_others(&first).unwrap_err().to_string();
        assert!(refusal.contains(&format!("{} is a link that is not root's", second.display())), "{refusal}");
        assert!(refuse_links_of_others(&at.join("nothing/there")).is_ok());
    }

    #[test]
    fn both_ways_to_a_folder_lead_to_the_same_one() {
        let (_scratch, at) = scratch(&["a", "a/b"]);
        for path in [at.join("a/b"), at.join("a/../a/./b/"), "..".into(), ".".into(), "/".into()] {
            let is = |handle: &OwnedFd| rustix::fs::fstat(handle).map(|is| (is.st_dev, is.st_ino)).unwrap();
            assert_eq!(
                is(&walk(&path).unwrap()),
                is(&Folder::open(&path).unwrap().handle),
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn links_without_end_and_files_are_no_folders() {
        let (_scratch, at) = scratch(&[]);
        symlink("loop", at.join("loop")).unwrap();
        fs::write(at.join("file"), "").unwrap();
        assert_eq!(
            Folder::open(&at.join("loop")).unwrap_err().raw_os_error(),
            Some(Errno::LOOP.raw_os_error())
        );
        assert_eq!(Folder::open(&at.join("file")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(Folder::open(&at.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Folder::open(Path::new("")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(Folder::open(Path::new("/")).unwrap().has(OsStr::new("etc")));
    }

    #[test]
    fn mode_and_owner_are_given_to_no_folder_that_something_is_in() {
        let (_scratch, at) = scratch(&["new"]);
        let other = Owner { uid: SOMEBODY, gid: SOMEBODY };
        let new = Folder::open(&at.join("new")).unwrap();
        fs::write(at.join("new/roots"), "").unwrap();
        assert!(new.settle(0o755, Some(other), false).is_err());
        assert!(!new.give(other).unwrap());
        fs::remove_file(at.join("new/roots")).unwrap();
        new.settle(0o711, None, false).unwrap();
        assert_eq!(fs::metadata(at.join("new")).unwrap().permissions().mode() & 0o7777, 0o711);
    }

    #[test]
    fn a_tree_is_removed_and_what_its_links_lead_to_stays() {
        let (_scratch, at) = scratch(&["tree", "tree/in", "roots"]);
        fs::write(at.join("roots/kept"), "").unwrap();
        fs::write(at.join("tree/in/file"), "").unwrap();
        symlink(at.join("roots"), at.join("tree/link")).unwrap();
        let folder = Folder::open(&at).unwrap();
        folder.remove_all(OsStr::new("tree")).unwrap();
        folder.remove_all(OsStr::new("tree")).unwrap();
        assert_eq!(names(&at), ["roots"]);
        assert_eq!(names(&at.join("roots")), ["kept"]);
    }
}
