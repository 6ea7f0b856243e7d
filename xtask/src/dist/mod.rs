//! `cargo xtask dist`: the packages and everything else that a release consists of.
//!
//! Programs are built, what is in which package is laid out as trees (`contents` is the table), and the tools of Debian
//! and of rpm make packages of these.

mod architecture;
mod contents;
mod crates;
mod deb;
mod licences;
mod lint;
mod needs;
mod options;
pub(crate) mod portable;
mod python;
mod release;
mod rpm;
mod sbom;
mod scripts;
mod stage;
mod sums;
mod tarball;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) use architecture::Architecture;
pub(crate) use options::DistOptions;

use self::crates::Crates;
use self::release::Release;
use self::stage::Sources;
use crate::programs::ADMIN;
use crate::workspace::Workspace;
use crate::{documents, prerequisites, terminal};

/// Makes everything.
pub(crate) fn dist(options: &DistOptions) -> Result<()> {
    prerequisites::require(&[prerequisites::BUILD, prerequisites::DIST].concat())?;
    let workspace = Workspace::find()?;
    let release = Release::of(&workspace, options)?;
    let programs = match &options.programs {
        Some(folder) => folder.clone(),
        None => portable::build(&workspace, release.architecture)?,
    };
    let out = folder(&workspace, options)?;
    remove_former(&out, release.architecture)?;
    let admin = if release.architecture.name() == std::env::consts::ARCH {
        programs.join(ADMIN)
    } else {
        documents::admin_for_this_machine(&workspace)?
    };
    documents::write(&workspace, &admin, release.date)?;
    let crates = Crates::of(&workspace)?;
    let sources = Sources {
        workspace: &workspace,
        programs: &programs,
        architecture: release.architecture,
        crates: &crates,
    };
    let staged = stage::all(&sources, &out, release.date)?;
    for one in &staged {
        made(&deb::make(&workspace, one, &release, &out)?);
    }
    rpm::make(&workspace, &staged, &release, &out)?.iter().for_each(|file| made(file));
    made(&tarball::make(&staged, &release, &out)?);
    let bill = sbom::write(&workspace, &crates, &release, &out)?;
    made(&bill);
    if options.programs.is_none() {
        sbom::check(&workspace, &bill)?;
        lint::check(&workspace, &out, release.architecture)?;
    }
    sums::write(&out)
}

/// Where everything goes, as an absolute path: rpmbuild takes no other.
fn folder(workspace: &Workspace, options: &DistOptions) -> Result<PathBuf> {
    let folder = options.out.clone().unwrap_or_else(|| workspace.target.join("dist/packages"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))
}

/// What an earlier run made for this kind of machine, of whatever version.
fn remove_former(out: &Path, architecture: Architecture) -> Result<()> {
    let (debian, other) = (architecture.debian(), architecture.name());
    let endings = [format!("_{debian}.deb"), format!(".{other}.rpm"), format!("-{other}.tar.gz")];
    for found in fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))? {
        let found = found?;
        let name = found.file_name();
        if endings.iter().any(|ending| name.to_string_lossy().ends_with(ending)) {
            fs::remove_file(found.path()).with_context(|| format!("cannot remove {}", name.display()))?;
        }
    }
    Ok(())
}

fn made(file: &Path) {
    terminal::line(&file.display().to_string());
}
