//! Manual pages and completions, read by those who read them on a system: man, mandoc, lexgrog, and the three shells. And
//! whether what the documents name is there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken premise stops the test")]

mod completions;
mod help;
mod named;
mod pages;

use std::process::Command;

/// What a program prints; it must succeed and have nothing to complain about.
#[track_caller]
fn answer(command: &mut Command) -> String {
    let name = command.get_program().to_owned();
    let output = command.output().unwrap_or_else(|e| panic!("{} cannot be run: {e}", name.display()));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{command:?}: {}\n{complaint}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
