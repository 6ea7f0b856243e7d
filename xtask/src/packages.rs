//! `cargo xtask packages`: the suite below tests/packages, in which the packages are installed, upgraded and removed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::dist::{self, Architecture, DistOptions};
use crate::prerequisites;
use crate::workspace::{self, Workspace, run};

/// The number of the packages that those of the release are upgraded to.
const LATER: u32 = 1000;

/// Takes the packages that `cargo xtask dist` made; the suite prints its own table.
pub(crate) fn test() -> Result<()> {
    ensure!(workspace::is_root(), "only root can make namespaces, and roots to install packages in");
    let needed = [prerequisites::BUILD, prerequisites::DIST, prerequisites::PACKAGES].concat();
    prerequisites::require(&needed)?;
    let workspace = Workspace::find()?;
    let release = workspace.target.join("dist/packages");
    let later = workspace.target.join("dist/later");
    make_later(&workspace, &later)?;
    // As part of the workspace: alone it would want its dependencies built anew, with other features.
    run(workspace.cargo().args(["build", "--locked", "--workspace", "--bin", "package-suite"]))?;
    let mut suite = Command::new(workspace.target.join("debug/package-suite"));
    suite.current_dir(&workspace.root);
    run(suite.env("SLURM_PKI_PACKAGES", release).env("SLURM_PKI_LATER_PACKAGES", later))
}

/// The same programs once more, in packages of a later version.
fn make_later(workspace: &Workspace, later: &Path) -> Result<()> {
    dist::dist(&DistOptions {
        architecture: Architecture::X86_64,
        programs: Some(programs(workspace)?),
        out: Some(later.into()),
        revision: LATER,
    })
}

/// Where `cargo xtask dist` left the programs that are in the packages.
fn programs(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("dist/programs").join(Architecture::X86_64.name());
    ensure!(folder.is_dir(), "there are no programs in {}: cargo xtask dist makes them", folder.display());
    Ok(folder)
}
