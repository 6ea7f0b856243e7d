//! `cargo xtask slurm`: the suite below tests/slurm, in which a real Slurm runs the programs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::prerequisites;
use crate::programs;
use crate::workspace::{self, Workspace, run};

/// An installed Slurm to take instead of Debian's.
const PREFIX: &str = "SLURM_PREFIX";

/// Why the suite cannot run here, in one line.
pub(crate) fn obstacle() -> Option<String> {
    let mut tools = prerequisites::SLURM.to_vec();
    if std::env::var_os(PREFIX).is_none() {
        tools.extend(prerequisites::SLURM_ROOT);
    }
    if !workspace::is_root() {
        return Some("the real Slurm: only root can make namespaces and a root with Slurm in it".into());
    }
    let missing = prerequisites::missing(&tools);
    if missing.is_empty() {
        None
    } else {
        Some(format!("the real Slurm: not installed: {}", missing.join(", ")))
    }
}

/// Runs it on the programs as they lie; it prints its own table.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    if let Some(obstacle) = obstacle() {
        bail!(obstacle);
    }
    let mut suite = Command::new(build(workspace)?);
    suite.current_dir(&workspace.root);
    run(suite.env("SLURM_PKI_PROGRAMS", programs::folder(workspace)))
}

/// The suite, built.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    // As part of the workspace: alone it would want its dependencies built anew, with other features.
    run(workspace.cargo().args(["build", "--locked", "--workspace", "--bin", "slurm-suite"]))?;
    Ok(workspace.target.join("debug/slurm-suite"))
}
