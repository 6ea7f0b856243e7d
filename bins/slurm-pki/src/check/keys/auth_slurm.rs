//! slurm.jwks, else slurm.key, beside slurm.conf.

use std::path::Path;

use pki::time::UnixTime;
use site::file::{self, Owner};

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::super::tls_files::is_fetched;
use super::jwks::{Jwk, Jwks};
use super::secret_file;
use crate::fleet::digest;
use crate::moment;

/// Where a configless daemon looks for its key.
const DEFAULT: &str = "/etc/slurm/slurm.conf";

/// Longest file that is read.
const MAX: usize = 1024 * 1024;

/// Characters of 16 bytes in base64, padding left out.
const LEAST: usize = 22;

/// Looks at the one that counts.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    // Clients ask the daemon of their host, which has the key.
    let has_daemon = scene.controller || scene.sackd || scene.node.is_some();
    let Some(conf) = scene.slurm_conf().filter(|_| has_daemon) else { return };
    // slurm.conf may have been fetched; keys never are.
    let beside = if is_fetched(conf.path()) { Path::new(DEFAULT) } else { conf.path() };
    let (jwks, key) = (beside.with_file_name("slurm.jwks"), beside.with_file_name("slurm.key"));
    both(&jwks, &key, found);
    let path = if jwks.exists() { jwks } else { key };
    if let Some((signs, ends)) = read(scene.slurm_user, &path, found) {
        end(scene, &signs, ends, found);
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
    let signs = list.keys.iter().find(|key| key.used.as_deref() == Some("default")).or(list.keys.first());
    let same =
        signs.and_then(Jwk::secret).is_some_and(|secret| digest(secret.expose()) == digest(single.expose()));
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

/// Looks at a file, whenever its keys end.
pub(super) fn file(slurm_user: Option<Owner>, path: &Path, found: &mut Findings) {
    let _ = read(slurm_user, path, found);
}

/// The key that signs and when it ends, where it does.
fn read(slurm_user: Option<Owner>, path: &Path, found: &mut Findings) -> Option<(String, i64)> {
    if !secret_file(slurm_user, "auth-slurm", path, found) {
        return None;
    }
    if path.extension().is_none_or(|ending| ending != "jwks") {
        found.ok("auth-slurm", format!("{} is there, for nobody else", path.display()));
        return None;
    }
    match file::read_with_metadata(path, MAX) {
        Ok((text, _)) => match Jwks::parse(text.expose()) {
            Ok(list) => return keys(path, &list, found),
            Err(why) => bad(path, &why, found),
        },
        Err(e) => found.unknown("auth-slurm", e.to_string(), "run this as root"),
    }
    None
}

/// There is no way back to slurm.key: an existing and bad list is fatal.
fn bad(path: &Path, why: &str, found: &mut Findings) {
    found.critical(
        "auth-slurm",
        format!("{}: {why}: daemons do not start with it", path.display()),
        "put the former list back; each key has kid, kty oct, alg HS256, k in base64url without blanks; one is use default",
    );
}

fn keys(path: &Path, list: &Jwks<'_>, found: &mut Findings) -> Option<(String, i64)> {
    if let Err(why) = list.names().and_then(|()| list.keys.iter().try_for_each(sound)) {
        bad(path, &why, found);
        return None;
    }
    let defaults: Vec<&Jwk<'_>> =
        list.keys.iter().filter(|key| key.used.as_deref() == Some("default")).collect();
    if defaults.len() > 1 {
        bad(path, "two keys are the default", found);
        return None;
    }
    if defaults.is_empty() && list.keys.len() > 1 {
        let what = format!("{} names no default: the first of the list signs", path.display());
        found.warning(
            "auth-slurm-default",
            what,
            "give the key that signs \"use\":\"default\", on every host",
        );
    }
    found.ok("auth-slurm", format!("{} has {} sound keys", path.display(), list.keys.len()));
    let signs = defaults.first().copied().or(list.keys.first())?;
    Some((signs.name().to_owned(), signs.end().ok()??))
}

fn sound(key: &Jwk<'_>) -> Result<(), String> {
    let is = |value: &Option<std::borrow::Cow<'_, str>>, wanted: &str| {
        value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    let name = key.name();
    if !is(&key.kty, "oct") || !is(&key.alg, "HS256") {
        return Err(format!("key {name} is not kty oct, alg HS256"));
    }
    // Strict from 26.05 on: nothing but the alphabet, padding where the length needs it or none.
    let k = key.k.as_deref().unwrap_or_default();
    let body = k.trim_end_matches('=');
    let is_base64 = body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
    let fits = body.len() % 4 != 1 && (k.len() == body.len() || k.len().is_multiple_of(4));
    if !is_base64 || !fits {
        return Err(format!("k of key {name} is not strict base64"));
    }
    if body.len() < LEAST {
        return Err(format!("k of key {name} is shorter than 16 bytes"));
    }
    key.end().map(|_| ()).map_err(|()| format!("exp of key {name} is no time"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(key: &str) -> Result<(), String> {
        let text = format!("{{\"keys\":[{key}]}}");
        let list = Jwks::parse(text.as_bytes())?;
        list.names()?;
        list.keys.iter().try_for_each(sound)
    }

    #[test]
    fn keys_are_judged_as_the_strictest_slurm_judges_them() {
        let key = |kid: &str, kty: &str, k: &str, more: &str| {
            format!(r#"{{"kid":"{kid}","kty":"{kty}","alg":"hs256","k":"{k}"{more}}}"#)
        };
        let k = "AAAAAAAAAAAAAAAAAAAAAA";
        for good in [
            key("a", "oct", k, ""),
            key("a", "OCT", &format!("{k}=="), ""),
            key("a", "oct", k, ",\"exp\":\"5\",\"x\":1"),
            [key("a", "oct", k, ""), key("b", "oct", k, "")].join(","),
        ] {
            assert_eq!(judged(&good), Ok(()), "{good}");
        }
        for bad in [
            key("a", "RSA", k, ""),
            key("a", "oct", "AAAA", ""),
            key("a", "oct", &format!("{k}\\n"), ""),
            key("a", "oct", &format!("{k}="), ""),
            key("a", "oct", &format!("{k}AAA"), ""),
            key("a", "oct", k, ",\"exp\":\"soon\""),
            [key("a", "oct", k, ""), key("a", "oct", k, "")].join(","),
            r#"{"kty":"oct"}"#.to_owned(),
            "x".to_owned(),
            String::new(),
        ] {
            let why = judged(&bad).unwrap_err();
            assert!(!why.contains(k), "{why}");
        }
    }
}
