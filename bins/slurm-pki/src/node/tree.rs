//! A tree laid out from a node's root, so that `cp -a DIR/n1/. /` puts every file in its place and
//! changes no folder's mode.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use site::Error;
use site::file::Owner;

use crate::admin::caller;
use crate::advice::{Advice, Advise as _};
use crate::fleet::Placed;

/// What every folder of a node has that our files go through: /etc, /etc/slurm.
const FOLDER_MODE: u32 = 0o755;

/// A tree that is being laid out beside its place.
#[derive(Debug)]
pub(crate) struct Tree {
    place: PathBuf,
    new: PathBuf,
    old: PathBuf,
}

impl Tree {
    /// An empty tree that is to become `<out>/<name>`. What a killed run left is removed first.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new(out: &Path, name: &str) -> Result<Self, Error> {
        let beside = |what: &str| out.join(format!(".{name}.{what}"));
        let tree = Self { place: out.join(name), new: beside("new"), old: beside("old") };
        remove(&tree.new)?;
        remove(&tree.old)?;
        make_folder(&tree.new)?;
        Ok(tree)
    }

    /// Lays a file out where the node has it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn add(&self, placed: &Placed) -> Result<(), Error> {
        let Placed { path, contents, mode, owner: Owner { uid, gid } } = placed;
        let mut at = self.new.clone();
        let mut names = path.components().filter(|part| matches!(part, Component::Normal(_))).peekable();
        while let Some(name) = names.next() {
            at.push(name);
            if names.peek().is_some() && !at.is_dir() {
                make_folder(&at)?;
            }
        }
        let failed = || Error::write(&at);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(*mode).open(&at).map_err(failed())?;
        file.set_permissions(fs::Permissions::from_mode(*mode)).map_err(failed())?;
        std::os::unix::fs::fchown(&file, Some(*uid), Some(*gid)).map_err(failed())?;
        file.write_all(contents.expose()).map_err(failed())
    }

    /// Puts the tree in its place, whole; an older one goes away.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(crate) fn put(&self) -> Result<(), Error> {
        if self.place.exists() {
            fs::rename(&self.place, &self.old).map_err(Error::write(&self.place))?;
        }
        fs::rename(&self.new, &self.place).map_err(Error::write(&self.place))?;
        remove(&self.old)
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
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && dry_run => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
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
pub(crate) fn sync(out: &Path) -> Result<(), Error> {
    let folder = File::open(out).map_err(Error::write(out))?;
    rustix::fs::syncfs(&folder).map_err(|e| Error::write(out)(e.into()))
}

fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir(path).map_err(Error::write(path))?;
    // The umask may have taken bits away.
    fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)).map_err(Error::write(path))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(path)(e)),
        _ => Ok(()),
    }
}
