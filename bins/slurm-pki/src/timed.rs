//! A program of the site's with a limit on its time and on what is kept of its output.
//!
//! Other than Slurm does with the seven ([`crate::slurm_run`]), its end is the end of the process: a daemon that it
//! started, or a connection that ssh keeps open, may go on holding the pipe.

use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::secret::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};

use crate::interrupt;

/// Between SIGTERM and SIGKILL: for a tool to take its own children along.
const GRACE: Duration = Duration::from_millis(200);

/// What is read at once.
const PIECE: usize = 4096;

/// So many pieces are in a pipe when its last writer ends: sixteen, and a megabyte where somebody made it larger.
const LEFT_BEHIND: usize = 256;

/// As long as most outputs are.
const FIRST_ROOM: usize = 8192;

/// How often the end of a process is looked for while its output stays open.
const NAP: Duration = Duration::from_millis(20);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it was killed when its time was over, or when this command was interrupted.
    pub(crate) status: Option<ExitStatus>,
    /// The beginning of what it printed, on stdout and stderr together.
    pub(crate) output: Secret,
}

impl Ended {
    /// Whether it ended by itself with status 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// How it ended, in words: "ended with exit status: 3".
    pub(crate) fn how(&self, limit: Duration) -> String {
        match self.status {
            Some(status) => format!("ended with {status}"),
            None => format!("was killed: it took longer than {}", crate::moment::span(limit)),
        }
    }
}

/// How much a program may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Time, after which it is killed with its whole group.
    pub(crate) time: Duration,
    /// Bytes of its output that are kept.
    pub(crate) room: usize,
    /// Bytes of memory for its data, and as many for each program that it starts; `None`: as many as it likes.
    pub(crate) memory: Option<u64>,
    /// Whether an interruption of this command leaves it the rest of its time.
    pub(crate) goes_on: bool,
}

/// Runs a program with nothing on stdin, in a process group of its own, for `limit` at most; keeps `room` bytes of its
/// output. When its time is over the whole group is killed.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run(command: &mut Command, limit: Duration, room: usize) -> io::Result<Ended> {
    run_within(command, &Bounds { time: limit, room, memory: None, goes_on: false })
}

/// The same with further bounds.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run_within(command: &mut Command, bounds: &Bounds) -> io::Result<Ended> {
    let deadline = Instant::now() + bounds.time;
    let (pipe, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = command.spawn();
    // Our own copies of the write end go with these, or the output would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = child?;
    if bounds.memory.is_some() {
        let limit = Rlimit { current: bounds.memory, maximum: bounds.memory };
        // A program that became another user's by now bounds itself.
        let _ = prlimit(Some(Pid::from_child(&child)), Resource::Data, limit);
    }
    Ok(watch(child, &pipe, deadline, bounds))
}

fn watch(mut child: Child, pipe: &PipeReader, deadline: Instant, bounds: &Bounds) -> Ended {
    let room = bounds.room;
    let mut output = Vec::with_capacity(FIRST_ROOM.min(room));
    // A process is gone soon after it closed its output, as a rule.
    let (mut open, mut nap) = (true, Duration::from_millis(1));
    let status = loop {
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() {
            // What it left in the pipe, and no more: somebody that it started may go on writing without end.
            for _ in 0..LEFT_BEHIND {
                if !(open && is_readable(pipe, Duration::ZERO)) {
                    break;
                }
                open = take(pipe, &mut output, room);
            }
            break ended;
        }
        if (!bounds.goes_on && interrupt::came()) || Instant::now() >= deadline {
            break None;
        }
        if !open {
            sleep(nap);
            nap = NAP.min(nap * 2);
        } else if is_readable(pipe, NAP) {
            open = take(pipe, &mut output, room);
        }
    };
    if status.is_none() {
        end_group(&mut child);
    }
    Ended { status, output: Secret::new(output) }
}

fn is_readable(pipe: &PipeReader, wait: Duration) -> bool {
    let Ok(wait) = Timespec::try_from(wait) else { return false };
    matches!(poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&wait)), Ok(ready) if ready > 0)
}

/// Reads a piece; what does not fit is thrown away. `false` at the end.
fn take(pipe: &PipeReader, output: &mut Vec<u8>, room: usize) -> bool {
    let mut piece = [0; PIECE];
    match rustix::io::read(pipe, &mut piece) {
        Ok(0) => false,
        Ok(count) => {
            let fits = room.saturating_sub(output.len()).min(count);
            if output.capacity() - output.len() < fits {
                grow(output, room);
            }
            output.extend_from_slice(piece.get(..fits).unwrap_or_default());
            true
        }
        Err(Errno::INTR) => true,
        Err(_) => false,
    }
}

/// A larger buffer, and the former one wiped: a thousand short outputs cost less than a thousand large buffers.
fn grow(output: &mut Vec<u8>, room: usize) {
    let mut larger = Vec::with_capacity((output.capacity() * 8).min(room).max(output.len() + PIECE));
    larger.extend_from_slice(output);
    drop(Secret::new(std::mem::replace(output, larger)));
}

fn end_group(child: &mut Child) {
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::TERM);
    sleep(GRACE);
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: Duration = Duration::from_secs(20);

    fn sh(script: &str, limit: Duration, room: usize) -> Ended {
        run(Command::new("/bin/sh").args(["-c", script]), limit, room).unwrap()
    }

    #[test]
    fn both_outputs_are_kept_up_to_the_room_and_the_status_is_told() {
        let ended = sh("cat; echo out; echo err >&2; exit 3", SECONDS, 100);
        assert_eq!(ended.output.expose(), b"out\nerr\n");
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert!(!ended.succeeded());
        let ended = sh("i=0; while [ $i -lt 9999 ]; do echo 0123456789; i=$((i+1)); done", SECONDS, 5);
        assert_eq!(ended.output.expose(), b"01234");
        assert!(ended.succeeded());
    }

    #[test]
    fn its_end_is_the_end_whoever_holds_the_output_open() {
        let ended = sh("sleep 30 & echo started; echo $!", SECONDS, 100);
        let said = String::from_utf8(ended.output.expose().to_vec()).unwrap();
        assert!(ended.succeeded() && said.starts_with("started\n"), "{said}");
        let pid = Pid::from_raw(said.lines().nth(1).unwrap().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let ended = sh("sleep 1000 & echo $!; wait", Duration::from_millis(300), 100);
        assert!(ended.status.is_none());
        let pid: i32 = String::from_utf8_lossy(ended.output.expose()).trim().parse().unwrap();
        let gone = || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        assert!((0..100).any(|_| gone() || {
            sleep(NAP);
            false
        }));
    }

    #[test]
    fn output_without_end_does_not_outlast_the_limit() {
        let (began, limit) = (Instant::now(), Duration::from_millis(300));
        let ended = sh("yes", limit, 100);
        assert!(ended.status.is_none() && ended.output.expose().len() == 100);
        // What is left behind goes on writing: its starter's end is the end all the same.
        let ended = sh("yes & echo $! >&2", SECONDS, 0);
        assert!(ended.succeeded());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }

    /// A shell that gathers without end, as Ansible does with whatever a host says.
    #[test]
    fn a_program_with_bounded_memory_fails_where_another_goes_on() {
        let script = "text=0123456789abcdef; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
                      text=$text$text; done; echo ${#text}";
        let bounds = Bounds { time: SECONDS, room: 1000, memory: Some(4 << 20), goes_on: false };
        let with = |memory| {
            run_within(Command::new("/bin/sh").args(["-c", script]), &Bounds { memory, ..bounds }).unwrap()
        };
        assert!(!with(bounds.memory).succeeded());
        assert_eq!(with(None).output.expose(), b"16777216\n");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(run(&mut Command::new("/nowhere/program"), SECONDS, 1).is_err());
    }
}
