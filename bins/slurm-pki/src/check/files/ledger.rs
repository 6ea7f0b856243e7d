//! The ledger: with ledger_required nothing is issued that cannot be written down.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::super::access::{Blocked, EXECUTE, READ, WRITE, Who, way_through};
use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use crate::admin::owner_name;

/// Some 40,000 certificates: a day of a large cluster.
const CRITICAL_BYTES: u64 = 16 * 1024 * 1024;
const WARN_BYTES: u64 = 256 * 1024 * 1024;
/// Every node has a file of its last certificate.
const CRITICAL_FILES: u64 = 1000;
const WARN_FILES: u64 = 20_000;

/// Looks at the folder and its file system.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let folder = &scene.admin.controller.ledger;
    if !folder.is_dir() {
        return;
    }
    writable(scene, folder, found);
    match statvfs(folder) {
        Ok(fs) => space(folder, &fs, found),
        Err(e) => found.unknown("ledger-space", format!("{}: {e}", folder.display()), "df by hand"),
    }
}

fn writable(scene: &Scene, folder: &Path, found: &mut Findings) {
    let Some(user) = scene.slurm_user else { return };
    let name = owner_name(user);
    let who = Who::user(user);
    let blocked =
        who.reaches(folder, READ | WRITE | EXECUTE).err().map(|blocked| (folder.to_owned(), blocked));
    let blocked = match (blocked, fs::read_dir(folder)) {
        (None, Err(e)) => Some((folder.to_owned(), Blocked::Unseen(e.to_string()))),
        (None, Ok(entries)) => {
            let mut files = entries.flatten().map(|entry| entry.path()).filter(|path| is_written(path));
            files.find_map(|file| Some((file.clone(), cannot_write(&who, &file)?)))
        }
        (blocked, _) => blocked,
    };
    match blocked {
        None => found.ok("ledger-write", format!("{name} can write {}", folder.display())),
        Some((path, Blocked::Unseen(why))) => {
            found.unknown(
                "ledger-write",
                format!("{}: {why}", path.display()),
                "run this as root or as SlurmUser",
            );
        }
        Some((path, blocked)) => {
            let what = format!("{name} cannot write {}: nothing is issued while that is so", path.display());
            let fix = match &blocked {
                Blocked::Folder(above) => way_through(above, &scene.admin.top().state_dir, &name),
                _ => format!("chown {name} {0} && chmod u+rwX,go-w {0}", path.display()),
            };
            found.critical("ledger-write", what, fix);
        }
    }
}

/// What sign_csr has to write before it prints anything. Refusals may go unrecorded.
fn is_written(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("issued.") && (name.ends_with(".jsonl") || name.ends_with(".lock"))
}

/// It refuses a file that others can change, too.
fn cannot_write(who: &Who, file: &Path) -> Option<Blocked> {
    match who.reaches(file, WRITE) {
        Ok(seen) if seen.mode() & 0o022 != 0 => Some(Blocked::Mode(seen.mode() & 0o7777)),
        Ok(_) | Err(Blocked::Missing) => None,
        Err(blocked) => Some(blocked),
    }
}

fn space(folder: &Path, fs: &StatVfs, found: &mut Findings) {
    let shown = folder.display();
    if fs.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let what = format!("{shown} is on a file system mounted read-only: nothing is issued");
        return found.critical(
            "ledger-space",
            what,
            format!("dmesg says why; then mount -o remount,rw the mount that findmnt -T {shown} names"),
        );
    }
    let free = fs.f_bavail.saturating_mul(fs.f_frsize);
    // Some file systems have no fixed number of files and say 0 of 0.
    let files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail };
    let severity = if free < CRITICAL_BYTES || files < CRITICAL_FILES {
        Severity::Critical
    } else if free < WARN_BYTES || files < WARN_FILES {
        Severity::Warning
    } else {
        Severity::Ok
    };
    let what = format!("{} MiB are free for the ledger in {shown}", free / (1024 * 1024));
    let what = if files < WARN_FILES { format!("{what}, and {files} files") } else { what };
    match severity {
        Severity::Ok => found.ok("ledger-space", what),
        severity => found.add_as(
            severity,
            "ledger-space",
            format!("{what}: when it is full, nothing is issued and no node renews"),
            format!(
                "make room on the file system of {shown}: df -h {shown}; rotated issued.*.jsonl whose certificates have all \
                 ended may go elsewhere"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(bytes: u64, files: u64, flags: StatVfsMountFlags) -> Severity {
        let Ok(mut fs) = statvfs("/") else { return Severity::Unknown };
        (fs.f_frsize, fs.f_bavail, fs.f_files, fs.f_favail, fs.f_flag) = (1, bytes, 1, files, flags);
        let mut found = Findings::new(&[]);
        space(Path::new("/ledger"), &fs, &mut found);
        found.worst()
    }

    #[test]
    fn little_room_is_told_before_there_is_none() {
        let none = StatVfsMountFlags::empty();
        assert_eq!(severity(1 << 40, u64::MAX, none), Severity::Ok);
        assert_eq!(severity(WARN_BYTES - 1, u64::MAX, none), Severity::Warning);
        assert_eq!(severity(CRITICAL_BYTES - 1, u64::MAX, none), Severity::Critical);
        assert_eq!(severity(1 << 40, 10, none), Severity::Critical);
        assert_eq!(severity(1 << 40, u64::MAX, StatVfsMountFlags::RDONLY), Severity::Critical);
    }
}
