//! A stand-in for Slurm's run_command: runs a script as certmgr/script and certgen/script do, and judges the
//! result as they do (docs/slurm-contract.md).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Access;
use rustix::process::{Pid, Signal, kill_process_group};

/// What Slurm gives a script, from the start of reading to the end of its output.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(10);

/// A daemon or a client command, as far as its scripts can tell.
#[derive(Clone, Debug)]
pub struct Slurm {
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    user: Option<(u32, u32)>,
    max_wait: Duration,
}

impl Default for Slurm {
    fn default() -> Self {
        Self::bare()
    }
}

impl Slurm {
    /// A daemon with an empty environment and `/` as its folder.
    #[must_use]
    pub fn bare() -> Self {
        Self { env: Vec::new(), cwd: "/".into(), user: None, max_wait: MAX_WAIT }
    }

    /// With one more environment variable, which its scripts inherit.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Started in another folder.
    #[must_use]
    pub fn in_folder(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = cwd.into();
        self
    }

    /// As another user: SlurmUser. Only root can.
    #[must_use]
    pub fn as_user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// With another time limit than Slurm's own, to test the limit itself.
    #[must_use]
    pub fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Runs a script as `run_command` does.
    ///
    /// # Panics
    /// When no pipe can be made.
    #[must_use]
    pub fn run<A: AsRef<OsStr>>(&self, script: &Path, argv: &[A]) -> Run {
        if let Err(why) = self.may_run(script) {
            return Run { end: End::NotRun(why), output: b"Run command failed - configuration error".into() };
        }
        let (reader, writer) = io::pipe().unwrap();
        let child = {
            // One pipe for both; the command and its copies of the write end are gone after this block.
            let mut command = self.command(script, argv);
            command.stdout(writer.try_clone().unwrap()).stderr(writer).process_group(0);
            command.spawn()
        };
        match child {
            Ok(child) => self.watch(child, reader),
            Err(e) => Run { end: End::NotRun(format!("exec: {e}")), output: Vec::new() },
        }
    }

    /// Runs a script with stdout and stderr apart: what Slurm never sees, for tests that must.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn run_apart<A: AsRef<OsStr>>(&self, script: &Path, argv: &[A]) -> Output {
        let output = self.command(script, argv).output();
        output.unwrap_or_else(|e| panic!("{}: {e}", script.display()))
    }

    /// The command itself, with stdin from /dev/null.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, script: &Path, argv: &[A]) -> Command {
        let mut command = Command::new(script);
        command.args(argv).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.cwd).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// An absolute path, and access(R_OK|X_OK) for the daemon's own user.
    fn may_run(&self, script: &Path) -> Result<(), String> {
        if !script.as_os_str().as_bytes().starts_with(b"/") {
            return Err("not a fully qualified pathname".into());
        }
        let allowed = match self.user {
            None => rustix::fs::access(script, Access::READ_OK | Access::EXEC_OK).is_ok(),
            Some((uid, gid)) => fs::metadata(script).is_ok_and(|file| {
                let shift = if file.uid() == uid {
                    6
                } else if file.gid() == gid {
                    3
                } else {
                    0
                };
                file.permissions().mode() >> shift & 0o5 == 0o5
            }),
        };
        if allowed { Ok(()) } else { Err("can not be executed".into()) }
    }

    /// Reads to the end of the pipe, not to the end of the process; then reaps, then sweeps the group.
    fn watch(&self, mut child: Child, mut pipe: io::PipeReader) -> Run {
        let begun = Instant::now();
        let group = Pid::from_child(&child);
        let (done, output) = mpsc::channel();
        thread::spawn(move || {
            let mut output = Vec::new();
            // Nobody listens any more once the time is over.
            let _ = pipe.read_to_end(&mut output).map(|_| done.send(output));
        });
        let output = output.recv_timeout(self.max_wait).ok();
        let status = output.as_ref().and_then(|_| reap(&mut child, begun, self.max_wait));
        // Slurm sweeps the group after a normal end just as it kills it after a late one.
        let _ = kill_process_group(group, Signal::TERM);
        thread::sleep(GRACE);
        let _ = kill_process_group(group, Signal::KILL);
        match (output, status) {
            (Some(output), Some(status)) => Run { end: End::Status(status), output },
            (output, _) => {
                let _ = child.wait();
                Run { end: End::TimedOut, output: output.unwrap_or_default() }
            }
        }
    }
}

/// waitpid(WNOHANG) with naps of 10, 20, 40 ms and so on, as Slurm does after the end of the output.
fn reap(child: &mut Child, begun: Instant, max_wait: Duration) -> Option<ExitStatus> {
    let mut nap = Duration::from_millis(10);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        let left = max_wait.checked_sub(begun.elapsed())?;
        thread::sleep(nap.min(left));
        nap = (nap * 2).min(Duration::from_secs(1));
    }
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, or by a signal.
    Status(ExitStatus),
    /// Its output was still open after five seconds.
    TimedOut,
    /// It was never started.
    NotRun(String),
}

/// One run of a script.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// stdout and stderr as they came, in one.
    pub output: Vec<u8>,
}

impl Run {
    /// The raw wait status, as Slurm tests it: 0 is success and nothing else is.
    #[must_use]
    pub fn raw_status(&self) -> i32 {
        match &self.end {
            End::Status(status) => status.into_raw(),
            End::TimedOut => -1,
            End::NotRun(_) => 127 << 8,
        }
    }

    /// validate_node_script: the exit status and nothing else; its output is thrown away.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.raw_status() == 0
    }

    /// The other scripts: exit status 0 and a first byte that is not NUL. The answer ends at the first
    /// NUL, and is used as it stands.
    ///
    /// # Errors
    /// The run, when Slurm takes it for a failure.
    pub fn answer(&self) -> Result<&[u8], &Self> {
        let answer = self.output.split(|b| *b == 0).next().unwrap_or_default();
        if self.accepted() && !answer.is_empty() { Ok(answer) } else { Err(self) }
    }

    /// The answer as text.
    ///
    /// # Panics
    /// When Slurm would take the run for a failure.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        let answer = self.answer();
        let answer = answer.unwrap_or_else(|run| panic!("{:?}: {}", run.end, run.output.escape_ascii()));
        String::from_utf8(answer.to_vec()).unwrap()
    }
}
