//! Ctrl-C, or a service that is stopped, in the middle of work on many hosts.
//!
//! The tools run in process groups of their own ([`crate::timed`]), so a terminal's signal does not reach them: they are
//! ended by us, and what was done until then is put on record before the command ends.
//!
//! A command whose own time is over ends them too, and is not interrupted by that: nobody pressed anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

static CAME: OnceLock<Arc<AtomicBool>> = OnceLock::new();

static OVER: AtomicBool = AtomicBool::new(false);

/// From now on the first SIGINT, SIGTERM or SIGHUP asks to stop; the second ends the process as usual.
pub(crate) fn watch() {
    CAME.get_or_init(|| {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)) {
            // In this order: only the second signal finds the flag set.
            let _ = flag::register_conditional_default(signal, Arc::clone(&came));
            let _ = flag::register(signal, Arc::clone(&came));
        }
        came
    });
}

/// Whether whoever started this command wants a signal ignored: nohup does (proc_pid_status(5)).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask.checked_shr(signal.unsigned_abs().saturating_sub(1)).is_some_and(|bits| bits & 1 == 1)
}

/// The time of this command is over: programs that are running are ended, and no more are started.
pub(crate) fn time_is_over() {
    OVER.store(true, Ordering::Relaxed);
}

/// Whether a signal came.
pub(crate) fn came() -> bool {
    CAME.get().is_some_and(|came| came.load(Ordering::Relaxed))
}

/// Whether programs are to end: a signal came, or the time is over.
pub(crate) fn ends_programs() -> bool {
    came() || OVER.load(Ordering::Relaxed)
}
