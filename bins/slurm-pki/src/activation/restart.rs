//! A restart of one daemon alone. Never a signal, and `scontrol reconfigure` only for who asks for it: both re-exec every
//! slurmd with whatever slurm.conf is on disk (slurm-contract.md 3.5).

use crate::cert::target::{Place, Target};
use crate::fleet::{Fleet, Job, quoted, shown};
use crate::global::Global;
use crate::slurm_command;
use crate::timed::{self, Bounds};

/// As much of a failing command's output as is looked at.
const ROOM: usize = 64 * 1024;

/// How a daemon comes to load its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The section's `command`.
    Restart,
    /// `scontrol reconfigure`, which reaches the active slurmctld from any host.
    Reconfigure,
}

/// The command, in words.
pub(crate) fn words(target: &Target, how: How) -> Vec<String> {
    let of = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    match how {
        How::Reconfigure => of(&["scontrol", "reconfigure"]),
        How::Restart if target.config.command.is_empty() => {
            of(&["systemctl", "restart", target.daemon.program()])
        }
        How::Restart => target.config.command.clone(),
    }
}

/// Runs it, for as long as the section's `wait` at most. No shell takes a word apart, on other hosts neither.
///
/// # Errors
/// How it failed.
pub(crate) fn restart(global: &Global, fleet: &Fleet, target: &Target, how: How) -> Result<(), String> {
    let words = words(target, how);
    match (&target.place, how) {
        (Place::On(host), How::Restart) => {
            let script = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            let job = Job { host: host.clone(), script };
            let outcomes = fleet.run(global, "restart", vec![job]);
            outcomes.of(host).cloned().unwrap_or_else(|| Err("it was not asked".into())).map(drop)
        }
        (Place::Here, _) | (_, How::Reconfigure) => here(target, &words),
    }
}

fn here(target: &Target, words: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("command has no words".into()) };
    let mut command = slurm_command::new(program);
    let limit = target.config.wait;
    // Killed half way it would leave nobody knows what: an interruption waits for its end.
    let bounds = Bounds { time: limit, room: ROOM, memory: None, goes_on: true };
    let ended = timed::run_within(command.args(arguments), &bounds)
        .map_err(|e| format!("{program} cannot be run: {e}"))?;
    if ended.succeeded() {
        return Ok(());
    }
    let said = shown(&String::from_utf8_lossy(ended.output.expose()));
    let how = format!("{} {}", words.join(" "), ended.how(limit));
    Err(if said.is_empty() { how } else { format!("{how}: {said}") })
}
