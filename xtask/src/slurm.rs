//! `cargo xtask slurm`: the suite below tests/slurm, in which a real Slurm runs the programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::prerequisites;
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

/// What the packages of `cargo xtask dist` lay out on a host: the folder of the programs, from nothing each time.
pub(crate) fn out_of_packages(workspace: &Workspace) -> Result<PathBuf> {
    let (packages, unpacked) =
        (workspace.target.join("dist/packages"), workspace.target.join("dist/unpacked"));
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
    }
    let files = fs::read_dir(&packages)
        .with_context(|| format!("{}: cargo xtask dist makes it", packages.display()))?;
    let files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    let debs: Vec<_> = files.iter().filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
    ensure!(!debs.is_empty(), "no package in {}: cargo xtask dist makes them", packages.display());
    for deb in debs {
        run(Command::new("dpkg-deb").arg("-x").args([deb, &unpacked]))?;
    }
    Ok(unpacked.join("usr/libexec/slurm-pki"))
}

/// Runs it on the programs as they lie in a folder; it prints its own table.
pub(crate) fn test(workspace: &Workspace, programs: &Path) -> Result<()> {
    if let Some(obstacle) = obstacle() {
        bail!(obstacle);
    }
    let mut suite = Command::new(build(workspace)?);
    suite.current_dir(&workspace.root);
    run(suite.env("SLURM_PKI_PROGRAMS", programs))
}

/// The suite, built.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    // As part of the workspace: alone it would want its dependencies built anew, with other features.
    run(workspace.cargo().args(["build", "--locked", "--workspace", "--bin", "slurm-suite"]))?;
    Ok(workspace.target.join("debug/slurm-suite"))
}
