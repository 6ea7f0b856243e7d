//! A tree laid out from a node's root, so that `cp -a DIR/n1/. /` puts every file in its place and
//! changes no folder's mode.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path};

use site::Error;
use site::folder::Folder;

use crate::admin::caller;
use crate::advice::{Advice, Advise as _};
use crate::fleet::Placed;

/// What every folder of a node has that our files go through: /etc, /etc/slurm.
const FOLDER_MODE: u32 = 0o755;

/// A tree that is being laid out beside its place.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The folder of all trees, held open: on the way to it somebody else may have a folder.
    out: Folder,
    place: OsString,
    new: OsString,
    old: OsString,
}

impl Tree {
    /// An empty tree that is to become `<out>/<name>`. What a killed run left is removed first.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new(out: &Folder, name: &str) -> Result<Self, Error> {
        let beside = |what: &str| OsString::from(format!(".{name}.{what}"));
        let tree = Self { out: out.clone(), place: name.into(), new: beside("new"), old: beside("old") };
        let make = || {
            out.remove_all(&tree.new)?;
            out.remove_all(&tree.old)?;
            out.make(&tree.new, FOLDER_MODE, None).map(drop)
        };
        make().map_err(Error::write(&out.path().join(&tree.new)))?;
        Ok(tree)
    }

    /// Lays a file out where the node has it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn add(&self, placed: &Placed) -> Result<(), Error> {
        let inside = placed.path.strip_prefix("/").unwrap_or(&placed.path);
        let at = || self.out.path().join(&self.new).join(inside);
        self.write(placed).map_err(|e| Error::write(&at())(e))
    }

    fn write(&self, placed: &Placed) -> io::Result<()> {
        let Placed { path, contents, mode, owner } = placed;
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let mut folder = self.out.within(&self.new)?;
        let mut names = names.peekable();
        while let Some(name) = names.next() {
            if names.peek().is_some() {
                folder = made_or_there(&folder, name)?;
            } else {
                folder.new_file(name, *mode, Some(*owner))?.write_all(contents.expose())?;
            }
        }
        Ok(())
    }

    /// Puts the tree in its place, whole; an older one goes away.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(crate) fn put(&self) -> Result<(), Error> {
        let put = || {
            if self.out.has(&self.place) {
                self.out.rename(&self.place, &self.old)?;
            }
            self.out.rename(&self.new, &self.place)?;
            self.out.remove_all(&self.old)
        };
        put().map_err(Error::write(&self.out.path().join(&self.place)))
    }
}

fn made_or_there(folder: &Folder, name: &OsStr) -> io::Result<Folder> {
    match folder.make(name, FOLDER_MODE, None) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => folder.within(name),
        made => made,
    }
}

/// Whether a path can stand in a tree: absolute, and without `..`.
pub(crate) fn can_stand(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

/// The folder that bundles are made in: ours alone, mode 0700, made when missing.
///
/// # Errors
/// When something else is there.
pub(crate) fn prepare(out: &Path, dry_run: bool) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::symlink_metadata(out) {
        Ok(folder) if folder.is_dir() && folder.mode() & 0o7777 == 0o700 && folder.uid() == caller().uid => {
            Ok(())
        }
        Ok(folder) => Err(Advice::new(
            format!(
                "{} is not used for secrets: it must be a folder of yours with mode 0700 (it has {:04o}, uid {})",
                out.display(),
                folder.mode() & 0o7777,
                folder.uid()
            ),
            "name a new folder with --out",
        )
        .into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound && dry_run => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            site::file::make_folder(out, 0o700, None).advise()
        }
        Err(e) => Err(Error::read(out)(e)).advise(),
    }
}

/// Makes everything below a folder durable. One call for all trees: file by file would take three syncs
/// for each node.
///
/// # Errors
/// When the kernel cannot write it.
pub(crate) fn sync(out: &Folder) -> Result<(), Error> {
    out.sync_file_system().map_err(Error::write(out.path()))
}

/// The folder that trees are made in, held open.
///
/// # Errors
/// When it is not there, or somebody else's link is on root's way to it.
pub(crate) fn open(out: &Path) -> Result<Folder, Error> {
    Folder::open(out).map_err(Error::write(out))
}
