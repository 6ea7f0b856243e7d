//! One fault after the other, each on a new scene.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::thread;

use support::strace::{Call, Fault};

use crate::scene::{Files, Scene};

/// Every call that changes something, or that asks for something that may be refused.
const FAILING: [&str; 23] = [
    "openat",
    "openat2",
    "open",
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "fchmod",
    "chmod",
    "fchown",
    "lchown",
    "mkdir",
    "mkdirat",
    "flock",
    "getdents64",
];

/// What is checked after a strike.
pub(crate) struct Struck<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) before: &'a Files,
    pub(crate) call: &'a Call,
    pub(crate) output: &'a Output,
}

/// Kills the program at each of its system calls, one after the other.
pub(crate) fn kill_at_each_call(make: fn() -> Scene, check: impl Fn(&Struck<'_>)) {
    let calls = make().calls();
    assert!(calls.iter().any(|call| call.name == "exit_group"), "{calls:?}");
    for call in &calls {
        strike(make, call, Fault::Kill, |struck| {
            let by = struck.output.status.signal();
            assert_eq!(by, Some(9), "{}", String::from_utf8_lossy(&struck.output.stderr));
            check(struck);
        });
    }
}

/// Fails each system call that can, with each error. The program either says so and answers nothing, or,
/// where `may_fail` lets it, answers all the same.
pub(crate) fn fail_each_call(make: fn() -> Scene, may_fail: fn(&Call) -> bool, check: impl Fn(&Struck<'_>)) {
    let calls = make().calls();
    // What loads a program that is not static fails in words of its own.
    let ours = |call: &&Call| call.is_one_of(&FAILING) && !call.mentions(".so");
    let calls: Vec<_> = calls.iter().filter(ours).collect();
    assert!(calls.iter().any(|call| call.mentions("write(1,")), "{calls:?}");
    for call in calls {
        for error in ["ENOSPC", "EIO", "EACCES"] {
            strike(make, call, Fault::Error(error), |struck| {
                if may_fail(call) && struck.output.status.success() {
                    assert!(struck.output.stderr.is_empty());
                } else {
                    assert_refused(struck);
                }
                check(struck);
            });
        }
    }
}

/// Exit status 1, two lines, no answer.
#[track_caller]
fn assert_refused(struck: &Struck<'_>) {
    let Output { status, stdout, stderr } = struck.output;
    let said = String::from_utf8_lossy(stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(stdout.is_empty(), "{}", stdout.escape_ascii());
    let program = struck.scene.program;
    let lines: Vec<_> = said.lines().collect();
    assert!(
        matches!(lines.as_slice(), [what, hint]
            if what.starts_with(&format!("{program}: error: "))
                && hint.starts_with(&format!("{program}: hint: "))),
        "{said}"
    );
}

/// One strike on a new scene.
pub(crate) fn strike(make: fn() -> Scene, call: &Call, fault: Fault, check: impl Fn(&Struck<'_>)) {
    let _where = Whereabouts(call, fault);
    let scene = make();
    let before = scene.files();
    let output = scene.run_struck(call, fault);
    check(&Struck { scene: &scene, before: &before, call, output: &output });
}

/// Says at which call a check failed.
struct Whereabouts<'a>(&'a Call, Fault);

impl Drop for Whereabouts<'_> {
    #[expect(clippy::print_stderr, reason = "part of a failed test's message")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("struck by {:?} at {} number {}: {}", self.1, self.0.name, self.0.nth, self.0.text);
        }
    }
}
