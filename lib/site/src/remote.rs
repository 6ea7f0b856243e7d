//! What is in Vault, reached through `slurm-pki-signer`: a program of its own, run as a child with pipes both ways, so
//! that the seven carry neither HTTP nor a resolver (ARCHITECTURE.md). One question in, one answer out.
//!
//! Both are one JSON value. The token never passes here: the child reads it from its file.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pki::secret::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::config::vault::MOST;
use crate::error::Error;

/// The child's file name, beside the running program.
pub const PROGRAM: &str = "slurm-pki-signer";

/// Longest question: a request has 128 KiB at most, twice that as JSON.
pub const MAX_QUESTION: usize = 512 * 1024;

/// Longest answer: a store file has 256 KiB at most, twice that as JSON.
pub const MAX_ANSWER: usize = 1024 * 1024;

/// What the child has for its own end after its deadline, so that its error gets out: it knows best what it waited for.
const GRACE: Duration = Duration::from_millis(150);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub enum Question {
    /// What is kept of a node.
    Record {
        /// Its name.
        node: String,
    },
    /// A certificate for a plan.
    Sign {
        /// PEM of the request.
        csr: String,
        /// The planned common name.
        common_name: String,
        /// The planned DNS names.
        dns: Vec<String>,
        /// Life from now on, in seconds.
        ttl: u64,
        /// For a daemon's own pair, asked for by a person, not for a node.
        daemon: bool,
    },
}

/// A question with what the child has to know besides.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// Version of this form.
    pub v: u32,
    /// The config file.
    pub config: PathBuf,
    /// What is left of the time, in milliseconds.
    pub left_ms: u64,
    /// What is asked.
    #[serde(flatten)]
    pub question: Question,
}

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// The text of the store file; none for a node that nobody enrolled.
    Record {
        /// The text.
        text: Option<String>,
    },
    /// The token itself, on a site that keeps tokens in clear.
    Token {
        /// The token.
        text: String,
    },
    /// PEM certificates.
    Certificate {
        /// The leaf.
        leaf: String,
        /// Its issuer and those above it.
        above: Vec<String>,
    },
    /// It did not work.
    Error {
        /// What happened.
        what: String,
        /// What to do.
        hint: String,
    },
}

/// The version of the form above.
pub const VERSION: u32 = 1;

/// How long the child may take.
#[derive(Clone, Copy, Debug)]
pub enum Time {
    /// Each question on its own: a person waits.
    PerQuestion,
    /// All questions together: Slurm waits.
    Until(Instant),
}

impl Time {
    /// One call of Slurm, from now on.
    #[must_use]
    pub fn of_one_call() -> Self {
        Self::Until(Instant::now() + MOST)
    }

    fn left(self) -> Duration {
        match self {
            Self::PerQuestion => MOST,
            Self::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
        }
    }
}

/// The way to Vault.
#[derive(Clone, Debug)]
pub struct Remote {
    config: PathBuf,
    time: Time,
}

impl Remote {
    /// With the config file that the child is to read.
    pub(crate) fn new(config: PathBuf, time: Time) -> Self {
        Self { config, time }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The child's own error, or that there is none, or that it took too long.
    pub(crate) fn ask(&self, question: Question) -> Result<Answer, Error> {
        let left = self.time.left();
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let call = Call { v: VERSION, config: self.config.clone(), left_ms, question };
        let call =
            serde_json::to_vec(&call).map_err(|_| broken("the question has a path that is no text"))?;
        let answer = run(&beside_this()?, &call, Instant::now() + left + GRACE)?;
        match serde_json::from_slice(answer.expose()) {
            Ok(Answer::Error { what, hint }) => Err(Error::Missing { what, hint }),
            Ok(answer) => Ok(answer),
            Err(_) if answer.expose().is_empty() => Err(broken("it said nothing")),
            Err(_) => Err(broken("its answer is not one of this version's")),
        }
    }
}

/// In the folder of this very program. A PATH could lead to another of this name.
fn beside_this() -> Result<PathBuf, Error> {
    let own = std::env::current_exe()
        .map_err(|source| Error::System { what: "find this program's own file", source })?;
    let program = own.with_file_name(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::Missing {
        what: format!(
            "there is no {}, which \"vault\" in [controller] needs",
            crate::error::shown_path(&program)
        ),
        hint: "all programs belong in one folder: install slurm-pki-signer beside this one".into(),
    })
}

/// An answer to another question.
pub(crate) fn other_answer() -> Error {
    broken("it answers another question")
}

fn broken(why: &str) -> Error {
    Error::Missing {
        what: format!("{PROGRAM} cannot be used: {why}"),
        hint: format!("all programs must be of one version; by hand: {PROGRAM} --help, from the same folder"),
    }
}

/// A child that does not outlive us.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // Its only reader is gone, so whatever it was doing is of no use any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &std::path::Path, question: &[u8], deadline: Instant) -> Result<Secret, Error> {
    let mut command = Command::new(program);
    // Nothing from a daemon's environment changes where it goes; HOME alone, where `vault login` leaves a token.
    command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    let start = |source| Error::System { what: "start slurm-pki-signer", source };
    let mut child = Kept(command.spawn().map_err(start)?);
    let (Some(stdin), Some(stdout)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err(broken("it has no pipes"));
    };
    exchange(stdin.into(), stdout.into(), question, deadline)
}

/// Writes and reads as either pipe is ready, so that neither side waits for the other for ever.
fn exchange(stdin: OwnedFd, stdout: OwnedFd, question: &[u8], deadline: Instant) -> Result<Secret, Error> {
    let failed = |e: Errno| Error::System { what: "talk to slurm-pki-signer", source: e.into() };
    for pipe in [&stdin, &stdout] {
        fcntl_setfl(pipe, OFlags::NONBLOCK).map_err(failed)?;
    }
    let stdout = File::from(stdout);
    let (mut stdin, mut unsent) = (Some(stdin), question);
    // Large enough from the start: growing would leave unwiped copies behind.
    let mut answer = vec![0; MAX_ANSWER];
    let mut length = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_late());
        }
        let wait = Timespec::try_from(left).map_err(|_| too_late())?;
        let mut watched = vec![PollFd::new(&stdout, PollFlags::IN)];
        watched.extend(stdin.as_ref().map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        match poll(&mut watched, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
        stdin = match stdin.take() {
            Some(pipe) => send(&pipe, &mut unsent).map_err(failed)?.then_some(pipe),
            None => None,
        };
        let room = answer.get_mut(length..).unwrap_or_default();
        match rustix::io::read(&stdout, room) {
            Ok(0) if length == MAX_ANSWER => return Err(broken("its answer is too long")),
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    answer.truncate(length);
    Ok(Secret::new(answer))
}

/// Sends what fits; whether something is left. A child that reads no more has an answer for us already.
fn send(pipe: &OwnedFd, unsent: &mut &[u8]) -> Result<bool, Errno> {
    match rustix::io::write(pipe, unsent) {
        Ok(count) => *unsent = unsent.get(count..).unwrap_or_default(),
        Err(Errno::AGAIN | Errno::INTR) => {}
        Err(Errno::PIPE) => *unsent = &[],
        Err(e) => return Err(e),
    }
    Ok(!unsent.is_empty())
}

fn too_late() -> Error {
    Error::Missing {
        what: format!("{PROGRAM} took too long and was stopped; nothing was issued"),
        hint: "Slurm waits 5 s for a script; see Vault's load and network: slurm-pki vault check".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn child(script: &str, question: &[u8], limit: Duration) -> Result<Secret, Error> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("child");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Another test's fork may hold the file open for writing for a moment.
        for _ in 0..50 {
            match run(&program, question, Instant::now() + limit) {
                Err(Error::System { source, .. })
                    if source.kind() == std::io::ErrorKind::ExecutableFileBusy =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => return result,
            }
        }
        panic!("it never starts");
    }

    #[test]
    fn more_than_a_pipe_holds_goes_both_ways() {
        let question = vec![b'q'; 300_000];
        let answer = child("/bin/cat", &question, Duration::from_secs(20)).unwrap();
        assert_eq!(answer.expose(), question);
    }

    #[test]
    fn an_answer_before_the_end_of_the_question_is_taken() {
        let answer = child("echo early", &vec![b'q'; 300_000], Duration::from_secs(20)).unwrap();
        assert_eq!(answer.expose(), b"early\n");
    }

    #[test]
    fn what_hangs_or_never_ends_is_stopped() {
        let hangs = child("exec /bin/sleep 1000", b"q", Duration::from_millis(300)).unwrap_err();
        assert!(hangs.to_string().contains("took too long"), "{hangs}");
        let endless = child("exec /bin/cat /dev/zero", b"q", Duration::from_secs(20)).unwrap_err();
        assert!(endless.to_string().contains("too long"), "{endless}");
    }

    #[test]
    fn nothing_of_our_environment_but_home_gets_there() {
        let answer =
            child("/usr/bin/env | /usr/bin/cut -d= -f1 | /usr/bin/sort", b"", Duration::from_secs(20))
                .unwrap();
        let names = String::from_utf8(answer.expose().to_vec()).unwrap();
        // The shell sets these itself.
        let own = ["HOME", "OLDPWD", "PWD", "SHLVL", "_"];
        assert!(names.lines().all(|name| own.contains(&name)), "{names}");
    }
}
