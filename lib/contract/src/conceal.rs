//! Arguments hold tokens and keys, and every local user can read /proc/PID/cmdline.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Zeroes this process's arguments, all that stands behind its own name of `name_length` bytes, then
/// forbids core dumps and looks into its memory by others.
///
/// The order matters: a process that is not dumpable may not open its own memory unless it is root.
/// Where /proc is missing (a chroot, a container), we carry on: this narrows a window that Slurm's
/// launcher holds open for longer (ARCHITECTURE.md).
pub(crate) fn conceal(name_length: Option<usize>) {
    let _ = name_length.and_then(wipe_arguments);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// `None` when any of it is not as expected; then nothing was written.
fn wipe_arguments(name_length: usize) -> Option<()> {
    // The whole of stat comes with one read; std's fs::read would ask five times.
    let mut stat = [0; 1024];
    let length = File::open("/proc/self/stat").ok()?.read(&mut stat).ok()?;
    let (start, end) = argument_area(stat.get(..length)?)?;
    let from = start.checked_add(u64::try_from(name_length).ok()?)?.checked_add(1)?;
    let length = usize::try_from(end.checked_sub(from)?).ok()?;
    if length == 0 {
        return Some(());
    }
    let mut memory = OpenOptions::new().write(true).open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(from)).ok()?;
    memory.write_all(&vec![0; length]).ok()
}

/// Fields 48 and 49 of proc_pid_stat(5), arg_start and arg_end. Field 2, the command's name, is in
/// parentheses and may hold spaces and parentheses itself.
fn argument_area(stat: &[u8]) -> Option<(u64, u64)> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(48 - 3);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start != 0 && start < end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::argument_area;

    #[test]
    fn the_argument_area_is_found_behind_a_name_with_parentheses() {
        let fields: Vec<_> = (3..=52).map(|n| (n * 1000).to_string()).collect();
        let stat = format!("7 (a) b)) {}\n", fields.join(" "));
        assert_eq!(argument_area(stat.as_bytes()), Some((48_000, 49_000)));
    }

    #[test]
    fn a_short_or_zeroed_stat_gives_nothing() {
        assert_eq!(argument_area(b"7 (a) S 1 2 3"), None);
        assert_eq!(argument_area(format!("7 (a) {}", "0 ".repeat(50)).as_bytes()), None);
    }
}
