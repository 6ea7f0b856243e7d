//! Keys of auth/slurm and auth/jwt, as the daemons load them at their next start (docs/slurm-contract.md 5, 6). No key
//! is shown, whatever is wrong with it.

mod auth_jwt;
mod auth_slurm;
mod jwks;
mod noted;

use std::path::Path;

use pki::loading::{Harm, Loaded, Verdicts};
use pki::slurm_release::SlurmRelease;
use pki::time::UnixTime;
use site::clock;
use site::file::Owner;

use super::finding::{Findings, Group, Severity};
use super::scene::Scene;
use crate::admin::owner_name;
use crate::advice::Advice;
use crate::key_files::{KeyFile, Read};

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
    let signs = list.signs().map(|key| key.name().to_owned());
    KeyIds { all: list.keys.iter().map(|key| key.name().to_owned()).collect(), signs }
}

/// Refuses a file that a daemon would not start with (docs/slurm-contract.md 5, 6).
///
/// # Errors
/// What keeps daemons from starting, and what to do.
pub(crate) fn must_load(slurm_user: Option<Owner>, kind: KeyFile, path: &Path) -> anyhow::Result<()> {
    let mut found = Findings::new(&[]);
    let _ = judged(slurm_user, kind, path, clock::now(), &mut found);
    let bad = |severity| found.all().iter().find(|finding| finding.severity == severity);
    match bad(Severity::Critical).or(bad(Severity::Unknown)) {
        None => Ok(()),
        Some(finding) => {
            let fix = finding.fix.clone().unwrap_or_default();
            Err(Advice::new(finding.what.clone(), fix).into())
        }
    }
}

/// What daemons do with a file at their next start: our own copy of their loaders says it. The file as it was read where
/// they do start.
fn judged(
    slurm_user: Option<Owner>,
    kind: KeyFile,
    path: &Path,
    now: UnixTime,
    found: &mut Findings,
) -> Option<Read> {
    let (code, fix) = words(kind);
    let shown = path.display();
    let read = match kind.read(path, slurm_user.map_or(0, |user| user.uid), now) {
        Ok(Some(read)) => read,
        Ok(None) => {
            found.critical(
                code,
                format!("there is no {shown}: daemons do not start without it"),
                absent(kind),
            );
            return None;
        }
        Err(e) => {
            found.unknown(code, e.to_string(), "run this as root");
            return None;
        }
    };
    if let Some((_, why)) = read.verdicts.dies() {
        let from = which(&read.verdicts);
        found.critical(code, format!("{shown}: {why}: daemons{from} do not start with it"), fix);
        return None;
    }
    // Who nobody can name owns nothing.
    if let Some(user) = slurm_user {
        for why in read.verdicts.warnings() {
            found.warning(code, format!("{shown}: {why}"), format!("chown {} {shown}", owner_name(user)));
        }
    }
    read.verdicts.harms().for_each(|(harm, what)| hazard(kind, path, harm, what, found));
    Some(read)
}

/// Which releases do not start with it, by the first of each kind; nothing where it is all of them.
fn which(verdicts: &Verdicts) -> String {
    let dies = |release: &SlurmRelease| matches!(verdicts.of(*release), Loaded::Dies(_));
    let all: Vec<&str> = SlurmRelease::ALL.into_iter().filter(dies).map(SlurmRelease::name).collect();
    if all.len() == SlurmRelease::ALL.len() {
        return String::new();
    }
    format!(" of Slurm {}", all.join(", "))
}

/// The end of the key that signs is told with its time, elsewhere.
fn hazard(kind: KeyFile, path: &Path, harm: Harm, what: &str, found: &mut Findings) {
    let is_jwt = matches!(kind, KeyFile::JwtKey | KeyFile::Jwks);
    let (code, fix) = match harm {
        Harm::SigningKeyEnds => return,
        Harm::NoKey => {
            let (code, fix) = words(kind);
            return found.critical(code, format!("{}: {what}", path.display()), fix);
        }
        Harm::Guessable if is_jwt => ("auth-jwt-weak", "make another: slurm-pki jwt key rotate"),
        Harm::Guessable => ("auth-slurm-weak", "make another: slurm-pki auth-key rotate"),
        Harm::Newline => {
            ("auth-slurm-newline", "every host must have the same bytes: compare with sha256sum")
        }
        Harm::NoDefault => {
            ("auth-slurm-default", "give the key that signs \"use\":\"default\", on every host")
        }
        Harm::NotMatched => ("auth-jwt-key", "each key: kid (all different), kty RSA, alg RS256, n, e"),
    };
    found.warning(code, format!("{}: {what}", path.display()), fix);
}

/// The word for it, and what mends it.
fn words(kind: KeyFile) -> (&'static str, &'static str) {
    match kind {
        KeyFile::AuthKey => (
            "auth-slurm",
            "chmod 0600, and the bytes that the other hosts have; if users could read it, make a new key",
        ),
        KeyFile::AuthJwks => (
            "auth-slurm",
            "chmod 0600, or put the former list back: there is no way back to slurm.key while it is there; each key has kid, \
             kty oct, alg HS256, k in base64url without blanks; one is use default",
        ),
        KeyFile::JwtKey => {
            ("auth-jwt", "chmod 0600; if users could read it, make a new key: slurm-pki jwt key rotate")
        }
        KeyFile::Jwks => (
            "auth-jwt",
            "chmod 0644; each key has kid (all different), kty RSA, alg RS256, n, e: slurm-pki jwt jwks fetch or build",
        ),
    }
}

fn absent(kind: KeyFile) -> &'static str {
    match kind {
        KeyFile::AuthKey | KeyFile::AuthJwks => {
            "copy it from a host that has it; the first one is made by slurm-pki auth-key init"
        }
        KeyFile::JwtKey => {
            "copy it from a host that has it, or restore it from a backup; the first one is made by slurm-pki jwt key init"
        }
        KeyFile::Jwks => "fetch it from whoever issues the tokens: slurm-pki jwt jwks fetch",
    }
}
