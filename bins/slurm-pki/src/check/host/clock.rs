//! The clock: certificates begin and end by it, on both sides of a handshake.

use std::fs;
use std::process::Command;
use std::time::Duration;

use pki::time::UnixTime;
use site::ledger::Ledger;

use super::super::finding::Findings;
use super::super::scene::{HostRoot, Scene};
use crate::admin::caller;
use crate::{moment, timed};

/// Programs that keep the clock, as the kernel has their names.
const KEEPERS: [&str; 7] =
    ["chronyd", "ntpd", "ntp-daemon", "systemd-timesyn", "phc2sys", "openntpd", "timemaster"];

/// systemd-timesyncd touches it when the clock is right.
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// How far ahead a time of our own may be: another controller's clock has a little of its own.
const SLACK: Duration = Duration::from_secs(60);

/// Looks at who keeps the clock, and whether it went back.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    kept(&scene.host, found);
    if scene.controller {
        went_back(scene, found);
    }
}

fn kept(host: &HostRoot, found: &mut Findings) {
    let fix = "run chronyd, ntpd or systemd-timesyncd, and see that it reaches its servers: chronyc tracking, timedatectl";
    let Some(keeper) = keeper(host) else {
        if hides_others(host) {
            return unseen(host, found, fix);
        }
        return found.warning(
            "clock",
            "nothing on this host keeps its clock: certificates begin and end by it",
            fix,
        );
    };
    match keeper.as_str() {
        "systemd-timesyn" if host.at(TIMESYNCD).exists() => {
            found.ok("clock", "systemd-timesyncd has set the clock");
        }
        "systemd-timesyn" => {
            found.warning(
                "clock",
                "systemd-timesyncd runs, and has not set the clock since the host started",
                fix,
            );
        }
        "chronyd" if host.is_this_host() => chrony(found, fix),
        keeper => {
            found.ok("clock", format!("{keeper} runs"));
            found.not_looked_at(format!("whether {keeper} has set the clock: ask it by hand"));
        }
    }
}

/// A /proc with hidepid shows this user no process of others.
fn hides_others(host: &HostRoot) -> bool {
    caller().uid != 0 && !host.at("/proc/1/comm").exists()
}

/// What can be told without seeing who keeps the clock.
fn unseen(host: &HostRoot, found: &mut Findings, fix: &str) {
    if host.at(TIMESYNCD).exists() {
        return found.ok("clock", "systemd-timesyncd has set the clock");
    }
    match tracking().filter(|_| host.is_this_host()) {
        Some(said) => tracked(&said, found, fix),
        None => found.unknown(
            "clock",
            "/proc hides who keeps the clock from this user, and neither chronyc nor systemd-timesyncd tells",
            "run this as root; or timedatectl by hand",
        ),
    }
}

fn keeper(host: &HostRoot) -> Option<String> {
    let entries = fs::read_dir(host.at("/proc")).ok()?;
    let processes = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_number));
    let mut names = processes.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.find_map(|name| KEEPERS.contains(&name.trim()).then(|| name.trim().to_owned()))
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn chrony(found: &mut Findings, fix: &str) {
    match tracking() {
        Some(said) => tracked(&said, found, fix),
        None => {
            found.ok("clock", "chronyd runs");
            found.not_looked_at("whether chronyd has set the clock: chronyc tracking did not answer");
        }
    }
}

fn tracking() -> Option<String> {
    let ended = timed::run(Command::new("chronyc").args(["-c", "tracking"]), Duration::from_secs(5), 4096);
    let ended = ended.ok().filter(timed::Ended::succeeded)?;
    Some(String::from_utf8_lossy(ended.output.expose()).trim().to_owned())
}

/// The last word of `chronyc -c tracking` is the leap status.
fn tracked(said: &str, found: &mut Findings, fix: &str) {
    if said.ends_with("Not synchronised") {
        found.warning("clock", "chronyd runs, and has not set the clock", fix);
    } else {
        found.ok("clock", "chronyd has set the clock");
    }
}

/// A certificate of the future in our own ledger: the clock was ahead then, or is behind now.
fn went_back(scene: &Scene, found: &mut Findings) {
    let files = &scene.admin.controller;
    let newest = newest(&files.ledger.join("last"), &Ledger::of(files));
    match newest {
        Some(time) if time > scene.now.plus(SLACK) => found.critical(
            "clock-ledger",
            format!(
                "the ledger has a certificate of {}: the clock is behind, or was ahead",
                moment::shown(time, scene.now)
            ),
            "set the clock right first (chronyc makestep); then issue anew what was issued in the future",
        ),
        Some(_) => found.ok("clock-ledger", "no certificate of the ledger is from the future"),
        None => {}
    }
}

/// The names alone of as many files as one look may cost; the newest by its own date is read.
fn newest(folder: &std::path::Path, ledger: &Ledger) -> Option<UnixTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let dated =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.file_name())));
    let (_, name) = dated.max()?;
    let node = name.to_str()?.strip_suffix(".json")?.to_owned();
    Some(ledger.last_known(&node)?.time)
}
