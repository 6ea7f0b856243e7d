//! A monitor gets an answer in time, whatever hangs: a file system that does not answer holds a process for good.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::Findings;
use super::scene::Roles;
use crate::{interrupt, moment};

/// For programs that were started to be ended, when the time is over.
const GRACE: Duration = Duration::from_secs(1);

/// What was found, and what this host is.
pub(super) type Seen = (Findings, Roles);

/// What is told on the way.
enum Word {
    /// What is looked at next, and all that was found before.
    Next(&'static str, Seen),
    /// All of it.
    Done(anyhow::Result<Seen>),
}

/// Tells what is looked at next.
pub(super) struct Progress(Sender<Word>);

impl Progress {
    /// From here on it is this.
    pub(super) fn next(&self, what: &'static str, found: &Findings, roles: &Roles) {
        let _ = self.0.send(Word::Next(what, (found.clone(), roles.clone())));
    }
}

/// Runs `look` for `limit` at most; when that is over, says what was found until then, and where it hangs.
///
/// # Errors
/// Those of `look`.
pub(super) fn run(
    limit: Duration,
    nothing: Seen,
    look: impl FnOnce(&Progress) -> anyhow::Result<Seen> + Send + 'static,
) -> anyhow::Result<Seen> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let progress = Progress(sender);
        let seen = look(&progress);
        let _ = progress.0.send(Word::Done(seen));
    });
    let (mut at, mut seen) = ("config, slurm.conf and scontrol", nothing);
    let begun = Instant::now();
    loop {
        match receiver.recv_timeout(limit.saturating_sub(begun.elapsed())) {
            Ok(Word::Done(seen)) => return seen,
            Ok(Word::Next(what, before)) => (at, seen) = (what, before),
            Err(RecvTimeoutError::Timeout) => {
                end_programs(&receiver);
                hangs(&mut seen.0, at, limit);
                return Ok(seen);
            }
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("looking at {at} ended before its end"),
        }
    }
}

/// Programs that are asked are ended, or every run of a monitor would leave one more.
fn end_programs(receiver: &Receiver<Word>) {
    interrupt::time_is_over();
    let begun = Instant::now();
    while let Ok(Word::Next(..)) = receiver.recv_timeout(GRACE.saturating_sub(begun.elapsed())) {}
}

fn hangs(found: &mut Findings, at: &str, limit: Duration) {
    found.unknown(
        "time-limit",
        format!("no answer within {}, at: {at}; what comes after that was not looked at", moment::span(limit)),
        "see whether a file system or slurmctld hangs: dmesg, scontrol ping, and df for /etc/slurm, state_dir and \
         StateSaveLocation; --timeout gives more time",
    );
}
