//! All files of all packages in one archive, for images and systems without a package manager.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::release::Release;
use super::stage::Staged;
use super::tree::Tree;
use crate::workspace;

/// Makes the archive: one folder, and in it the files from the root of a system on.
pub(crate) fn make(staged: &[Staged], release: &Release, out: &Path) -> Result<PathBuf> {
    let name = format!("slurm-pki-{}-{}", release.version, release.architecture.name());
    let work = out.join("tarball");
    let all = Tree::new(work.join(&name))?;
    staged.iter().try_for_each(|one| all.take(&one.tree))?;
    all.date(release.date)?;
    let file = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    // The same bytes whoever packs: owner, order and dates are ours.
    tar.args(["--sort=name", "--owner=root:0", "--group=root:0", "--format=gnu"]);
    tar.args(["--use-compress-program=gzip -9n", "--create", "--file"]).arg(&file);
    workspace::answer(tar.arg("--directory").arg(&work).arg(&name))?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    Ok(file)
}
