//! Keys of auth/slurm and auth/jwt, in numbers. A kid is no label: each rotation would leave a series behind.

use super::count;
use super::exposition::Exposition;
use crate::key_facts::{AuthKey, KeyFacts};

/// The phases of a rotation that is under way; one that is named otherwise has no sample here.
const PHASES: [&str; 7] = ["init", "import", "add", "use", "drop", "return", "remove"];

pub(super) fn write(text: &mut Exposition, keys: &KeyFacts) {
    text.gauge(
        "slurm_pki_key_usable",
        "Whether daemons start with this file of keys.",
        keys.files().map(|(word, file)| (vec![("key", word)], file.problem.is_none().into())),
    );
    let times = keys.files().filter_map(|(word, file)| {
        let made = keys.auth.as_ref().filter(|_| word == "auth_slurm").and_then(|key| key.made);
        Some((vec![("key", word)], made.or(file.changed)?.0))
    });
    text.gauge("slurm_pki_key_made_seconds", "When the key was made, or its file last changed.", times);
    if let Some(key) = &keys.auth {
        of_rotation(text, key);
    }
    text.one(
        "slurm_pki_jwt_keys_equal",
        "Whether slurmctld and slurmdbd of this host check tokens with the same key.",
        keys.jwt.as_ref().and_then(|key| key.same_on_slurmdbd).map(i64::from),
    );
    let list = keys.jwks.as_ref();
    text.one(
        "slurm_pki_jwks_keys",
        "Keys in the list of the identity provider.",
        list.map(|list| count(list.kids.len())),
    );
    text.one(
        "slurm_pki_jwks_last_good_fetch_seconds",
        "When the identity provider last answered well.",
        list.and_then(|list| list.fetched.as_ref()).map(|fetch| fetch.last_good.0),
    );
}

fn of_rotation(text: &mut Exposition, key: &AuthKey) {
    let rotation = key.rotation.as_ref();
    text.one("slurm_pki_auth_keys", "Keys in slurm.jwks; 0 with slurm.key.", Some(count(key.kids.len())));
    text.one(
        "slurm_pki_auth_key_rotation_under_way",
        "Whether a change of auth/slurm's key has begun and is not finished.",
        Some(rotation.is_some().into()),
    );
    text.gauge(
        "slurm_pki_auth_key_rotation_phase",
        "How far a change of auth/slurm's key is (1 for the phase that is being reached).",
        PHASES.map(|phase| (vec![("phase", phase)], rotation.is_some_and(|is| is.phase == phase).into())),
    );
    text.one(
        "slurm_pki_auth_key_rotation_begun_seconds",
        "When the change of auth/slurm's key began.",
        rotation.map(|rotation| rotation.begun.0),
    );
    text.one(
        "slurm_pki_auth_key_behind",
        "Daemons that have not loaded the list of this phase.",
        Some(count(rotation.map_or(0, |rotation| rotation.behind.len()))),
    );
}
