//! Who called: the daemon itself, or a wrapper script that it called.

use std::fs;
use std::os::unix::process::parent_id;

/// The two processes above ours. With a wrapper script in between, the daemon is the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callers {
    /// Our parent.
    pub(crate) parent: u32,
    /// Its parent; `None` where /proc does not say, or says init: whatever lost its parent hangs there.
    pub(crate) above: Option<u32>,
}

impl Callers {
    /// Ours.
    pub(crate) fn here() -> Self {
        let parent = parent_id();
        let stat = fs::read(format!("/proc/{parent}/stat")).ok();
        Self { parent, above: stat.as_deref().and_then(parent_in).filter(|pid| *pid > 1) }
    }

    /// Whether `pid` is one of them.
    pub(crate) fn has(self, pid: u32) -> bool {
        self.parent == pid || self.above == Some(pid)
    }
}

/// Field 4 of proc_pid_stat(5). Field 2, the command's name, is in parentheses and may hold spaces and
/// parentheses itself.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parents_parent_is_found_behind_a_name_with_parentheses() {
        assert_eq!(parent_in(b"7 (a) 1 (b) S 42 7 7 0"), Some(42));
        assert_eq!(parent_in(b"7 (a) S"), None);
        assert_eq!(parent_in(b""), None);
    }
}
