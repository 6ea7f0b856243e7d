//! slurm.jwks, else slurm.key, beside slurm.conf.

use std::path::Path;

use pki::time::UnixTime;
use site::file;

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::super::tls_files::is_fetched;
use super::judged;
use super::jwks::{Jwk, Jwks};
use crate::fleet::digest;
use crate::key_files::KeyFile;
use crate::moment;

/// Where a configless daemon looks for its key.
const DEFAULT: &str = "/etc/slurm/slurm.conf";

/// Longest file that is read.
const MAX: usize = 1024 * 1024;

/// Looks at the one that counts.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    // Clients ask the daemon of their host, which has the key.
    let has_daemon = scene.controller || scene.sackd || scene.node.is_some();
    let Some(conf) = scene.slurm_conf().filter(|_| has_daemon) else { return };
    // slurm.conf may have been fetched; keys never are.
    let beside = if is_fetched(conf.path()) { Path::new(DEFAULT) } else { conf.path() };
    let (jwks, key) = (beside.with_file_name("slurm.jwks"), beside.with_file_name("slurm.key"));
    both(&jwks, &key, found);
    let (kind, path) = if jwks.exists() { (KeyFile::AuthJwks, jwks) } else { (KeyFile::AuthKey, key) };
    let Some(read) = judged(scene.slurm_user, kind, &path, scene.now, found) else { return };
    let shown = path.display();
    match Jwks::parse(read.bytes.expose()) {
        Ok(list) if kind == KeyFile::AuthJwks => {
            if let Some((signs, Ok(Some(ends)))) = list.signs().map(|key| (key.name(), key.end())) {
                end(scene, signs, ends, found);
            }
            found.ok("auth-slurm", format!("{shown} has {} sound keys", list.keys.len()));
        }
        _ => found.ok("auth-slurm", format!("{shown} is there, for nobody else")),
    }
}

/// A key that no daemon reads is a secret less to lose; that somebody means to use it soon is as likely.
pub(super) fn left_over(scene: &Scene, found: &mut Findings) {
    let Some(conf) = scene.slurm_conf() else { return };
    let files = ["slurm.jwks", "slurm.key"].map(|name| conf.path().with_file_name(name));
    for path in files.iter().filter(|path| path.symlink_metadata().is_ok()) {
        found.ok("auth-slurm-unused", format!("{} is there; AuthType is not auth/slurm", path.display()));
    }
}

/// Hosts with the one file and hosts with the other talk to each other as long as the key that signs is the same
/// (docs/slurm-contract.md 5).
fn both(jwks: &Path, key: &Path, found: &mut Findings) {
    if !jwks.exists() || !key.exists() {
        return;
    }
    let (Ok((list, _)), Ok((single, _))) =
        (file::read_with_metadata(jwks, MAX), file::read_with_metadata(key, MAX))
    else {
        return;
    };
    let Ok(list) = Jwks::parse(list.expose()) else { return };
    let same = list
        .signs()
        .and_then(Jwk::secret)
        .is_some_and(|secret| digest(secret.expose()) == digest(single.expose()));
    if same {
        return found.ok("auth-slurm-both", "slurm.key has the bytes of the key that signs in slurm.jwks");
    }
    found.warning(
        "auth-slurm-both",
        format!(
            "{} has another key than the one that signs in {}: a host that has slurm.key alone is refused",
            key.display(),
            jwks.display()
        ),
        format!("when every host has slurm.jwks: rm {} everywhere", key.display()),
    );
}

/// Signers never look at its end, and everybody who verifies does.
fn end(scene: &Scene, signs: &str, end: i64, found: &mut Findings) {
    let end = UnixTime(end);
    let what = format!("the key {signs} that signs ends {}", moment::shown(end, scene.now));
    let fix =
        "make another key the default on every host before that: signers use this one on, and are rejected";
    if scene.now >= end || end <= scene.now.plus(scene.thresholds.critical) {
        found.critical("auth-slurm-end", what, fix);
    } else {
        found.warning("auth-slurm-end", what, fix);
    }
}
