//! `slurm-pki auth-key status`, and what others are told of it.

use std::collections::BTreeMap;

use clap::Args;
use pki::time::UnixTime;
use serde::Serialize;
use site::clock;

use super::ages;
use super::away::{Absent, Away};
use super::care;
use super::files::Files;
use super::state::{self, Phase, Rotation, State};
use crate::admin::Admin;
use crate::fleet::{Missed, Skips};
use crate::global::Global;
use crate::members::Members;
use crate::{hostlist, moment, report};

/// Show the keys, where a rotation stands, and what is left to do
#[derive(Args, Debug)]
#[command(after_help = "Run it as root or as SlurmUser. No secret is shown.\n\n\
    Exit codes: 0 shown, whether a rotation is under way or not; 1 failed; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki auth-key status\n  \
    slurm-pki auth-key status --json | jq -r .data.phase")]
pub(super) struct Status {}

/// A key of the list.
#[derive(Debug, Serialize)]
struct Key {
    kid: String,
    /// Whether it signs.
    default: bool,
    /// When it was made here; else no later than the list was written.
    created: Option<UnixTime>,
    age_seconds: Option<i64>,
    /// Its `exp`, which nobody who signs looks at.
    ends: Option<UnixTime>,
}

#[derive(Debug, Serialize)]
struct Shown {
    /// slurm.jwks on this host.
    file: String,
    keys: Vec<Key>,
    /// Whether slurm.key is all there is: it cannot be rotated without an outage.
    slurm_key_alone: bool,
    /// "none", "init", "import", "add", "use", "drop"; "return" and "remove": an abort.
    phase: String,
    since: Option<UnixTime>,
    begun: Option<UnixTime>,
    /// When every daemon had shown that it loaded this phase's list.
    done: Option<UnixTime>,
    old: Option<String>,
    new: Option<String>,
    compromised: bool,
    /// Daemons that have loaded this phase's list: "slurmd n1".
    confirmed: Vec<String>,
    /// Daemons that have not, and why.
    behind: BTreeMap<String, String>,
    /// Dead hosts that were left out.
    hosts_skipped: Vec<String>,
    /// What may miss the new key and is not named yet; null: slurmctld does not tell.
    may_miss_it: Option<Vec<Away>>,
    /// When the last credential of the former key ends, after `use`.
    credentials_end: Option<UnixTime>,
    /// What is left to do, in order.
    left: Vec<String>,
}

impl Status {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_read(global, admin)?;
        let now = clock::now();
        let shown = look(&files, &files.state()?, now)?;
        if global.json {
            return report::json("slurm-pki.auth-key.status.v1", &shown);
        }
        print(&shown, now);
        Ok(())
    }
}

fn look(files: &Files<'_>, state: &State, now: UnixTime) -> anyhow::Result<Shown> {
    let keys = keys(files, state, now)?;
    let rotation = state.rotation.as_ref();
    let slurm_key_alone = keys.is_empty() && files.has_slurm_key();
    let signs_until =
        rotation.filter(|is| matches!(is.phase, Phase::Use | Phase::Return)).and_then(|is| is.done);
    let credentials_end = signs_until.map(|done| care::credentials_end(files.admin, done)).transpose()?;
    Ok(Shown {
        file: files.jwks.display().to_string(),
        left: left(rotation, slurm_key_alone, keys.is_empty(), credentials_end, now),
        keys,
        slurm_key_alone,
        phase: rotation.map_or_else(|| "none".into(), |is| is.phase.to_string()),
        since: rotation.map(|is| is.since),
        begun: rotation.map(|is| is.begun),
        done: rotation.and_then(|is| is.done),
        old: rotation.and_then(|is| is.old.clone()),
        new: rotation.map(|is| is.new.clone()),
        compromised: rotation.is_some_and(|is| is.compromised),
        confirmed: rotation.map(|is| is.confirmed.clone()).unwrap_or_default(),
        behind: rotation.map(|is| is.behind.clone()).unwrap_or_default(),
        hosts_skipped: Skips::load(files.admin)?.missing(Missed::Keys),
        may_miss_it: may_miss_it(files.admin, rotation),
        credentials_end,
    })
}

fn keys(files: &Files<'_>, state: &State, now: UnixTime) -> anyhow::Result<Vec<Key>> {
    let Some(keyring) = files.keyring()? else { return Ok(Vec::new()) };
    let key = |kid: &&str| {
        let created = ages::created(state, kid, &files.jwks);
        Key {
            kid: (*kid).to_owned(),
            default: *kid == keyring.default_kid(),
            created,
            age_seconds: created.map(|created| now.0.saturating_sub(created.0)),
            ends: keyring.end(kid).map(UnixTime),
        }
    };
    Ok(keyring.kids().iter().map(key).collect())
}

/// Only while a rotation is under way: nothing is asked of slurmctld otherwise.
fn may_miss_it(admin: &Admin, rotation: Option<&Rotation>) -> Option<Vec<Away>> {
    let Some(rotation) = rotation else { return Some(Vec::new()) };
    let members = Members::of(admin).ok()?;
    Some(Absent::of(admin, &members).ok()?.unnamed(&rotation.named))
}

fn left(
    rotation: Option<&Rotation>,
    slurm_key_alone: bool,
    none: bool,
    credentials_end: Option<UnixTime>,
    now: UnixTime,
) -> Vec<String> {
    let Some(rotation) = rotation else {
        let next = match (slurm_key_alone, none) {
            (true, _) => "slurm-pki auth-key import",
            (_, true) => "slurm-pki auth-key init --everywhere",
            _ => return Vec::new(),
        };
        return vec![next.into()];
    };
    if rotation.done.is_none() {
        return vec![format!("complete it: {}", rotation.phase.command())];
    }
    let wait = credentials_end.filter(|end| *end > now).map(|end| {
        format!("wait for the last credential of the former key, until {}", moment::shown(end, now))
    });
    let next = match rotation.phase {
        Phase::Add => "slurm-pki auth-key use".to_owned(),
        Phase::Use => "slurm-pki auth-key drop".to_owned(),
        phase => format!("complete it: {}", phase.command()),
    };
    wait.into_iter().chain([next]).collect()
}

fn print(shown: &Shown, now: UnixTime) {
    let row = |name: &str, text: &str| report::line(&format!("{name:<13} {text}"));
    row("file", &shown.file);
    for key in &shown.keys {
        let made =
            key.created.map_or_else(|| "at an unknown time".into(), |created| moment::shown(created, now));
        let signs = if key.default { ", signs" } else { "" };
        let ends = key.ends.map(|end| format!(", ends {}", moment::shown(end, now))).unwrap_or_default();
        row("key", &format!("{}, made {made}{signs}{ends}", key.kid));
    }
    if shown.slurm_key_alone {
        row("key", "slurm.key alone, which cannot be rotated without an outage");
    }
    match shown.since {
        None => row("phase", "no rotation is under way"),
        Some(since) => row("phase", &format!("{}, since {}", shown.phase, moment::shown(since, now))),
    }
    if shown.since.is_some() {
        let done = shown.done.map_or_else(|| "not by all yet".into(), |done| moment::shown(done, now));
        row("loaded", &format!("by {} daemons; by all: {done}", shown.confirmed.len()));
    }
    let mut behind: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (who, why) in &shown.behind {
        behind.entry(why).or_default().push(who);
    }
    for (why, who) in behind {
        row("behind", &format!("{}: {why}", folded(&who)));
    }
    if !shown.hosts_skipped.is_empty() {
        row("left out", &hostlist::fold_texts(shown.hosts_skipped.iter().map(String::as_str)));
    }
    match &shown.may_miss_it {
        None => row("may miss it", "slurmctld does not tell"),
        Some(all) => all.iter().for_each(|away| row("may miss it", &format!("{}: {}", away.name, away.why))),
    }
    for (n, step) in shown.left.iter().enumerate() {
        row(if n == 0 { "left to do" } else { "" }, step);
    }
}

/// `slurmd n[1-3], sackd l1`.
fn folded(all: &[&str]) -> String {
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for who in all {
        let (kind, name) = who.split_once(' ').unwrap_or(("", who));
        kinds.entry(kind).or_default().push(name);
    }
    let shown = |(kind, names): (&str, Vec<&str>)| format!("{kind} {}", hostlist::fold_texts(names));
    kinds.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// A change of the key that is under way, for commands that only show it.
#[derive(Debug, Serialize)]
pub(crate) struct UnderWay {
    /// How far it is: "init", "import", "add", "use", "drop", "return", "remove".
    pub(crate) phase: String,
    /// Since when it is that far.
    pub(crate) since: UnixTime,
    /// When all began.
    pub(crate) begun: UnixTime,
    /// When every daemon had loaded this phase's list.
    pub(crate) done: Option<UnixTime>,
    /// The key that goes.
    pub(crate) old: Option<String>,
    /// The key that comes.
    pub(crate) new: String,
    /// Daemons that have not loaded it: "slurmd n1".
    pub(crate) behind: Vec<String>,
}

impl UnderWay {
    /// Reads it; `None` when there is none.
    ///
    /// # Errors
    /// When its file cannot be read, or has no meaning here.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Option<Self>> {
        let rotation = State::load(&state::path(admin))?.rotation;
        Ok(rotation.map(|is| Self {
            phase: is.phase.to_string(),
            since: is.since,
            begun: is.begun,
            done: is.done,
            old: is.old,
            new: is.new,
            behind: is.behind.into_keys().collect(),
        }))
    }

    /// `slurmd n[1-3], sackd l1`: those behind.
    pub(crate) fn behind_folded(&self) -> String {
        folded(&self.behind.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// When keys that were made here were made, by kid: slurm.jwks has no time in it.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn created(admin: &Admin) -> anyhow::Result<BTreeMap<String, UnixTime>> {
        let keys = State::load(&state::path(admin))?.keys;
        Ok(keys.into_iter().map(|(kid, made)| (kid, made.created)).collect())
    }
}
