//! Keys of auth/slurm and auth/jwt, as the daemons load them at their next start (docs/slurm-contract.md 5, 6). No key
//! is shown, whatever is wrong with it.

mod auth_jwt;
mod auth_slurm;
mod jwks;
mod noted;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use site::file::Owner;

use super::finding::{Findings, Group, Severity};
use super::scene::Scene;
use crate::advice::Advice;

/// Looks at both, where slurm.conf asks for them.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    found.begin(Group::Keys);
    let auth = scene.get("AuthType").unwrap_or_default();
    if auth.eq_ignore_ascii_case("auth/slurm") {
        auth_slurm::look(scene, found);
    } else {
        auth_slurm::left_over(scene, found);
    }
    let others = scene.get("AuthAltTypes").unwrap_or_default().to_ascii_lowercase();
    if scene.controller && others.split(',').any(|kind| kind.trim() == "auth/jwt") {
        auth_jwt::look(scene, found);
    }
    if scene.controller {
        noted::look(scene, found);
    }
}

/// A file of keys that daemons are about to be told of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyFile<'a> {
    /// auth/jwt's own key, for HS256.
    Jwt(&'a Path),
    /// The list of an identity provider's keys.
    Jwks(&'a Path),
    /// auth/slurm's list, or its one key.
    AuthSlurm(&'a Path),
}

impl KeyFile<'_> {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Jwt(path) | Self::Jwks(path) | Self::AuthSlurm(path) => path,
        }
    }
}

/// What the keys of a list are called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyIds {
    /// In the list's order.
    pub(crate) all: Vec<String>,
    /// The one that signs: the default, else the first.
    pub(crate) signs: Option<String>,
}

/// Of a list of keys; nothing where it is none.
pub(crate) fn key_ids(text: &[u8]) -> KeyIds {
    let Ok(list) = jwks::Jwks::parse(text) else { return KeyIds::default() };
    let default = list.keys.iter().find(|key| key.used.as_deref() == Some("default"));
    let signs = default.or(list.keys.first()).map(|key| key.name().to_owned());
    KeyIds { all: list.keys.iter().map(|key| key.name().to_owned()).collect(), signs }
}

/// Refuses a file that a daemon would not start with (docs/slurm-contract.md 5, 6).
///
/// # Errors
/// What keeps daemons from starting, and what to do.
pub(crate) fn must_load(slurm_user: Option<Owner>, file: KeyFile<'_>) -> anyhow::Result<()> {
    let mut found = Findings::new(&[]);
    match file {
        KeyFile::Jwt(path) => {
            let _ = secret_file(slurm_user, "auth-jwt", path, &mut found);
        }
        KeyFile::Jwks(path) => auth_jwt::list(path, &mut found),
        KeyFile::AuthSlurm(path) => auth_slurm::file(slurm_user, path, &mut found),
    }
    let bad = |severity| found.all().iter().find(|finding| finding.severity == severity);
    match bad(Severity::Critical).or(bad(Severity::Unknown)) {
        None => Ok(()),
        Some(finding) => {
            let fix = finding.fix.clone().unwrap_or_default();
            Err(Advice::new(finding.what.clone(), fix).into())
        }
    }
}

/// A key that anybody else can read or change: Slurm does not start with it. Another owner is only a warning of
/// Slurm's, and means that somebody else can change the file.
fn secret_file(slurm_user: Option<Owner>, code: &'static str, path: &Path, found: &mut Findings) -> bool {
    let shown = path.display();
    let seen = match fs::metadata(path) {
        Ok(seen) => seen,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("there is no {shown}: daemons do not start without it");
            found.critical(code, what, "copy it from a host that has it; or restore it from a backup");
            return false;
        }
        Err(e) => {
            found.unknown(code, format!("{shown}: {e}"), "run this as root");
            return false;
        }
    };
    let mode = seen.mode() & 0o7777;
    if mode & 0o007 != 0 {
        let what = format!("{shown} has mode {mode:04o}: daemons do not start with a key that others get at");
        found.critical(code, what, format!("chmod 0600 {shown}; if users could read it, make a new key"));
        return false;
    }
    if seen.uid() != 0 && slurm_user.is_some_and(|user| user.uid != seen.uid()) {
        let what = format!("{shown} belongs to uid {}, neither root nor SlurmUser", seen.uid());
        found.warning(code, what, format!("chown SlurmUser {shown}"));
    }
    if seen.len() == 0 {
        found.critical(code, format!("{shown} is empty"), "copy it from a host that has it");
        return false;
    }
    true
}
