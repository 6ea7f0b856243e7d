//! The rows about keys.

use pki::time::UnixTime;

use super::show::{Row, row, shortened};
use crate::auth_key::UnderWay;
use crate::key_facts::{AuthKey, Jwks, JwtKey, KeyFacts, KeyOnDisk};
use crate::moment;
use crate::report::Mood;

/// One row for each file, one for a rotation.
pub(super) fn rows(keys: &KeyFacts, now: UnixTime) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(key) = &keys.auth {
        rows.push(auth_row(key, now));
        rows.extend(key.rotation.as_ref().map(|rotation| rotation_row(rotation, now)));
    }
    rows.extend(keys.jwt.as_ref().map(|key| jwt_row(key, now)));
    rows.extend(keys.jwks.as_ref().map(|list| jwks_row(list, now)));
    rows
}

fn auth_row(key: &AuthKey, now: UnixTime) -> Row {
    let made = when("made", key.made, now);
    let note = match (&key.signs, key.kids.len()) {
        (Some(kid), 1) => format!("kid {kid} signs, {made}"),
        (Some(kid), many) => format!("kid {kid} of {many} signs, {made}"),
        (None, _) => {
            format!("{}, {made}; it cannot be rotated: slurm-pki auth-key import", shown(&key.on_disk))
        }
    };
    file_row("auth/slurm", &key.on_disk, Mood::Plain, "ok", note)
}

fn rotation_row(rotation: &UnderWay, now: UnixTime) -> Row {
    let since = moment::relative(rotation.since, now);
    let (mood, note) = match (rotation.done, rotation.behind.len()) {
        (Some(_), 0) => {
            (Mood::Warn, format!("{since}, reached everywhere; the next step: slurm-pki auth-key status"))
        }
        (_, 0) => (Mood::Warn, format!("{since}; slurm-pki auth-key status")),
        (_, some) => (Mood::Bad, format!("{since}; {some} behind: {}", shortened(&rotation.behind_folded()))),
    };
    row(mood, "keys", "rotation", &rotation.phase, "", &note)
}

fn jwt_row(key: &JwtKey, now: UnixTime) -> Row {
    let changed = when("changed", key.on_disk.changed, now);
    let file = shown(&key.on_disk);
    let (mood, state, note) = match key.same_on_slurmdbd {
        Some(false) => {
            (Mood::Bad, "DIFFERS", format!("{file}, {changed}; slurmdbd has another: tokens fail there"))
        }
        Some(true) => (Mood::Plain, "ok", format!("{file}, {changed}; slurmdbd has the same")),
        None => (Mood::Plain, "ok", format!("{file}, {changed}")),
    };
    file_row("jwt", &key.on_disk, mood, state, note)
}

fn jwks_row(list: &Jwks, now: UnixTime) -> Row {
    let kids = shortened(&list.kids.join(","));
    let note = match &list.fetched {
        Some(fetch) => format!("kids {kids}; last fetched well {}", moment::relative(fetch.last_good, now)),
        None => format!("kids {kids}; {}", when("changed", list.on_disk.changed, now)),
    };
    file_row("jwks", &list.on_disk, Mood::Plain, "ok", note)
}

fn file_row(what: &str, key: &KeyOnDisk, mood: Mood, state: &str, note: String) -> Row {
    match &key.problem {
        Some(problem) => row(Mood::Bad, "keys", what, "BROKEN", "", problem),
        None => row(mood, "keys", what, state, "", &note),
    }
}

fn shown(key: &KeyOnDisk) -> String {
    key.file.display().to_string()
}

fn when(what: &str, time: Option<UnixTime>, now: UnixTime) -> String {
    time.map_or_else(
        || format!("{what} at a time unknown"),
        |time| format!("{what} {}", moment::relative(time, now)),
    )
}
