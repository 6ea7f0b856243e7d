//! Other processes, as far as files are named after them.

use rustix::process::{Pid, test_kill_process};

/// Whether no process has this id (kill(2) with signal 0; one that we may not signal is there).
pub(crate) fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}
