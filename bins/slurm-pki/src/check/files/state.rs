//! state_dir: whose it is, where it is, and what is kept of the nodes' tokens.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use pki::name::NodeName;
use pki::token::NodeSecret;
use rustix::fs::{StatFs, statfs};
use site::config::Place;
use site::token_list;

use super::super::access::{Blocked, EXECUTE, READ, Who};
use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use crate::admin::owner_name;
use crate::hostlist::fold;
use crate::init::on_shared_storage;

/// Looks at the folders and the token list.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let files = &scene.admin.controller;
    let mut folders = vec![(files.ledger.as_path(), "ledger")];
    if files.signer == Place::Local
        && let Some(folder) = files.ca_key.parent()
    {
        folders.push((folder, "ca"));
    }
    if files.store == Place::Local {
        folders.push((files.tokens.as_path(), "tokens"));
    }
    for (folder, what) in folders {
        closed(scene, folder, what, found);
    }
    shared(scene, found);
    list(scene, found);
}

/// SlurmUser's alone.
fn closed(scene: &Scene, folder: &Path, name: &str, found: &mut Findings) {
    let shown = folder.display();
    let seen = match fs::metadata(folder) {
        Ok(seen) => seen,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("there is no {shown} ({name})");
            return found.critical("state-folder", what, "slurm-pki init completes what is missing");
        }
        Err(e) => {
            return found.unknown(
                "state-folder",
                format!("{shown}: {e}"),
                "run this as root or as SlurmUser",
            );
        }
    };
    let mode = seen.mode() & 0o7777;
    if !seen.is_dir() {
        return found.critical(
            "state-folder",
            format!("{shown} is no folder"),
            "slurm-pki init, after moving it away",
        );
    }
    if let Some(user) = scene.slurm_user
        && seen.uid() != user.uid
    {
        let what =
            format!("{shown} belongs to uid {}, and sign_csr runs as {}", seen.uid(), owner_name(user));
        return found.critical("state-folder", what, format!("chown -R {} {shown}", owner_name(user)));
    }
    if let Some(user) = scene.slurm_user
        && let Err(Blocked::Folder(above)) = Who::user(user).reaches(folder, READ | EXECUTE)
    {
        let what = format!("{shown}: {} does not get through {}", owner_name(user), above.display());
        return found.critical("state-folder", what, format!("chmod o+x {}", above.display()));
    }
    if mode & 0o022 != 0 {
        let what = format!("{shown} has mode {mode:04o}: others can change what is in it");
        return found.critical("state-folder", what, format!("chmod 0700 {shown}"));
    }
    if mode & 0o055 != 0 {
        let what = format!("{shown} has mode {mode:04o}: others can look into it");
        return found.warning("state-folder", what, format!("chmod 0700 {shown}"));
    }
    found.ok("state-folder", format!("{shown} has mode {mode:04o}"));
}

/// A backup controller has to find the same CA, records and ledger.
fn shared(scene: &Scene, found: &mut Findings) {
    let several = scene.slurm_conf().is_some_and(|conf| conf.controllers().len() > 1);
    if !several {
        return;
    }
    let state_dir = scene.admin.top().state_dir.as_path();
    let shared = Path::new(scene.get("StateSaveLocation").unwrap_or("/var/spool"));
    if let Some(denied) = [state_dir, shared].into_iter().find(|path| is_denied(path)) {
        let what = format!("{}: this user may not see which file system it is on", denied.display());
        return found.unknown("state-shared", what, "run this as root");
    }
    match on_shared_storage(&scene.admin) {
        Ok(()) => found.ok("state-shared", "state_dir is where StateSaveLocation is"),
        Err(e) => return found.error(Severity::Critical, "state-shared", &e),
    }
    if let Some(kind) = statfs(state_dir).ok().and_then(|fs| local_kind(&fs)) {
        found.warning(
            "state-local",
            format!(
                "slurm.conf names several controllers, and state_dir {} is on a {kind} of this host: the others do not \
                 find CA and records there",
                state_dir.display()
            ),
            "put StateSaveLocation and state_dir on storage that all of them mount; where something keeps them in step: \
             --skip state-local",
        );
    }
}

/// Whose they are, as the command takes them; nobody knows whose a bare one is.
fn nodes(entries: &[(Option<NodeName>, NodeSecret)]) -> String {
    let names: Vec<NodeName> = entries.iter().filter_map(|(name, _)| name.clone()).collect();
    if names.len() == entries.len() { format!("'{}'", fold(&names)) } else { "HOSTLIST".into() }
}

fn is_denied(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
}

/// File systems that one host alone has (statfs(2)).
fn local_kind(fs: &StatFs) -> Option<&'static str> {
    match fs.f_type {
        0xef53 => Some("disk (ext4)"),
        0x5846_5342 => Some("disk (xfs)"),
        0x9123_683e => Some("disk (btrfs)"),
        0x2fc1_2fc1 => Some("disk (zfs)"),
        0x794c_7630 => Some("disk (overlay)"),
        0x0102_1994 | 0x8584_58f6 => Some("file system in memory"),
        _ => None,
    }
}

/// Tokens that others keep: whoever sees one can enrol, and bind too.
fn list(scene: &Scene, found: &mut Findings) {
    let Some(path) = &scene.admin.controller.token_list else { return };
    let shown = path.display();
    match token_list::entries(path) {
        Ok(entries) if entries.is_empty() => found.ok("token-list", format!("{shown} is empty")),
        Ok(entries) => {
            let bare = entries.iter().filter(|(name, _)| name.is_none()).count();
            let bare = match bare {
                0 => String::new(),
                n => format!(", {n} of them bare: each is good for every node that has no line of its own"),
            };
            found.warning(
                "token-list",
                format!(
                    "{shown} has {} tokens in clear{bare}; who sees one can bind requests too",
                    entries.len()
                ),
                format!(
                    "slurm-pki node token {} gives each node a secret of its own; node push; then empty token_list",
                    nodes(&entries)
                ),
            );
        }
        Err(e) => found.file_error("token-list", &e),
    }
}
