//! What lintian and rpmlint say about the packages: nothing, but for what is explained in packaging/deb/lintian-overrides and
//! packaging/rpm/rpmlintrc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::architecture::Architecture;
use crate::workspace::{Workspace, run};

/// An error unless both are content with every package in the folder.
pub(crate) fn check(workspace: &Workspace, out: &Path, architecture: Architecture) -> Result<()> {
    let debs = named(out, &format!("_{}.deb", architecture.debian()))?;
    let mut lintian = Command::new("lintian");
    lintian.env("LC_ALL", "C.UTF-8").args(["--allow-root", "--display-info", "--pedantic"]);
    run(lintian.args(["--fail-on", "error,warning,info,pedantic"]).args(debs))?;
    let rpms = named(out, &format!(".{}.rpm", architecture.name()))?;
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.env("LC_ALL", "C.UTF-8").arg("--strict");
    rpmlint.arg("--config").arg(workspace.root.join("packaging/rpm/rpmlint.toml"));
    rpmlint.arg("--rpmlintrc").arg(workspace.root.join("packaging/rpm/rpmlintrc"));
    run(rpmlint.args(rpms))
}

/// The files whose names end so, in their order.
fn named(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for found in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = found?.path();
        if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "nothing in {} ends with {ending}", folder.display());
    Ok(files)
}
