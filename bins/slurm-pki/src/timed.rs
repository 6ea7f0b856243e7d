//! A program of the site's with a limit on its time and on what is kept of its output.
//!
//! Other than Slurm does with the seven ([`crate::slurm_run`]), its end is the end of the process: a daemon that it
//! started, or a connection that ssh keeps open, may go on holding the pipe.

use std::io::{self, PipeReader, PipeWriter};
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

/// From here on a buffer grows slowly.
const MUCH: usize = 1024 * 1024;

/// How often the end of a process is looked for while its output stays open.
const NAP: Duration = Duration::from_millis(20);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it was killed when its time was over, or this command's, or when this command was interrupted.
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
        how(self.status, limit)
    }
}

/// How a program ended whose answer is on stdout, and what went wrong on stderr. No secrets are in either.
#[derive(Debug)]
pub(crate) struct Answered {
    /// As in [`Ended`].
    pub(crate) status: Option<ExitStatus>,
    /// The beginning of stdout; as long as its room when there was more.
    pub(crate) answer: Vec<u8>,
    /// The beginning of stderr.
    pub(crate) errors: Vec<u8>,
}

/// How a program ended, in words.
pub(crate) fn how(status: Option<ExitStatus>, limit: Duration) -> String {
    match status {
        Some(status) => format!("ended with {status}"),
        None => format!("was killed: it took longer than {}", crate::moment::span(limit)),
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
    let child = start(command, writer.try_clone()?, writer, bounds)?;
    let mut streams = [Stream::new(pipe, bounds.room)];
    let status = watch(child, &mut streams, deadline, bounds);
    let [output] = streams.map(|stream| stream.kept);
    Ok(Ended { status, output: Secret::new(output) })
}

/// The same with stdout and stderr apart, for a program whose answer a warning would spoil. Of stderr little is kept.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run_apart(command: &mut Command, bounds: &Bounds) -> io::Result<Answered> {
    let deadline = Instant::now() + bounds.time;
    let ((answer, stdout), (errors, stderr)) = (io::pipe()?, io::pipe()?);
    let child = start(command, stdout, stderr, bounds)?;
    let mut streams = [Stream::new(answer, bounds.room), Stream::new(errors, PIECE)];
    let status = watch(child, &mut streams, deadline, bounds);
    let [answer, errors] = streams.map(|stream| stream.kept);
    Ok(Answered { status, answer, errors })
}

fn start(
    command: &mut Command,
    stdout: PipeWriter,
    stderr: PipeWriter,
    bounds: &Bounds,
) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
    let child = command.spawn();
    // Our own copies of the write ends go with these, or the output would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = child?;
    if bounds.memory.is_some() {
        let limit = Rlimit { current: bounds.memory, maximum: bounds.memory };
        // A program that became another user's by now bounds itself.
        let _ = prlimit(Some(Pid::from_child(&child)), Resource::Data, limit);
    }
    Ok(child)
}

/// Waits for its end, and keeps what it prints. `None`: it was killed.
fn watch(mut child: Child, streams: &mut [Stream], deadline: Instant, bounds: &Bounds) -> Option<ExitStatus> {
    // A process is gone soon after it closed its output, as a rule.
    let mut nap = Duration::from_millis(1);
    loop {
        if let Some(ended) = child.try_wait().ok().flatten() {
            // What it left in the pipes, and no more: somebody that it started may go on writing without end.
            let _ = (0..LEFT_BEHIND).find(|_| !take_ready(streams, Duration::ZERO));
            return Some(ended);
        }
        if (!bounds.goes_on && interrupt::ends_programs()) || Instant::now() >= deadline {
            end_group(&mut child);
            return None;
        }
        if streams.iter().any(|stream| stream.open) {
            take_ready(streams, NAP);
        } else {
            sleep(nap);
            nap = NAP.min(nap * 2);
        }
    }
}

/// Takes a piece of each stream that has one, and waits so long for the first. `false`: none has.
fn take_ready(streams: &mut [Stream], wait: Duration) -> bool {
    let Ok(wait) = Timespec::try_from(wait) else { return false };
    let mut open: Vec<&mut Stream> = streams.iter_mut().filter(|stream| stream.open).collect();
    let mut looks: Vec<_> = open.iter().map(|stream| PollFd::new(&stream.pipe, PollFlags::IN)).collect();
    if !matches!(poll(&mut looks, Some(&wait)), Ok(ready) if ready > 0) {
        return false;
    }
    let ready: Vec<bool> = looks.iter().map(|look| !look.revents().is_empty()).collect();
    open.iter_mut().zip(ready).filter(|(_, ready)| *ready).for_each(|(stream, _)| stream.take());
    true
}

/// What comes out of a program in one place.
struct Stream {
    pipe: PipeReader,
    kept: Vec<u8>,
    room: usize,
    open: bool,
}

impl Stream {
    fn new(pipe: PipeReader, room: usize) -> Self {
        Self { pipe, kept: Vec::with_capacity(FIRST_ROOM.min(room)), room, open: true }
    }

    /// Reads a piece; what does not fit is thrown away.
    fn take(&mut self) {
        let mut piece = [0; PIECE];
        match rustix::io::read(&self.pipe, &mut piece) {
            Ok(0) => self.open = false,
            Ok(count) => {
                let fits = self.room.saturating_sub(self.kept.len()).min(count);
                if self.kept.capacity() - self.kept.len() < fits {
                    self.grow();
                }
                self.kept.extend_from_slice(piece.get(..fits).unwrap_or_default());
            }
            Err(Errno::INTR) => {}
            Err(_) => self.open = false,
        }
    }

    /// A larger buffer, and the former one wiped: a thousand short outputs cost less than a thousand large buffers.
    fn grow(&mut self) {
        let length = self.kept.capacity();
        let larger = length * if length < MUCH { 8 } else { 2 };
        let mut larger = Vec::with_capacity(larger.min(self.room).max(self.kept.len() + PIECE));
        larger.extend_from_slice(&self.kept);
        drop(Secret::new(std::mem::replace(&mut self.kept, larger)));
    }
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

    #[test]
    fn an_answer_is_apart_from_what_went_wrong_and_each_has_its_room() {
        let apart = |script: &str, time, room| {
            let bounds = Bounds { time, room, memory: None, goes_on: false };
            run_apart(Command::new("/bin/sh").args(["-c", script]), &bounds).unwrap()
        };
        let said = apart("echo warning >&2; echo answer; exit 3", SECONDS, 100);
        assert_eq!((said.answer.as_slice(), said.errors.as_slice()), (&b"answer\n"[..], &b"warning\n"[..]));
        assert_eq!(said.status.unwrap().code(), Some(3));
        // More than both pipes hold, of which one alone is not read to its end by a reader of the other.
        let much = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo end >&2";
        let said = apart(much, SECONDS, 200_000);
        assert!(said.status.unwrap().success());
        assert_eq!((said.answer.len(), said.errors.len()), (200_000, PIECE));
        let said = apart("yes >&2 & yes", Duration::from_millis(300), 100);
        assert!(said.status.is_none() && said.answer.len() == 100 && said.errors.len() == PIECE);
        // One of them closed, the other not.
        let said = apart("exec 2>&-; sleep 0.1; echo answer", SECONDS, 100);
        assert_eq!(said.answer, b"answer\n");
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
