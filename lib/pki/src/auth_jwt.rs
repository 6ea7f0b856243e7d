//! jwt_hs256.key and a jwks as Slurm's auth/jwt loads them (docs/slurm-contract.md 6): our own copy of the loader.

use std::collections::HashSet;

use crate::explain::shown;
use crate::key_list::{self, Entry, Keys, decoded_length, text};
use crate::loading::{FileFacts, Harm, Verdicts};
use crate::slurm_release::SlurmRelease;

/// What slurmctld and slurmdbd do with this jwt_key. Every byte of it is the key.
#[must_use]
pub fn judge_key(bytes: &[u8], facts: FileFacts, slurm_user: u32) -> Verdicts {
    Verdicts::of_raw_key(bytes, facts, slurm_user)
}

/// What they do with this list of public keys.
#[must_use]
pub fn judge_jwks(bytes: &[u8], facts: FileFacts, slurm_user: u32) -> Verdicts {
    let mut verdicts = Verdicts::default();
    verdicts.public_file(facts, slurm_user);
    match key_list::parse(bytes) {
        Err(why) => verdicts.die(why),
        Ok(Keys::Missing | Keys::NoList) => usable(&[], &mut verdicts),
        Ok(Keys::List(keys)) => {
            for release in SlurmRelease::ALL {
                keys.iter().enumerate().for_each(|(n, key)| entry(release, n + 1, key, &mut verdicts));
            }
            usable(&keys, &mut verdicts);
        }
    }
    verdicts
}

fn entry(release: SlurmRelease, n: usize, key: &Entry<'_>, verdicts: &mut Verdicts) {
    let Some(kid) = text(&key.kid) else { return verdicts.die_in(release, format!("key {n} has no kid")) };
    let name = shown(kid.as_bytes());
    if !is_read(release, key) {
        return;
    }
    for (member, value) in [("n", &key.n), ("e", &key.e)] {
        match text(value).map(decoded_length) {
            None => verdicts.die_in(release, format!("key {name} has no {member}")),
            Some(Ok(0)) => verdicts.die_in(release, format!("{member} of key {name} is empty")),
            Some(Err(why)) if release.decodes_strictly() => {
                verdicts.die_in(release, format!("{member} of key {name} {why}"));
            }
            Some(_) => {}
        }
    }
}

/// Whether a release looks at an entry any further than its kid.
fn is_read(release: SlurmRelease, key: &Entry<'_>) -> bool {
    let is_rs256 = text(&key.alg).map(|alg| alg.eq_ignore_ascii_case("RS256"));
    if release >= SlurmRelease::V26_05_3 {
        text(&key.kty) == Some("RSA") && is_rs256 != Some(false)
    } else {
        is_rs256 != Some(false)
    }
}

/// What of it tokens can be verified with, in every release.
fn usable(keys: &[Entry<'_>], verdicts: &mut Verdicts) {
    let mut seen = HashSet::new();
    for key in keys.iter().filter(|key| SlurmRelease::ALL.iter().any(|release| is_read(*release, key))) {
        let kid = text(&key.kid).unwrap_or_default();
        let name = shown(kid.as_bytes());
        if !seen.insert(kid) {
            verdicts.hazard(
                Harm::NotMatched,
                format!("two keys have the kid {name}: only the first is ever used"),
            );
        }
        if key.alg.is_none() {
            verdicts.hazard(
                Harm::NotMatched,
                format!("key {name} does not say alg RS256: releases before 26.05.3 never match it"),
            );
        }
    }
    if seen.is_empty() {
        verdicts.hazard(Harm::NotMatched, "it has no RSA key for RS256: no token is ever accepted by it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loading::Loaded;

    const PUBLIC: FileFacts = FileFacts { mode: 0o644, owner: 0 };

    fn list(keys: &str) -> Verdicts {
        judge_jwks(format!("{{\"keys\":[{keys}]}}").as_bytes(), PUBLIC, 0)
    }

    #[test]
    fn an_rsa_key_for_rs256_loads_everywhere() {
        let verdicts = list(r#"{"kid":"a","kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB","x5c":["x"]}"#);
        assert_eq!(verdicts, Verdicts::default());
    }

    #[test]
    fn a_key_of_another_kind_ends_older_releases_unless_it_says_its_alg() {
        let bare = list(r#"{"kid":"a","kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#);
        assert_eq!(bare.dies().map(|(release, _)| release), Some(SlurmRelease::V25_05));
        assert_eq!(bare.of(SlurmRelease::V26_05_3), Loaded::Accepts);
        let named = list(r#"{"kid":"a","kty":"EC","alg":"ES256","crv":"P-256","x":"AA","y":"AA"}"#);
        assert!(named.loads() && !named.hazards().is_empty());
    }

    #[test]
    fn what_ends_them_and_what_is_never_matched() {
        assert!(!list(r#"{"kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB"}"#).loads());
        let loose = list(r#"{"kid":"a","kty":"RSA","alg":"RS256","n":"AQ AB","e":"AQAB"}"#);
        assert_eq!(loose.dies().map(|(release, _)| release), Some(SlurmRelease::V26_05_0));
        let silent = list(r#"{"kid":"a","kty":"RSA","n":"AQAB","e":"AQAB"}"#);
        assert!(silent.loads() && silent.hazards().len() == 1);
        assert!(!judge_jwks(b"{\"keys\":[]}", FileFacts { mode: 0o666, owner: 0 }, 0).loads());
        assert!(!judge_key(b"", PUBLIC, 0).loads() && !judge_key(&[1; 32], PUBLIC, 0).loads());
        assert_eq!(judge_key(&[1; 32], FileFacts { mode: 0o400, owner: 0 }, 5), Verdicts::default());
    }
}
