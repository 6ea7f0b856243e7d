//! How many instructions a program runs in user space, counted by valgrind: the same whatever else the machine does.

use std::process::Stdio;

use crate::figures::Figures;
use crate::scene::Call;

/// Keys are random, and with them a few branches.
const RUNS: usize = 3;

/// `None` without valgrind.
pub(crate) fn counted(call: &Call) -> Option<f64> {
    let counts: Option<Vec<f64>> = (0..RUNS).map(|_| count(call)).collect();
    counts.map(|counts| Figures::of(counts).median())
}

fn count(call: &Call) -> Option<f64> {
    let scratch = tempfile::NamedTempFile::new().unwrap();
    let out = format!("--callgrind-out-file={}", scratch.path().display());
    let mut command = call.through("/usr/bin/valgrind", &["--tool=callgrind", &out]);
    let output = command.stdout(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{} under valgrind: {said}", call.name);
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    line.and_then(|(_, number)| number.trim().parse().ok())
}
