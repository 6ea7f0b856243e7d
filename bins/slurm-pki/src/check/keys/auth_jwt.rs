//! The keys that slurmctld and slurmdbd check users' tokens with.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::judged;
use crate::key_facts::takes_tokens;
use crate::key_files::KeyFile;
use crate::parameters::Parameters;

/// Looks at slurmctld's, and at slurmdbd's where it is here.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let state = Path::new(scene.get("StateSaveLocation").unwrap_or("/var/spool")).join("jwt_hs256.key");
    of(scene, "slurm.conf", scene.get("AuthAltParameters"), Some(state), found);
    match scene.dbd() {
        Some(dbd) if takes_tokens(dbd) => {
            of(scene, "slurmdbd.conf", dbd.get("AuthAltParameters"), None, found);
        }
        Some(_) => found.warning(
            "auth-jwt-slurmdbd",
            "slurmctld takes tokens and slurmdbd does not: what asks slurmdbd through slurmrestd is refused",
            "slurm-pki conf enable --jwt on slurmdbd's host, then restart slurmdbd",
        ),
        None => {}
    }
    if scene.tls_is_on() {
        found.ok("auth-jwt-tls", "tokens cross the network inside TLS");
    } else {
        found.warning(
            "auth-jwt-tls",
            "auth/jwt is on and TLS is off: tokens cross the network in clear, and whoever sees one can use it",
            "slurm-pki conf enable; until then keep slurmctld's port from networks of others",
        );
    }
}

/// Whoever can put a file in the place of the key is root on the cluster.
fn folder(scene: &Scene, key: &Path, found: &mut Findings) {
    let Some(folder) = key.parent() else { return };
    let Ok(seen) = fs::metadata(folder) else { return };
    let shown = folder.display();
    let is_theirs = seen.uid() == 0 || scene.slurm_user.is_none_or(|user| user.uid == seen.uid());
    // In a folder with the sticky bit nobody replaces the files of others.
    let writable = seen.mode() & 0o022 != 0 && seen.mode() & 0o1000 == 0;
    if !is_theirs || writable {
        let mode = seen.mode() & 0o7777;
        let what = format!(
            "{shown} (mode {mode:04o}, uid {}) lets others put a key of theirs in the place of {}",
            seen.uid(),
            key.display()
        );
        found.critical(
            "auth-jwt-folder",
            what,
            format!("chown {} {shown}; chmod go-w {shown}", scene.slurm_user_name()),
        );
    } else {
        found.ok("auth-jwt-folder", format!("only root and SlurmUser change what is in {shown}"));
    }
}

fn of(scene: &Scene, conf: &str, value: Option<&str>, default: Option<PathBuf>, found: &mut Findings) {
    let given = Parameters::of(value);
    let (key, jwks) = (given.get("jwt_key").map(PathBuf::from), given.get("jwks").map(PathBuf::from));
    for path in [&key, &jwks].into_iter().flatten().filter(|path| !path.is_absolute()) {
        let what = format!(
            "{conf}: AuthAltParameters has {}, which depends on where a daemon starts",
            path.display()
        );
        found.warning("auth-jwt", what, format!("give its absolute path in {conf}"));
    }
    // With a list and no key of its own there is no HS256.
    let key = key.or(if jwks.is_none() { default } else { None });
    if key.is_none() && jwks.is_none() {
        let what =
            format!("{conf}: auth/jwt without jwt_key= or jwks=: slurmdbd has no default and does not start");
        return found.critical("auth-jwt", what, format!("write AuthAltParameters=jwt_key=PATH in {conf}"));
    }
    match &key {
        Some(key) => folder(scene, key, found),
        None => found.ok("auth-jwt-hs256", format!("{conf}: jwks= alone: HS256 is off, no scontrol token")),
    }
    if let Some(key) = key
        && judged(scene.slurm_user, KeyFile::JwtKey, &key, scene.now, found).is_some()
    {
        found.ok("auth-jwt", format!("{} is there, for nobody else", key.display()));
    }
    if let Some(jwks) = jwks
        && let Some(read) = judged(scene.slurm_user, KeyFile::Jwks, &jwks, scene.now, found)
        && read.verdicts.hazards().is_empty()
    {
        found.ok("auth-jwt", format!("{} has keys that every Slurm matches", jwks.display()));
    }
}
