//! Tests among processes of their own: whatever runs on this machine, a Slurm daemon too, is not seen by them, and what
//! they start is seen by nobody else.

use std::env;
use std::process::Command;

const INSIDE: &str = "SLURM_PKI_TEST_APART";

/// Runs the body of a test in a PID namespace: this very test once more, there.
macro_rules! apart {
    ($body:expr) => {{
        fn here() {}
        if !$crate::apart::is_inside() {
            return $crate::apart::run(std::any::type_name_of_val(&here));
        }
        $body
    }};
}
pub(crate) use apart;

pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// `here` is the name of a function in the test.
#[track_caller]
pub(crate) fn run(here: &str) {
    let test = here.trim_end_matches("::here").split_once("::").unwrap().1;
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-current-user"]);
    }
    command.args(["--pid", "--fork", "--mount-proc"]).arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = command.output().unwrap_or_else(|e| panic!("unshare (of util-linux): {e}"));
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{test}: {said}");
}
