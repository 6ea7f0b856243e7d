//! strace as an eye that sees every system call of a program, and as a hand that makes one of them fail or
//! pulls the plug there.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::slurm::Slurm;

/// One system call of a traced program.
#[derive(Clone, Debug)]
pub struct Call {
    /// As in `openat`.
    pub name: String,
    /// The how-manieth of this name it was, from 1.
    pub nth: usize,
    /// strace's line, with the paths of descriptors and without the contents of buffers.
    pub text: String,
}

impl Call {
    /// Whether the call has one of these names.
    #[must_use]
    pub fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    /// Whether its line has this in it.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// SIGKILL instead of the call.
    Kill,
    /// The call does nothing and returns this error, as in `ENOSPC`.
    Error(&'static str),
}

/// Runs a program as `slurm` does and lists its system calls, execve left out.
///
/// # Panics
/// When strace is missing or may not trace.
#[must_use]
#[track_caller]
pub fn trace<A: AsRef<OsStr>>(slurm: &Slurm, program: &Path, argv: &[A]) -> (Vec<Call>, Output) {
    let folder = tempfile::tempdir().unwrap();
    // Whoever the program runs as writes it.
    let log = folder.path().join("log");
    std::fs::write(&log, "").unwrap();
    make_writable(folder.path(), 0o777);
    make_writable(&log, 0o666);
    let output = run(slurm, &["-y", "-s", "0", "-o", log.to_str().unwrap()], program, argv);
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    let calls = numbered(&text);
    assert!(!calls.is_empty(), "strace saw nothing: {}", String::from_utf8_lossy(&output.stderr));
    (calls, output)
}

/// Runs a program as `slurm` does with one of its calls struck.
#[must_use]
#[track_caller]
pub fn strike<A: AsRef<OsStr>>(
    slurm: &Slurm,
    program: &Path,
    argv: &[A],
    call: &Call,
    fault: Fault,
) -> Output {
    let what = match fault {
        Fault::Kill => "signal=KILL".to_owned(),
        Fault::Error(name) => format!("error={name}"),
    };
    let Call { name, nth, .. } = call;
    let (trace, inject) = (format!("trace={name}"), format!("inject={name}:{what}:when={nth}"));
    run(slurm, &["-o", "/dev/null", "-e", &trace, "-e", &inject], program, argv)
}

/// `-D`: the program is our own child, as it is the daemon's, and strace stands beside it.
#[track_caller]
fn run<A: AsRef<OsStr>>(slurm: &Slurm, options: &[&str], program: &Path, argv: &[A]) -> Output {
    let mut words: Vec<OsString> = vec!["-D".into()];
    words.extend(options.iter().map(OsString::from));
    words.push(program.into());
    words.extend(argv.iter().map(|word| word.as_ref().to_owned()));
    slurm.run_apart(&strace(), &words)
}

/// # Panics
/// When it is not installed.
fn strace() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("strace")).find(|file| file.is_file());
    found.expect("no strace on PATH: install the package strace")
}

fn numbered(log: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for text in log.lines() {
        let Some((name, _)) = text.split_once('(') else { continue };
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name && name != "execve" {
            let nth = 1 + calls.iter().filter(|call| call.name == name).count();
            calls.push(Call { name: name.into(), nth, text: text.into() });
        }
    }
    calls
}

fn make_writable(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_signals_are_none() {
        let log = "execve(\"/x\", [...], 0x1 /* 2 vars */) = 0\nread(3</a>, \"\"..., 1) = 1\n\
                   --- SIGCHLD {si_signo=SIGCHLD (x)} ---\nopenat(AT_FDCWD, \"/b\") = 4\n\
                   read(4</b>, \"\"..., 1) = 1\n+++ exited with 0 +++\n";
        let seen: Vec<_> = numbered(log).into_iter().map(|call| (call.name, call.nth)).collect();
        assert_eq!(seen, [("read".into(), 1), ("openat".into(), 1), ("read".into(), 2)]);
    }
}
