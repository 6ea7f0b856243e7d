//! slurm.key and slurm.jwks as Slurm's auth/slurm loads them (docs/slurm-contract.md 5): our own copy of the loader, so that
//! no daemon is given a file that it dies of.

use std::collections::HashSet;

use crate::explain::shown;
use crate::key_list::{self, Entry, Keys, Text, decoded_length, decoded_length_leniently, string, text};
use crate::loading::{ENOUGH, FileFacts, Harm, Verdicts};
use crate::slurm_release::SlurmRelease;
use crate::time::UnixTime;

/// Bytes of a key in slurm.jwks below which every release dies.
const LEAST: usize = 16;

const NO_KEY: &str = "it has no key: it loads, and then nothing can be signed or verified";

/// What daemons do with this slurm.key. Every byte of it is the key.
#[must_use]
pub fn judge_key(bytes: &[u8], facts: FileFacts, slurm_user: u32) -> Verdicts {
    let mut verdicts = Verdicts::of_raw_key(bytes, facts, slurm_user);
    if bytes.ends_with(b"\n") {
        verdicts.hazard(
            Harm::Newline,
            "the newline at its end is part of the key: a copy without it is another key",
        );
    }
    verdicts
}

/// What daemons do with this slurm.jwks at `now`.
#[must_use]
pub fn judge_jwks(bytes: &[u8], facts: FileFacts, slurm_user: u32, now: UnixTime) -> Verdicts {
    let mut verdicts = Verdicts::default();
    verdicts.secret_file(facts, slurm_user);
    match key_list::parse(bytes) {
        Err(why) => verdicts.die(why),
        Ok(Keys::Missing) => verdicts.die("it has no list of keys"),
        Ok(Keys::NoList) => verdicts.hazard(Harm::NoKey, NO_KEY),
        Ok(Keys::List(keys)) if keys.is_empty() => verdicts.hazard(Harm::NoKey, NO_KEY),
        Ok(Keys::List(keys)) => {
            names(&keys, &mut verdicts);
            keys.iter().for_each(|key| entry(key, &mut verdicts));
            signing(&keys, now, &mut verdicts);
        }
    }
    verdicts
}

/// Every key has one, and no two have the same; upper and lower case are different.
fn names(keys: &[Entry<'_>], verdicts: &mut Verdicts) {
    let mut seen = HashSet::new();
    for (n, key) in keys.iter().enumerate() {
        match string(&key.kid) {
            None => verdicts.die(format!("key {} has no kid that is a text", n + 1)),
            Some(kid) if !seen.insert(kid) => {
                verdicts.die(format!("two keys have the kid {}", shown(kid.as_bytes())));
            }
            Some(_) => {}
        }
    }
}

fn entry(key: &Entry<'_>, verdicts: &mut Verdicts) {
    let name = shown(text(&key.kid).unwrap_or_default().as_bytes());
    let is = |member, wanted: &str| text(member).is_some_and(|is| is.eq_ignore_ascii_case(wanted));
    if !is(&key.kty, "oct") {
        verdicts.die(format!("key {name} is not of kty oct"));
    }
    if !is(&key.alg, "HS256") {
        verdicts.die(format!("key {name} is not for alg HS256"));
    }
    match text(&key.k) {
        None => verdicts.die(format!("key {name} has no k")),
        Some(k) => secret(&name.to_string(), k, verdicts),
    }
    if end(key).is_err() {
        verdicts.die(format!("the exp of key {name} is no whole number of seconds"));
    }
}

fn secret(name: &str, k: &str, verdicts: &mut Verdicts) {
    let strictly = decoded_length(k);
    for release in SlurmRelease::ALL {
        match (strictly, release.decodes_strictly()) {
            (Err(why), true) => verdicts.die_in(release, format!("k of key {name} {why}")),
            (Ok(length), true) if length < LEAST => {
                verdicts.die_in(release, format!("k of key {name} is shorter than {LEAST} bytes"));
            }
            (_, false) if decoded_length_leniently(k) < LEAST => {
                verdicts.die_in(release, format!("k of key {name} is shorter than {LEAST} bytes"));
            }
            _ => {}
        }
    }
    if strictly.is_ok_and(|length| (LEAST..ENOUGH).contains(&length)) {
        verdicts.hazard(Harm::Guessable, format!("k of key {name} is shorter than {ENOUGH} bytes"));
    }
}

/// Its end in unix seconds; 0 is never. Of a number with a fraction the whole part counts.
fn end(key: &Entry<'_>) -> Result<Option<i64>, ()> {
    let whole = |text: &str| text.split('.').next().unwrap_or_default().parse().map_err(drop);
    let end: Result<i64, ()> = match &key.exp {
        None | Some(Text::Null) => return Ok(None),
        Some(Text::Is(text)) => text.parse().map_err(drop),
        Some(Text::Number(text)) => whole(text),
        Some(Text::Other) => Err(()),
    };
    end.map(|end| Some(end).filter(|end| *end != 0))
}

/// Which key signs, and whether whoever verifies takes it: signers never look at its end.
fn signing(keys: &[Entry<'_>], now: UnixTime, verdicts: &mut Verdicts) {
    let is_default = |key: &&Entry<'_>| text(&key.used) == Some("default");
    let defaults = keys.iter().filter(is_default).count();
    if defaults > 1 {
        verdicts.die("two keys are the default");
    }
    if defaults == 0 && keys.len() > 1 {
        verdicts.hazard(Harm::NoDefault, "no key is the default, so the first of the list signs: on a host with another order, another one");
    }
    let Some(signs) = keys.iter().find(is_default).or(keys.first()) else { return };
    match end(signs) {
        Ok(Some(end)) if end <= now.0 => verdicts.hazard(
            Harm::SigningKeyEnds,
            "the key that signs has ended: it loads, and then every message is refused, a reconfigure too",
        ),
        Ok(Some(_)) => verdicts.hazard(
            Harm::SigningKeyEnds,
            "the key that signs has an end: signers go on using it after that, and every message is refused",
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loading::Loaded;

    const OWN: FileFacts = FileFacts { mode: 0o600, owner: 64030 };
    const K: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn jwks(keys: &[String]) -> Verdicts {
        judge_jwks(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes(), OWN, 64030, UnixTime(1_000))
    }

    fn key(kid: &str, kty: &str, k: &str, more: &str) -> String {
        format!(r#"{{"kid":"{kid}","kty":"{kty}","alg":"hs256","k":"{k}"{more}}}"#)
    }

    #[test]
    fn good_lists_load_without_a_word() {
        for good in [
            vec![key("a", "oct", K, "")],
            vec![key("a", "OCT", &format!("{K}="), ",\"x\":[1,{\"y\":null}]")],
            vec![key("a", "oct", K, ",\"use\":\"default\""), key("A", "oct", K, ",\"exp\":\"5\"")],
            vec![key("a", "oct", K, ",\"exp\":0")],
        ] {
            let verdicts = jwks(&good);
            assert!(verdicts.loads() && verdicts.hazards().is_empty(), "{good:?}: {verdicts:?}");
            assert_eq!(verdicts.of(SlurmRelease::V25_05), Loaded::Accepts);
        }
    }

    #[test]
    fn bad_lists_end_every_daemon() {
        for bad in [
            vec![key("a", "RSA", K, "")],
            vec![key("a", "oct", "AAAA", "")],
            vec![key("a", "oct", K, ",\"exp\":\"soon\"")],
            vec![key("a", "oct", K, ",\"exp\":true")],
            vec![key("a", "oct", K, ""), key("a", "oct", K, "")],
            vec![key("a", "oct", K, ",\"use\":\"default\""), key("b", "oct", K, ",\"use\":\"default\"")],
            vec![r#"{"kty":"oct","alg":"HS256"}"#.to_owned()],
        ] {
            let verdicts = jwks(&bad);
            for release in SlurmRelease::ALL {
                assert!(matches!(verdicts.of(release), Loaded::Dies(_)), "{bad:?} {release}");
            }
            assert!(!format!("{verdicts:?}").contains(K), "{bad:?}");
        }
        for text in ["", "x", "[]", "{}", "{\"keys\":[1]}"] {
            assert!(!judge_jwks(text.as_bytes(), OWN, 0, UnixTime(0)).loads(), "{text}");
        }
    }

    #[test]
    fn base64_that_is_none_to_the_letter_ends_daemons_from_26_05_on() {
        for k in [format!("{K}\\n"), format!("{K} "), format!("{K}=="), format!("{K}AA")] {
            let verdicts = jwks(&[key("a", "oct", &k, "")]);
            assert_eq!(verdicts.of(SlurmRelease::V25_11), Loaded::Accepts, "{k}");
            assert_eq!(verdicts.dies().map(|(release, _)| release), Some(SlurmRelease::V26_05_0), "{k}");
        }
    }

    #[test]
    fn what_loads_and_harms_is_told() {
        let two = [key("a", "oct", K, ""), key("b", "oct", K, "")];
        assert_eq!(jwks(&two).hazards().len(), 1);
        for end in ["999", "\"1001\""] {
            let verdicts = jwks(&[key("a", "oct", K, &format!(",\"exp\":{end}"))]);
            assert!(verdicts.loads() && verdicts.hazards().len() == 1, "{end}");
        }
        for text in ["{\"keys\":[]}", "{\"keys\":{}}"] {
            let verdicts = judge_jwks(text.as_bytes(), OWN, 0, UnixTime(0));
            assert!(verdicts.loads() && verdicts.hazards().len() == 1, "{text}");
        }
        assert_eq!(judge_key(b"secret\n", OWN, 64030).hazards().len(), 2);
    }

    #[test]
    fn a_file_that_others_may_touch_ends_them_and_a_foreign_owner_is_a_warning() {
        let open = FileFacts { mode: 0o604, owner: 0 };
        assert!(!judge_key(&[1; 32], open, 64030).loads());
        let group = FileFacts { mode: 0o660, owner: 1000 };
        assert!(matches!(judge_key(&[1; 32], group, 64030).of(SlurmRelease::V26_05_3), Loaded::Warns(_)));
        assert!(!judge_key(b"", OWN, 64030).loads());
    }
}
