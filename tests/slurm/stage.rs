//! The way into the namespaces.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::install::Install;

/// Lays out the root; see there.
const STAGE: &str = include_str!("stage.sh");

/// First argument of the inner suite.
const INSIDE: &str = "inside";

/// What the inner suite has to know.
#[derive(Debug)]
pub(crate) struct Staged {
    /// The root in which Slurm runs.
    pub(crate) root: PathBuf,
    /// Where Slurm lies in it.
    pub(crate) prefix: PathBuf,
    /// Its plugins.
    pub(crate) plugins: PathBuf,
    /// The compiled probe, not yet in the root.
    pub(crate) probe: PathBuf,
}

/// Whether this is the inner suite.
pub(crate) fn is_inside(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| first == INSIDE)
}

/// Reads what [`enter`] wrote.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Staged> {
    let mut paths = arguments.iter().skip(1).map(PathBuf::from);
    let mut next = || paths.next().context("the inner suite is started by the outer one only");
    Ok(Staged { root: next()?, prefix: next()?, plugins: next()?, probe: next()? })
}

/// Runs the suite once more, inside. Its stdin is a pipe that ends with us, whatever ends us; when `unshare` is killed
/// its child is, and with that first process of the pid namespace all others.
pub(crate) fn enter(install: &Install, probe: &Path, oidc: &Path) -> Result<ExitCode> {
    let folder = probe.parent().context("the probe lies in a folder")?;
    let (stage, root) = (folder.join("stage.sh"), folder.join("root"));
    fs::write(&stage, STAGE)?;
    fs::create_dir_all(&root)?;
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
    unshare.arg("sh").arg(&stage).arg(&install.lower).arg(&root).arg(programs()?).arg(&install.prefix);
    unshare.arg(packaging()).arg(oidc);
    unshare.arg(std::env::current_exe()?).arg(INSIDE).arg(&root);
    unshare.arg(&install.prefix).arg(&install.plugins).arg(probe);
    let mut inner = unshare.stdin(Stdio::piped()).spawn().context("cannot start unshare")?;
    let lifeline = inner.stdin.take();
    let status = inner.wait()?;
    drop(lifeline);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What is installed beside the programs: the proxies' configurations.
fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

/// Where `cargo xtask build` laid the programs.
fn programs() -> Result<PathBuf> {
    let named = std::env::var_os("SLURM_PKI_PROGRAMS").context("run it with: cargo xtask slurm")?;
    Ok(PathBuf::from(named).canonicalize()?)
}
