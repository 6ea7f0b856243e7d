//! Runs one of the seven as Slurm's run_command does, and judges the result as Slurm does
//! (docs/slurm-contract.md).
//!
//! Two things differ. Slurm's daemons pass their whole environment on, here it is one variable; and a
//! program that root starts for another user has none of that user's supplementary groups.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, PipeReader};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::secret::Secret;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use site::config::VARIABLE;
use site::file::Owner;

/// What Slurm gives a program, from the start of reading to the end of its output.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(10);

/// More than any answer of the seven; a larger one grows the buffer.
const ROOM: usize = 64 * 1024;

/// As much of a failure as a person wants to read.
const MAX_SHOWN: usize = 2000;

/// Closes what this process inherited and would pass on. Slurm closes everything from 3 on; what this
/// process opens by itself is closed on exec anyway.
pub(crate) fn close_what_was_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fdinfo") else { return };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let numbers: Vec<i32> = numbers.filter(|fd| *fd > 2).collect();
    for fd in numbers.into_iter().filter(|fd| passes_exec(*fd)) {
        let _ = nix::unistd::close(fd);
    }
}

/// Whether an open descriptor lacks O_CLOEXEC (proc_pid_fdinfo(5): octal flags).
fn passes_exec(fd: i32) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() == 0)
}

/// A daemon of Slurm, as far as its programs can tell.
#[derive(Clone, Debug)]
pub(crate) struct Slurm {
    config: PathBuf,
    user: Option<Owner>,
    max_wait: Duration,
}

impl Slurm {
    /// A daemon run by whoever runs this, with this config.
    pub(crate) fn with_config(config: &Path) -> Self {
        Self { config: config.to_owned(), user: None, max_wait: MAX_WAIT }
    }

    /// The same run by another user, which only root can do.
    pub(crate) fn run_by(self, user: Option<Owner>) -> Self {
        Self { user, ..self }
    }

    /// Runs a program with these arguments.
    pub(crate) fn run(&self, program: &Path, argv: &[&[u8]]) -> Run {
        if !self.may_run(program) {
            let why = format!("{} is not an absolute path that its user may read and run", program.display());
            return Run { end: End::NotRun(why), output: Secret::new(Vec::new()) };
        }
        match self.start(program, argv) {
            Ok((child, pipe)) => self.watch(child, &pipe),
            Err(e) => {
                let why = format!("{} cannot be started: {e}", program.display());
                Run { end: End::NotRun(why), output: Secret::new(Vec::new()) }
            }
        }
    }

    /// One pipe for stdout and stderr. Its write end is closed here when the command is dropped, so that
    /// the end of the output is the end of the program's own copies.
    fn start(&self, program: &Path, argv: &[&[u8]]) -> io::Result<(Child, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command.args(argv.iter().map(|argument| OsStr::from_bytes(argument)));
        command.env_clear().env(VARIABLE, &self.config).current_dir("/");
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        if let Some(Owner { uid, gid }) = self.user {
            command.gid(gid).uid(uid);
        }
        Ok((command.spawn()?, reader))
    }

    /// access(R_OK|X_OK) for the daemon's own user.
    fn may_run(&self, program: &Path) -> bool {
        let allowed = match self.user {
            None => rustix::fs::access(program, Access::READ_OK | Access::EXEC_OK).is_ok(),
            Some(user) => fs::metadata(program).is_ok_and(|file| {
                let shift = match (file.uid() == user.uid, file.gid() == user.gid) {
                    (true, _) => 6,
                    (false, true) => 3,
                    (false, false) => 0,
                };
                file.permissions().mode() >> shift & 0o5 == 0o5
            }),
        };
        program.is_absolute() && allowed
    }

    /// Reads to the end of the pipe, not to the end of the process; then reaps, then sweeps the group,
    /// which Slurm does after a normal end too.
    fn watch(&self, mut child: Child, pipe: &PipeReader) -> Run {
        let deadline = Instant::now() + self.max_wait;
        let mut output = Vec::with_capacity(ROOM);
        let ended = read_to_end(pipe, &mut output, deadline);
        let status = if ended { reap(&mut child, deadline) } else { None };
        let group = Pid::from_child(&child);
        let _ = kill_process_group(group, Signal::TERM);
        sleep(GRACE);
        let _ = kill_process_group(group, Signal::KILL);
        let end = match status {
            Some(status) => End::Status(status),
            None => {
                let _ = child.wait();
                End::TimedOut
            }
        };
        Run { end, output: Secret::new(output) }
    }
}

/// Whether the end was reached in time.
fn read_to_end(pipe: &PipeReader, output: &mut Vec<u8>, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(left) = Timespec::try_from(left) else { return false };
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return false,
        }
        output.reserve(1);
        match rustix::io::read(pipe, spare_capacity(output)) {
            Ok(0) => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// waitpid(WNOHANG) with naps of 10, 20, 40 ms and so on, as Slurm does after the end of the output.
fn reap(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    let mut nap = Duration::from_millis(10);
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        let left = deadline.checked_duration_since(Instant::now())?;
        sleep(nap.min(left));
        nap = (nap * 2).min(Duration::from_secs(1));
    }
}

/// How a program ended.
#[derive(Clone, Debug)]
enum End {
    /// By itself, or by a signal.
    Status(ExitStatus),
    /// Its output was still open when the time was over.
    TimedOut,
    /// It was never started.
    NotRun(String),
}

/// One run of a program.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    end: End,
    output: Secret,
}

impl Run {
    /// validate_node_script: the raw wait status and nothing else; the output is thrown away.
    pub(crate) fn accepted(&self) -> bool {
        matches!(&self.end, End::Status(status) if status.into_raw() == 0)
    }

    /// The other programs: status 0 and a first byte that is not NUL. The answer ends at the first NUL
    /// and is used as it stands.
    pub(crate) fn answer(&self) -> Option<Secret> {
        let answer = self.output.expose().split(|byte| *byte == 0).next().unwrap_or_default();
        (self.accepted() && !answer.is_empty()).then(|| Secret::new(answer.to_vec()))
    }

    /// Of a run that Slurm takes for a failure: what its log would say.
    pub(crate) fn failure(&self) -> String {
        let said = match &self.end {
            End::NotRun(why) => return why.clone(),
            End::Status(status) if status.success() => return "it ended well but printed nothing".to_owned(),
            _ => readable(self.output.expose()),
        };
        match &self.end {
            End::TimedOut => format!("Slurm would have killed it after {MAX_WAIT:?}\n{said}"),
            End::Status(status) if said.is_empty() => format!("it printed nothing and ended with {status}"),
            _ => said,
        }
        .trim_end()
        .to_owned()
    }
}

/// Lines for a terminal, whatever is in them.
fn readable(output: &[u8]) -> String {
    let shown = output.get(..MAX_SHOWN).unwrap_or(output);
    let printable = |byte: &u8| match byte {
        b'\n' | b' '..=b'~' => char::from(*byte).to_string(),
        other => other.escape_ascii().to_string(),
    };
    shown.iter().map(printable).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of one line of shell. It is not written to a file: a test that forks at the same time
    /// would hold that open for writing, and the kernel then does not run it.
    fn run(slurm: &Slurm, script: &str, argv: &[&[u8]]) -> Run {
        let shell: [&[u8]; 3] = [b"-c", script.as_bytes(), b"program"];
        slurm.run(Path::new("/bin/sh"), &[&shell, argv].concat())
    }

    fn slurm() -> Slurm {
        Slurm::with_config(Path::new("/some/config.toml"))
    }

    fn answer(run: &Run) -> Option<String> {
        run.answer().map(|answer| String::from_utf8(answer.expose().to_vec()).unwrap())
    }

    #[test]
    fn stderr_is_part_of_the_answer_and_stdin_is_empty() {
        let run = run(&slurm(), "cat; echo out; echo err >&2", &[]);
        assert_eq!(answer(&run).unwrap(), "out\nerr\n");
    }

    #[test]
    fn the_environment_is_the_config_and_nothing_else() {
        let run = run(&slurm(), "/usr/bin/env | /usr/bin/grep -v -e ^PWD= -e ^_=", &[]);
        assert!(answer(&run).unwrap().lines().all(|line| line.starts_with("SLURM_PKI_CONF=/some/config")));
    }

    #[test]
    fn an_answer_needs_status_0_and_a_first_byte_that_is_not_nul() {
        for script in ["exit 0", "echo x; exit 1", "printf '\\000x'", "echo x; kill -9 $$"] {
            assert!(run(&slurm(), script, &[]).answer().is_none(), "{script}");
        }
        assert_eq!(answer(&run(&slurm(), "printf 'x\\000y'", &[])).unwrap(), "x");
    }

    #[test]
    fn a_validation_needs_status_0_alone() {
        assert!(run(&slurm(), "exit 0", &[]).accepted());
        assert!(!run(&slurm(), "echo yes; exit 2", &[]).accepted());
    }

    #[test]
    fn an_argument_may_be_empty_and_have_any_bytes() {
        let run = run(&slurm(), "printf '%s.' \"$#\" \"$@\"", &[b"", b"a b\n", b"\xff*"]);
        assert_eq!(run.answer().unwrap().expose(), b"3..a b\n.\xff*.");
    }

    #[test]
    fn output_that_stays_open_is_a_timeout_whatever_the_program_did() {
        let hasty = Slurm { max_wait: Duration::from_millis(200), ..slurm() };
        let run = run(&hasty, "echo x; sleep 100 & exit 0", &[]);
        assert!(!run.accepted() && run.answer().is_none());
        assert!(run.failure().contains("killed"), "{}", run.failure());
    }

    #[test]
    fn a_program_that_cannot_be_run_is_a_failure_with_a_reason() {
        let missing = slurm().run(Path::new("/nowhere/program"), &[]);
        assert!(missing.failure().contains("/nowhere/program"));
        assert!(!slurm().run(Path::new("bin/true"), &[]).accepted());
    }

    #[test]
    fn a_failure_shows_no_control_characters() {
        let run = run(&slurm(), "printf \"it's\\033[2Jb\\nc\\n\"; exit 1", &[]);
        assert_eq!(run.failure(), "it's\\x1b[2Jb\nc");
    }
}
