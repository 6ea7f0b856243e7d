//! Namespaces of the suite's own, in which it runs itself once more.

use std::ffi::OsStr;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};

/// Runs these words in new namespaces, with a network and processes of their own. Their stdin is a pipe that ends with us,
/// whatever ends us (`lifeline`); when `unshare` is killed its child is, and with that first process of the pid namespace all
/// others.
///
/// # Errors
/// When they cannot be started.
pub fn run(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<ExitCode> {
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--mount",
        "--pid",
        "--net",
        "--uts",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
    ]);
    let mut inner = unshare.args(words).stdin(Stdio::piped()).spawn().context("cannot start unshare")?;
    let lifeline = inner.stdin.take();
    let status = inner.wait()?;
    drop(lifeline);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
