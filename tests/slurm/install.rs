//! Where Slurm is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// What docs/slurm-contract.md was last compared with. Another version is reported, no more: sid moves on.
const EXPECTED: &str = "26.05.5";

/// An installed Slurm.
#[derive(Debug)]
pub(crate) struct Install {
    /// The root it is seen from: a cached one, or this machine's own.
    pub(crate) lower: PathBuf,
    /// Where it lies below that.
    pub(crate) prefix: PathBuf,
    /// The folder of its libraries and plugins, below the same.
    pub(crate) plugins: PathBuf,
}

impl Install {
    /// Debian's packages in a root.
    pub(crate) fn debian(root: &Path) -> Result<Self> {
        let plugins = subfolders(&root.join("usr/lib")).into_iter().map(|folder| folder.join("slurm-wlm"));
        let plugins = with_library(plugins).with_context(|| format!("no Slurm in {}", root.display()))?;
        let plugins = Path::new("/").join(plugins.strip_prefix(root)?);
        Ok(Self { lower: root.into(), prefix: "/usr".into(), plugins })
    }

    /// A Slurm that was installed on this machine with `--prefix`.
    pub(crate) fn at(prefix: PathBuf) -> Result<Self> {
        let prefix = prefix.canonicalize().with_context(|| format!("SLURM_PREFIX={}", prefix.display()))?;
        let libraries = subfolders(&prefix).into_iter().chain(subfolders(&prefix.join("lib")));
        let plugins = with_library(libraries.map(|folder| folder.join("slurm"))).with_context(|| {
            format!("SLURM_PREFIX: no lib*/slurm/libslurmfull.so in {}", prefix.display())
        })?;
        for program in ["sbin/slurmctld", "sbin/slurmd", "bin/scontrol"] {
            let path = prefix.join(program);
            ensure!(path.is_file(), "SLURM_PREFIX: no {}", path.display());
        }
        Ok(Self { lower: "/".into(), prefix, plugins })
    }

    /// Its version and where it is, with a remark when it is another one than expected.
    pub(crate) fn described(&self) -> Result<String> {
        let mut slurmctld = Command::new("chroot");
        slurmctld.arg(&self.lower).arg(self.prefix.join("sbin/slurmctld")).arg("-V");
        let version = shell::answer(&mut slurmctld)?.trim().to_owned();
        let remark = if version.ends_with(EXPECTED) {
            ""
        } else {
            " (these cases were written against 26.05.5: compare docs/slurm-contract.md)"
        };
        Ok(format!("{version}, {} below {}{remark}", self.prefix.display(), self.lower.display()))
    }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn with_library(mut folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.find(|folder| folder.join("libslurmfull.so").is_file())
}
