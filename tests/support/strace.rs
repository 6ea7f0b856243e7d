//! strace as an eye that sees every system call of a program, and as a hand that makes one of them fail or
//! pulls the plug there.

use std::collections::BTreeMap;
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
    /// The how-manieth of this name it was, from 1, in its thread.
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
    trace_with(&[], slurm, program, argv)
}

/// The same with the calls of its threads, and of the programs that it runs.
///
/// # Panics
/// When strace is missing or may not trace.
#[must_use]
#[track_caller]
pub fn trace_threads<A: AsRef<OsStr>>(slurm: &Slurm, program: &Path, argv: &[A]) -> (Vec<Call>, Output) {
    trace_with(&["-f"], slurm, program, argv)
}

#[track_caller]
fn trace_with<A: AsRef<OsStr>>(
    more: &[&str],
    slurm: &Slurm,
    program: &Path,
    argv: &[A],
) -> (Vec<Call>, Output) {
    let folder = tempfile::tempdir().unwrap();
    // Whoever the program runs as writes it.
    let log = folder.path().join("log");
    std::fs::write(&log, "").unwrap();
    make_writable(folder.path(), 0o777);
    make_writable(&log, 0o666);
    // A program that has closed its memory to others shows a tracer without root's rights no path any more:
    // here prctl(2) only looks as if it had.
    let keep_open = "inject=prctl:retval=0";
    let usual = ["-s", "0", "-o", log.to_str().unwrap(), "-e", keep_open];
    let output = run(slurm, &[more, &usual].concat(), program, argv);
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
    strike_with(&[], slurm, program, argv, call, fault)
}

/// The same where the call is one of [`trace_threads`]: the first thread that comes to it is struck.
#[must_use]
#[track_caller]
pub fn strike_threads<A: AsRef<OsStr>>(
    slurm: &Slurm,
    program: &Path,
    argv: &[A],
    call: &Call,
    fault: Fault,
) -> Output {
    strike_with(&["-f"], slurm, program, argv, call, fault)
}

#[track_caller]
fn strike_with<A: AsRef<OsStr>>(
    more: &[&str],
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
    run(slurm, &[more, &["-o", "/dev/null", "-e", &trace, "-e", &inject]].concat(), program, argv)
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

/// The lines that are calls. Descriptors are followed here: strace's own `-y` would follow
/// pipes and sockets by numbers that differ from run to run.
fn numbered(log: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: BTreeMap<u32, String> = BTreeMap::new();
    let mut counts: BTreeMap<(u32, String), usize> = BTreeMap::new();
    for line in log.lines() {
        let (thread, line) = of_thread(line);
        let Some((name, rest)) = line.split_once('(') else { continue };
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name || name == "execve" {
            continue;
        }
        let count = counts.entry((thread, name.to_owned())).or_default();
        *count += 1;
        let nth = *count;
        let descriptor = leading_number(rest);
        let path = descriptor.and_then(|number| open.get(&number));
        let text = match (descriptor, path) {
            (Some(number), Some(path)) => {
                whole_name(line, path).replacen(&number.to_string(), &format!("{number}<{path}>"), 1)
            }
            _ => line.to_owned(),
        };
        match (name, descriptor) {
            ("close", Some(number)) => drop(open.remove(&number)),
            ("open" | "openat" | "openat2", _) => open.extend(opened(&text)),
            _ => {}
        }
        calls.push(Call { name: name.into(), nth, text });
    }
    calls
}

/// The thread in front of a line, where several were followed.
fn of_thread(line: &str) -> (u32, &str) {
    let thread =
        line.split_once(' ').and_then(|(number, rest)| Some((number.parse().ok()?, rest.trim_start())));
    thread.unwrap_or((0, line))
}

/// `3` of `3, ""..., 12) = 12`.
fn leading_number(arguments: &str) -> Option<u32> {
    let end = arguments.find([',', ')'])?;
    arguments.get(..end)?.parse().ok()
}

/// The first name of a call that is looked up in an open folder, as a whole path. What is written is no name.
fn whole_name(line: &str, folder: &str) -> String {
    match line.split('"').nth(1) {
        Some(".") => line.replacen("\".\"", &format!("\"{folder}\""), 1),
        Some(name) if !name.is_empty() => {
            let whole = Path::new(folder).join(name);
            line.replacen(&format!("\"{name}\""), &format!("\"{}\"", whole.display()), 1)
        }
        _ => line.to_owned(),
    }
}

/// The descriptor and the path of an open that succeeded.
fn opened(line: &str) -> Option<(u32, String)> {
    let descriptor = line.rsplit(" = ").next()?.parse().ok()?;
    Some((descriptor, line.split('"').nth(1)?.to_owned()))
}

fn make_writable(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_the_path_that_it_was_opened_with_until_it_is_closed() {
        let log = "openat(AT_FDCWD, \"/a\", O_RDONLY) = 3\nfsync(3) = 0\nclose(3) = 0\n\
                   openat(AT_FDCWD, \"/b\", O_RDONLY) = -1 ENOENT (No such file or directory)\n\
                   socket(AF_UNIX, SOCK_DGRAM, 0) = 3\nfsync(3) = 0\n";
        let texts: Vec<_> = numbered(log).into_iter().map(|call| call.text).collect();
        assert_eq!(texts[1..3], ["fsync(3</a>) = 0", "close(3</a>) = 0"]);
        assert_eq!(texts[5], "fsync(3) = 0");
    }

    #[test]
    fn what_is_opened_in_an_open_folder_has_its_path_too() {
        let log = "openat(AT_FDCWD, \"/\", O_PATH) = 3\nopenat(3, \"a\", O_PATH) = 4\nopenat(4, \".\", O_RDONLY) = 5\n\
                   fsync(5) = 0\nrenameat(4, \"b\", 4, \"c\") = 0\n";
        let texts: Vec<_> = numbered(log).into_iter().map(|call| call.text).collect();
        assert_eq!(texts[3..], ["fsync(5</a>) = 0", "renameat(4</a>, \"/a/b\", 4, \"c\") = 0"]);
    }

    #[test]
    fn each_thread_counts_its_own() {
        let log = "7 openat(AT_FDCWD, \"/a\") = 3\n8  fsync(3) = 0\n7 fsync(3 <unfinished ...>\n8 fsync(3) = 0\n\
                   7 <... fsync resumed>) = 0\n7 +++ exited with 0 +++\n";
        let seen: Vec<_> = numbered(log).into_iter().map(|call| (call.name, call.nth)).collect();
        let fsync = |nth| ("fsync".to_owned(), nth);
        assert_eq!(seen, [("openat".into(), 1), fsync(1), fsync(1), fsync(2)]);
    }

    #[test]
    fn calls_are_counted_by_name_and_signals_are_none() {
        let log = "execve(\"/x\", [...], 0x1 /* 2 vars */) = 0\nread(3</a>, \"\"..., 1) = 1\n\
                   --- SIGCHLD {si_signo=SIGCHLD (x)} ---\nopenat(AT_FDCWD, \"/b\") = 4\n\
                   read(4</b>, \"\"..., 1) = 1\n+++ exited with 0 +++\n";
        let seen: Vec<_> = numbered(log).into_iter().map(|call| (call.name, call.nth)).collect();
        assert_eq!(seen, [("read".into(), 1), ("openat".into(), 1), ("read".into(), 2)]);
    }
}
