//! What time does to keys: a rotation that nobody finishes, a list that is not fetched any more, a key that gets old.

use std::time::Duration;

use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use crate::auth_key::UnderWay;
use crate::jwt::jwks::fetched::Fetched;
use crate::key_facts::{AuthKey, KeyFacts};
use crate::moment;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A rotation takes hours; where nodes are away, days.
const ROTATION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Providers change their keys within days, and tell of the new one before.
const FETCH: Duration = Duration::from_secs(2 * 24 * 3600);

/// Looks at what was noted; the files themselves are judged elsewhere.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let facts = match KeyFacts::of(&scene.admin) {
        Ok(facts) => facts,
        Err(e) => return found.error(Severity::Unknown, "keys-noted", &e),
    };
    if let Some(key) = &facts.auth {
        if let Some(rotation) = &key.rotation {
            unfinished(scene, rotation, found);
        }
        old(scene, key, found);
    }
    if let Some(fetch) = facts.jwks.as_ref().and_then(|list| list.fetched.as_ref()) {
        fetched(scene, fetch, found);
    }
    match facts.jwt.as_ref().and_then(|key| key.same_on_slurmdbd) {
        Some(true) => found.ok("auth-jwt-same", "slurmctld and slurmdbd check tokens with the same key"),
        Some(false) => found.critical(
            "auth-jwt-same",
            "slurmctld and slurmdbd check tokens with different keys, or slurmdbd has none: what one takes the other refuses",
            "give slurmdbd a copy of slurmctld's key, and restart slurmdbd",
        ),
        None => {}
    }
}

fn unfinished(scene: &Scene, rotation: &UnderWay, found: &mut Findings) {
    let since = moment::relative(rotation.begun, scene.now);
    let behind = match rotation.behind.len() {
        0 => String::new(),
        some => format!("; {some} behind: {}", rotation.behind_folded()),
    };
    let what = format!("the change of auth/slurm's key began {since} and is at {}{behind}", rotation.phase);
    if scene.now > rotation.begun.plus(ROTATION) {
        let fix = "slurm-pki auth-key status says what is next; hosts that are gone are named with --skip";
        found.warning("auth-slurm-rotation", what, fix);
    } else {
        found.ok("auth-slurm-rotation", what);
    }
}

/// Only where the config says how old a key may be.
fn old(scene: &Scene, key: &AuthKey, found: &mut Findings) {
    let (Some(most), Some(made)) = (scene.thresholds.key_age, key.made) else { return };
    let age = moment::relative(made, scene.now);
    if scene.now > made.plus(most) {
        let days = most.as_secs() / DAY.as_secs();
        let what = format!("auth/slurm's key was made {age}; [check] key_age is {days} days");
        found.warning("auth-slurm-age", what, "slurm-pki auth-key rotate");
    } else {
        found.ok("auth-slurm-age", format!("auth/slurm's key was made {age}"));
    }
}

fn fetched(scene: &Scene, fetch: &Fetched, found: &mut Findings) {
    let last = moment::relative(fetch.last_good, scene.now);
    let what = format!("{} last answered well {last}", fetch.url);
    if scene.now > fetch.last_good.plus(FETCH) {
        let fix = "slurm-pki jwt jwks fetch says what is wrong; a key that the provider has changed to is not known here";
        found.warning("auth-jwt-fetch", what, fix);
    } else {
        found.ok("auth-jwt-fetch", what);
    }
}
