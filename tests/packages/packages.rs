//! The built packages: a release, and a later one of the same programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::manager::Manager;

/// All of them, those that others require first.
pub(crate) const ALL: [&str; 4] = [CLIENT, NODE, CONTROLLER, ADMIN];

pub(crate) const CLIENT: &str = "slurm-pki-client";
pub(crate) const NODE: &str = "slurm-pki-node";
pub(crate) const CONTROLLER: &str = "slurm-pki-controller";
pub(crate) const ADMIN: &str = "slurm-pki";

/// Where `cargo xtask dist` laid them.
#[derive(Debug, Clone)]
pub(crate) struct Packages {
    /// The release.
    pub(crate) release: PathBuf,
    /// The later one.
    pub(crate) later: PathBuf,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Build {
    Release,
    Later,
}

impl Packages {
    /// By the variables that `cargo xtask packages` sets.
    pub(crate) fn named() -> Result<Self> {
        let folder = |variable: &str| -> Result<PathBuf> {
            let named = std::env::var_os(variable).context("run it with: cargo xtask packages")?;
            PathBuf::from(named).canonicalize().with_context(|| variable.to_owned())
        };
        Ok(Self { release: folder("SLURM_PKI_PACKAGES")?, later: folder("SLURM_PKI_LATER_PACKAGES")? })
    }

    /// The folder of one build.
    pub(crate) fn folder(&self, build: Build) -> &Path {
        match build {
            Build::Release => &self.release,
            Build::Later => &self.later,
        }
    }

    /// The file name of a package, which is the only one of its name for its manager.
    pub(crate) fn file(&self, build: Build, manager: Manager, name: &str) -> Result<String> {
        let folder = self.folder(build);
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            if is_of(&file, manager, name) {
                found.push(file);
            }
        }
        ensure!(found.len() == 1, "{}: not one package {name} but {found:?}", folder.display());
        found.pop().context("one was found")
    }
}

/// A version begins with a digit, and no package's name goes on with one.
fn is_of(file: &str, manager: Manager, name: &str) -> bool {
    let (between, ending) = match manager {
        Manager::Dpkg => ("_", ".deb"),
        Manager::Rpm => ("-", ".x86_64.rpm"),
    };
    let version = file.strip_prefix(name).and_then(|rest| rest.strip_prefix(between));
    file.ends_with(ending) && version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_told_from_others_that_begin_like_it() {
        assert!(is_of("slurm-pki_0.1.0-1_amd64.deb", Manager::Dpkg, ADMIN));
        assert!(!is_of("slurm-pki-node_0.1.0-1_amd64.deb", Manager::Dpkg, ADMIN));
        assert!(is_of("slurm-pki-0.1.0-1.x86_64.rpm", Manager::Rpm, ADMIN));
        assert!(!is_of("slurm-pki-node-0.1.0-1.x86_64.rpm", Manager::Rpm, ADMIN));
        assert!(!is_of("slurm-pki-0.1.0-x86_64.tar.gz", Manager::Rpm, ADMIN));
    }
}
