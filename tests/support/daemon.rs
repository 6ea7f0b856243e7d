//! A daemon with a process id of its own: the parent that generate_csr and get_cert_key see.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::slurm::{End, Run, Slurm};

/// A process that lives as long as this value and runs scripts as its direct children, as slurmd and
/// sackd do. (A shell that reads what to run from its stdin: each of its children is a plain fork and
/// exec.)
#[derive(Debug)]
pub struct Daemon {
    shell: Child,
    orders: Option<ChildStdin>,
    statuses: Receiver<String>,
    scratch: TempDir,
}

impl Daemon {
    /// Starts a daemon with the environment, folder and user of `slurm`.
    ///
    /// # Panics
    /// When there is no shell.
    #[must_use]
    pub fn start(slurm: &Slurm) -> Self {
        let mut command = slurm.command::<&str>(Path::new("/bin/sh"), &[]);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (line, statuses) = mpsc::channel();
        let stdout = BufReader::new(shell.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|l| line.send(l)));
        let orders = shell.stdin.take();
        Self { shell, orders, statuses, scratch: tempfile::tempdir().unwrap() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.shell.id()
    }

    /// Runs a script: one file for stdout and stderr, stdin from /dev/null.
    ///
    /// # Panics
    /// When it has not ended after Slurm's five seconds.
    #[must_use]
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&mut self, script: &Path, argv: &[A]) -> Run {
        let output = self.scratch.path().join("output");
        let mut order = Vec::new();
        for word in std::iter::once(script.as_os_str()).chain(argv.iter().map(AsRef::as_ref)) {
            order.extend_from_slice(&quoted(word));
            order.push(b' ');
        }
        let mut tail = String::new();
        writeln!(tail, ">{} 2>&1 </dev/null; echo $?", output.display()).unwrap();
        order.extend_from_slice(tail.as_bytes());
        self.orders.as_mut().unwrap().write_all(&order).unwrap();
        let status = self.statuses.recv_timeout(Duration::from_secs(5)).expect("a status in five seconds");
        let code: i32 = status.parse().unwrap();
        let end = End::Status(ExitStatus::from_raw(code << 8));
        Run { end, output: std::fs::read(&output).unwrap() }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// One word for the shell, whatever bytes it has.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => text.extend_from_slice(br"'\''"),
            other => text.push(*other),
        }
    }
    text.push(b'\'');
    text
}
