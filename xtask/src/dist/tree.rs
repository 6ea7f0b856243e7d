//! Trees of files: written with the modes that packages want, dated, and listed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace;

/// The mode of files that are read.
pub(crate) const READ: u32 = 0o644;
/// The mode of files that are run, and of folders.
pub(crate) const RUN: u32 = 0o755;

/// A tree below a folder, whose root is that of a system.
#[derive(Debug, Clone)]
pub(crate) struct Tree(PathBuf);

/// Something in a tree: where it is on a system, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Absolute, as on the system.
    pub(crate) at: PathBuf,
    pub(crate) folder: bool,
    /// Neither link nor folder.
    pub(crate) file: bool,
}

impl Tree {
    /// An empty one; what was there before goes.
    pub(crate) fn new(root: PathBuf) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
        }
        let tree = Self(root);
        tree.folder("/")?;
        Ok(tree)
    }

    /// One that is there already.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self(root)
    }

    /// Where it is on this machine.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// Where something of it is on this machine.
    pub(crate) fn path(&self, at: impl AsRef<Path>) -> PathBuf {
        let at = at.as_ref();
        self.0.join(at.strip_prefix("/").unwrap_or(at))
    }

    /// Makes a folder and those above it, mode 0755 whatever the umask.
    pub(crate) fn folder(&self, at: impl AsRef<Path>) -> Result<()> {
        let path = self.path(at);
        if path.is_dir() {
            return Ok(());
        }
        if path != self.0 {
            path.parent()
                .map_or(Ok(()), |above| self.folder(above.strip_prefix(&self.0).unwrap_or(above)))?;
        }
        fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(RUN)))
            .with_context(|| format!("cannot make {}", path.display()))
    }

    /// Writes a file.
    pub(crate) fn write(&self, at: impl AsRef<Path>, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.place(at)?;
        fs::write(&path, bytes)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Copies a file; its own mode does not matter.
    pub(crate) fn copy(&self, from: &Path, at: impl AsRef<Path>, mode: u32) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(at, &bytes, mode)
    }

    /// Writes a file and packs it by gzip, which adds `.gz` to its name; the name and date inside are left out.
    pub(crate) fn write_packed(&self, at: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        self.write(&at, bytes, READ)?;
        workspace::answer(Command::new("gzip").args(["-9", "--no-name", "--"]).arg(self.path(&at))).map(drop)
    }

    /// Writes what a file holds, packed.
    pub(crate) fn pack(&self, from: &Path, at: impl AsRef<Path>) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write_packed(at, &bytes)
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, at: impl AsRef<Path>, to: &str) -> Result<()> {
        let path = self.place(at)?;
        symlink(to, &path).with_context(|| format!("cannot link {}", path.display()))
    }

    /// Copies all of another tree into this one.
    pub(crate) fn take(&self, other: &Self) -> Result<()> {
        let mut copy = Command::new("cp");
        copy.args(["-a", "--"]).arg(other.0.join(".")).arg(&self.0);
        workspace::answer(&mut copy).map(drop)
    }

    /// Everything below the root, in the order of the paths.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.gather(&self.0, &mut entries)?;
        entries.sort();
        Ok(entries)
    }

    fn gather(&self, folder: &Path, entries: &mut Vec<Entry>) -> Result<()> {
        for found in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let (path, kind) = found.and_then(|found| Ok((found.path(), found.file_type()?)))?;
            let at = Path::new("/").join(path.strip_prefix(&self.0)?);
            entries.push(Entry { at, folder: kind.is_dir(), file: kind.is_file() });
            if kind.is_dir() {
                self.gather(&path, entries)?;
            }
        }
        Ok(())
    }

    /// Gives everything in it one date.
    pub(crate) fn date(&self, seconds: i64) -> Result<()> {
        let mut find = Command::new("find");
        find.arg(&self.0).args(["-exec", "touch", "--no-dereference"]);
        find.arg(format!("--date=@{seconds}")).args(["{}", "+"]);
        workspace::answer(&mut find).map(drop)
    }

    /// The path of a new file, whose folder is there.
    fn place(&self, at: impl AsRef<Path>) -> Result<PathBuf> {
        let at = at.as_ref();
        self.folder(at.parent().unwrap_or(Path::new("/")))?;
        Ok(self.path(at))
    }
}
