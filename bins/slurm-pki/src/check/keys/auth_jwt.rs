//! The keys that slurmctld and slurmdbd check users' tokens with.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use site::file;

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::jwks::{Jwk, Jwks};
use super::secret_file;
use crate::key_facts::takes_tokens;
use crate::parameters::Parameters;

/// Longest file that is read.
const MAX: usize = 1024 * 1024;

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
        found.critical("auth-jwt-folder", what, format!("chown SlurmUser {shown}; chmod go-w {shown}"));
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
    if let Some(key) = key.filter(|key| secret_file(scene.slurm_user, "auth-jwt", key, found)) {
        found.ok("auth-jwt", format!("{} is there, for nobody else", key.display()));
    }
    if let Some(jwks) = jwks {
        list(&jwks, found);
    }
}

/// Public keys: others may read it, and must not write it.
pub(super) fn list(path: &Path, found: &mut Findings) {
    let shown = path.display();
    if fs::metadata(path).is_ok_and(|seen| seen.mode() & 0o002 != 0) {
        let what = format!("{shown} can be changed by everybody: slurmctld does not start with it");
        return found.critical("auth-jwt", what, format!("chmod 0644 {shown}; see that its keys are yours"));
    }
    let text = match file::read_with_metadata(path, MAX) {
        Ok((text, _)) => text,
        Err(e) if e.is_not_found() => {
            let what = format!("there is no {shown}: slurmctld does not start");
            return found.critical("auth-jwt", what, "fetch it from whoever issues the tokens");
        }
        Err(e) => return found.unknown("auth-jwt", e.to_string(), "run this as root"),
    };
    let fix = "each key: kid (all different), kty RSA, alg RS256, n, e";
    match Jwks::parse(text.expose()).and_then(|list| list.names().map(|()| list)) {
        Err(why) => found.critical("auth-jwt", format!("{shown}: {why}: slurmctld does not start"), fix),
        Ok(list) => match list.keys.iter().find(|key| !is_matched(key)) {
            Some(key) => found.warning(
                "auth-jwt-key",
                format!(
                    "{shown}: key {} is not RSA with RS256, n and e: some versions of Slurm never match it",
                    key.name()
                ),
                fix,
            ),
            None => {
                found
                    .ok("auth-jwt", format!("{shown} has {} keys that every Slurm matches", list.keys.len()));
            }
        },
    }
}

fn is_matched(key: &Jwk<'_>) -> bool {
    let is = |value: &Option<std::borrow::Cow<'_, str>>, wanted: &str| value.as_deref() == Some(wanted);
    is(&key.kty, "RSA") && is(&key.alg, "RS256") && key.n.is_some() && key.e.is_some()
}
