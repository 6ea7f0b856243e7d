//! slurmctld as it tells of itself: which one is at work, and when it started.
//!
//! `scontrol reconfigure` ends with 0 even when slurmctld then dies of a bad file, and a slurmctld that starts itself anew in
//! place keeps the start time of its process. What changes is its own BOOT_TIME, and whoever answers with that has loaded
//! its authentication (slurm-contract.md 5).

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::commands::run;
use super::host::Seen;
use super::outcome::Reason;
use crate::interrupt;
use crate::members::is_this_host;

/// How long one question may take: scontrol asks every controller in turn, each for MessageTimeout.
const ONE_ANSWER: Duration = Duration::from_secs(60);

const NAP: Duration = Duration::from_millis(300);

/// So often a controller is asked until it counts as down.
const LOOKS: usize = 3;

const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A controller that is down must not be taken for one on its way up for longer than this.
const DOWN_FOR: Duration = Duration::from_secs(20);

/// Host names of `scontrol ping`, in its order, and whether each answers.
pub(super) fn ping() -> Result<Vec<(String, bool)>, String> {
    let words = ["scontrol", "ping"].map(str::to_owned);
    // Its exit code is about all of them together.
    let said = run(&words, ONE_ANSWER)?;
    let lines: Vec<_> = said.said.lines().filter_map(pinged).collect();
    match (lines.is_empty(), said.failed) {
        (true, Some(why)) => Err(why),
        (true, None) => Err("scontrol ping does not say which controllers there are".into()),
        (false, _) => Ok(lines),
    }
}

/// `Slurmctld(primary) at h1 is UP`.
fn pinged(line: &str) -> Option<(String, bool)> {
    let (_, rest) = line.trim().strip_prefix("Slurmctld(")?.split_once(") at ")?;
    let (host, state) = rest.split_once(" is ")?;
    Some((host.to_owned(), state.trim() == "UP"))
}

/// The host of the one at work: the first that answers, since a primary that comes back takes over at once.
///
/// # Errors
/// When scontrol cannot be run.
pub(super) fn active() -> Result<Option<String>, String> {
    // One that was just reconfigured may be away for a moment.
    for _ in 0..LOOKS {
        if let Some((host, _)) = ping()?.into_iter().find(|(_, up)| *up) {
            return Ok(Some(host));
        }
        sleep(BETWEEN_LOOKS);
    }
    Ok(None)
}

/// Whether two names are those of one host.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || (is_this_host(one) && is_this_host(other))
}

/// When the slurmctld at work started, in seconds of its host's clock.
pub(super) fn boot_time() -> Result<i64, String> {
    let said = run(&["scontrol", "show", "config"].map(str::to_owned), ONE_ANSWER)?;
    if let Some(why) = said.failed {
        return Err(why);
    }
    booted(&said.said).ok_or_else(|| "scontrol show config does not tell BOOT_TIME".into())
}

fn booted(config: &str) -> Option<i64> {
    let value =
        config.lines().find_map(|line| line.strip_prefix("BOOT_TIME")?.trim().strip_prefix('='))?.trim();
    let told = || Some(site::clock::of(humantime::parse_rfc3339_weak(value).ok()?).0);
    value.parse().ok().or_else(told)
}

/// Has it load its files by `words`, and waits until it says that it started after they had come.
///
/// # Errors
/// How it stands when it does not.
pub(super) fn reload(words: &[String], seen: &Seen, wait: Duration) -> Result<(), Reason> {
    let ran = run(words, wait).map_err(Reason::Failed)?;
    is_anew(seen, wait).map_err(|booted| Reason::Failed(verdict(words, booted, ran.failed)))
}

/// Waits until it says that it started after the files had come.
///
/// # Errors
/// What it said last: its start, or why it says nothing.
pub(super) fn is_anew(seen: &Seen, wait: Duration) -> Result<(), Result<i64, String>> {
    let deadline = Instant::now() + wait;
    let mut down_since = None;
    loop {
        let booted = boot_time();
        match &booted {
            Ok(booted) if seen.is_before(*booted) => return Ok(()),
            Ok(_) => down_since = None,
            Err(_) => drop(down_since.get_or_insert_with(Instant::now)),
        }
        let down = down_since.is_some_and(|since: Instant| since.elapsed() >= DOWN_FOR);
        if down || Instant::now() >= deadline || interrupt::came() {
            return Err(booted);
        }
        sleep(NAP);
    }
}

fn verdict(words: &[String], booted: Result<i64, String>, failed: Option<String>) -> String {
    let told = failed.map(|how| format!("; {how}")).unwrap_or_default();
    let words = words.join(" ");
    match booted {
        Ok(_) => format!(
            "after {words} it answers as the process that it was: it did not start anew, or went back to what it had \
             (its log says why){told}"
        ),
        Err(why) => format!("after {words} nobody answers: it is down, and its log says why ({why}){told}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_and_their_start_are_read_in_every_form_of_slurm_s() {
        let said = "Slurmctld(primary) at h1 is DOWN\nSlurmctld(backup1) at h2.x is UP\n*****\n";
        let all: Vec<_> = said.lines().filter_map(pinged).collect();
        assert_eq!(all, [("h1".to_owned(), false), ("h2.x".to_owned(), true)]);
        let head = "Configuration data as of 1795647257\nBatchStartTimeout       = 10 sec\n";
        assert_eq!(booted(&format!("{head}BOOT_TIME               = 1795647246\n")), Some(1_795_647_246));
        assert_eq!(booted("BOOT_TIME               = 2026-11-25T22:54:06\n"), Some(1_795_647_246));
        assert_eq!((booted(head), booted("BOOT_TIME = soon\n")), (None, None));
    }
}
