//! What the admin command writes about itself and the other programs: manual pages, and completions for three shells.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::programs::ADMIN;
use crate::workspace::{self, Workspace};

/// The name that each shell looks for, and what `completions` calls the shell.
const COMPLETIONS: [(&str, &str); 3] =
    [("slurm-pki.bash", "bash"), ("_slurm-pki", "zsh"), ("slurm-pki.fish", "fish")];

/// Where the manual pages lie: `keygen.1`.
pub(crate) fn manual(workspace: &Workspace) -> PathBuf {
    workspace.target.join("dist/man")
}

/// Where the completions lie.
pub(crate) fn completions(workspace: &Workspace) -> PathBuf {
    workspace.target.join("dist/completions")
}

/// Has an admin command that runs on this machine write all of them anew, the pages with this date.
pub(crate) fn write(workspace: &Workspace, admin: &Path, date: i64) -> Result<()> {
    let (manual, completions) = (manual(workspace), completions(workspace));
    for folder in [&manual, &completions] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut man = Command::new(admin);
    man.args(["man", "--quiet", "--out"]).arg(&manual).env("SOURCE_DATE_EPOCH", date.to_string());
    workspace::answer(&mut man)?;
    for (name, shell) in COMPLETIONS {
        let script = workspace::answer(Command::new(admin).args(["completions", shell]))?;
        let file = completions.join(name);
        fs::write(&file, script).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// An admin command that runs on this machine, where the one to be packed does not.
pub(crate) fn admin_for_this_machine(workspace: &Workspace) -> Result<PathBuf> {
    workspace::run(workspace.cargo().args(["build", "--locked", "--package", ADMIN]))?;
    Ok(workspace.target.join("debug").join(ADMIN))
}
