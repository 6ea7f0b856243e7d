//! Whether a user gets to a file, by owner, groups and mode: what access(2) would say if that user asked. ACLs are not
//! known here.

use std::cell::OnceCell;
use std::ffi::CString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use site::file::Owner;

/// Read.
pub(crate) const READ: u32 = 0o4;
/// Write.
pub(crate) const WRITE: u32 = 0o2;
/// Execute; for a folder, go through it.
pub(crate) const EXECUTE: u32 = 0o1;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// One user, and the groups that the host gives it besides the own one: looked up once, however many files there are,
    /// since that may be a question to another host.
    User(Owner, OnceCell<Vec<Gid>>),
    /// Every user of the host.
    Everybody,
}

/// What is in the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// There is no such file.
    Missing,
    /// The file itself.
    Mode(u32),
    /// A folder above it.
    Folder(PathBuf),
    /// It could not be looked at.
    Unseen(String),
}

impl Who {
    /// One user.
    pub(crate) fn user(user: Owner) -> Self {
        Self::User(user, OnceCell::new())
    }

    /// Whether these bits let this user do `wanted`.
    pub(crate) fn may(&self, file: &Metadata, wanted: u32) -> bool {
        let mode = file.mode();
        let granted = match self {
            Self::User(user, _) if user.uid == 0 => READ | WRITE | executable(mode, file.is_dir()),
            Self::User(user, _) if user.uid == file.uid() => mode >> 6,
            Self::User(user, groups) if user.gid == file.gid() || has(groups, *user, file.gid()) => mode >> 3,
            Self::User(..) | Self::Everybody => mode,
        };
        granted & wanted == wanted
    }

    /// Whether this user gets to `path` and may do `wanted` there. Links are followed.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) fn reaches(&self, path: &Path, wanted: u32) -> Result<Metadata, Blocked> {
        let real = fs::canonicalize(path).map_err(unseen)?;
        let folders: Vec<&Path> = real.ancestors().skip(1).collect();
        for folder in folders.into_iter().rev() {
            let seen = fs::metadata(folder).map_err(unseen)?;
            if !self.may(&seen, EXECUTE) {
                return Err(Blocked::Folder(folder.to_owned()));
            }
        }
        let file = fs::metadata(&real).map_err(unseen)?;
        if self.may(&file, wanted) { Ok(file) } else { Err(Blocked::Mode(file.mode() & 0o7777)) }
    }
}

/// Whether there is such a file, or this command's own user may not know.
pub(crate) fn may_be_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// Whether a user has a group besides the own one: daemons have them all (initgroups(3)).
fn has(groups: &OnceCell<Vec<Gid>>, user: Owner, group: u32) -> bool {
    groups.get_or_init(|| groups_of(user).unwrap_or_default()).contains(&Gid::from_raw(group))
}

fn groups_of(user: Owner) -> Option<Vec<Gid>> {
    let known = User::from_uid(Uid::from_raw(user.uid)).ok()??;
    getgrouplist(&CString::new(known.name).ok()?, known.gid).ok()
}

/// The command that lets a user through a folder in the way: the user's own where it is a folder of ours, and never a
/// new owner for one above, which is others' too.
pub(crate) fn way_through(folder: &Path, state_dir: &Path, name: &str) -> String {
    let state_dir = fs::canonicalize(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    if folder.starts_with(state_dir) {
        format!("chown {name} {0} && chmod u+rwx {0}", folder.display())
    } else {
        format!("chmod o+x {}", folder.display())
    }
}

/// Root executes what anybody may.
fn executable(mode: u32, is_folder: bool) -> u32 {
    if is_folder || mode & 0o111 != 0 { EXECUTE } else { 0 }
}

fn unseen(e: io::Error) -> Blocked {
    match e.kind() {
        io::ErrorKind::NotFound => Blocked::Missing,
        _ => Blocked::Unseen(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn owner_group_and_others_have_bits_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o641)).unwrap();
        let file = fs::metadata(&path).unwrap();
        let (uid, gid) = (file.uid(), file.gid());
        let user = |uid, gid| Who::user(Owner { uid, gid });
        if uid != 0 {
            assert!(user(uid, gid + 1).may(&file, READ | WRITE));
            assert!(!user(uid, gid).may(&file, EXECUTE));
        }
        assert!(user(uid + 1, gid).may(&file, READ) && !user(uid + 1, gid).may(&file, WRITE));
        assert!(!user(uid + 1, gid + 1).may(&file, READ));
        assert!(Who::Everybody.may(&file, EXECUTE) && !Who::Everybody.may(&file, READ));
        assert_eq!(Who::Everybody.reaches(&folder.path().join("none"), READ).unwrap_err(), Blocked::Missing);
    }

    #[test]
    fn a_user_has_the_groups_that_the_host_gives_it() {
        // bin or daemon: every Linux has uid 1, in group 1.
        let user = Owner { uid: 1, gid: 12_345 };
        let is_member = |user, group| has(&OnceCell::new(), user, group);
        assert!(is_member(user, 1) && !is_member(user, 12_345));
        assert!(!is_member(Owner { uid: 4_000_000_000, gid: 1 }, 1), "nobody");
    }

    #[test]
    fn only_folders_of_ours_get_a_new_owner() {
        let folder = tempfile::tempdir().unwrap();
        let ours = fs::canonicalize(folder.path()).unwrap();
        let said = |way: &Path| way_through(way, folder.path(), "slurm");
        assert!(said(&ours.join("ca")).starts_with("chown slurm "));
        assert_eq!(said(ours.parent().unwrap()), format!("chmod o+x {}", ours.parent().unwrap().display()));
    }

    #[test]
    fn a_folder_above_can_be_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let blocked = Who::Everybody.reaches(&path, READ).unwrap_err();
        assert_eq!(blocked, Blocked::Folder(fs::canonicalize(folder.path()).unwrap()));
    }
}
