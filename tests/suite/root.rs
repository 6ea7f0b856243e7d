//! Roots with Debian in them: built once by debootstrap, kept in a cache folder, never written to afterwards.
//!
//! A root's name carries a hash of everything it was built from, so that another list of packages or another recipe means
//! another root. The file `complete` is written last: a folder without it is the rest of a build that was stopped.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use rustix::fs::{FlockOperation, flock};

use crate::terminal;

/// What a root is made of.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Debian's release.
    pub suite: &'static str,
    /// What is installed, and nothing that these only recommend.
    pub packages: &'static [&'static str],
    /// To be raised with every change of the steps below that matters to it.
    pub number: u32,
}

/// A cluster's daemons. Only sid has Slurm 26.05.
pub const SLURM: Recipe = Recipe {
    suite: "sid",
    packages: &[
        "slurmctld",
        "slurmd",
        "slurm-client",
        "sackd",
        "slurmdbd",
        "slurmrestd",
        "slurm-wlm-jwt-plugin",
        "mariadb-server",
        "nginx",
        "apache2",
        "nodejs",
        "curl",
        "openssl",
    ],
    number: 1,
};

/// Written last.
const MARKER: &str = "complete";

impl Recipe {
    /// The root's folder, built first where it is missing or a rest.
    pub fn ready(&self) -> Result<PathBuf> {
        let cache = cache();
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        // Of two runs the second waits here, and finds what the first has built.
        let lock = File::create(cache.join(".lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let root = cache.join(self.name());
        if root.join(MARKER).is_file() {
            terminal::progress(&format!("root: {} (cached)", root.display()));
            return Ok(root);
        }
        self.build(&root)?;
        Ok(root)
    }

    fn name(&self) -> String {
        let (suite, architecture) = (self.suite, std::env::consts::ARCH);
        let from = format!("{suite} {architecture} {} recipe {}", self.packages.join(" "), self.number);
        let hash = HEXLOWER.encode(digest(&SHA256, from.as_bytes()).as_ref());
        format!("{suite}-{architecture}-{}", hash.get(..12).unwrap_or(&hash))
    }

    fn build(&self, root: &Path) -> Result<()> {
        let suite = self.suite;
        if root.exists() {
            step(1, "remove the rest of a build that was stopped");
            fs::remove_dir_all(root)?;
        }
        step(2, &format!("debootstrap: Debian {suite}, its smallest set (network)"));
        run(Command::new("debootstrap").args(["--variant=minbase", suite]).arg(root))?;
        step(3, "forbid packages to start daemons");
        let policy = root.join("usr/sbin/policy-rc.d");
        fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
        step(4, &format!("install {} (network)", self.packages.join(" ")));
        // The mirrors of sid serve lists that are past their date at times.
        run(within(root).args(["apt-get", "-q", "-o", "Acquire::Check-Valid-Until=false", "update"]))?;
        let mut install = within(root);
        install.args(["apt-get", "-q", "-y", "--no-install-recommends", "install"]);
        run(install.args(self.packages))?;
        run(within(root).args(["apt-get", "clean"]))?;
        step(5, "mark it complete");
        fs::write(root.join(MARKER), format!("{}\n", self.name()))?;
        Ok(())
    }
}

/// Where things lie that are made once.
pub fn cache() -> PathBuf {
    let given = std::env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute());
    given.map_or_else(|| "/var/cache".into(), PathBuf::from).join("slurm-pki-tests")
}

fn step(number: u32, what: &str) {
    terminal::progress(&format!("root: step {number} of 5: {what}"));
}

fn within(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Its lines go to a file: hundreds, and of interest only when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let path = cache().join("build.log");
    let log = File::options().create(true).append(true).open(&path)?;
    let status = command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).status();
    let status = status.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if status.success() {
        return Ok(());
    }
    let log = fs::read_to_string(&path).unwrap_or_default();
    let last: Vec<_> = log.lines().rev().take(12).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    bail!("the root cannot be built ({status}); the end of {}:\n{}", path.display(), last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_it_is_and_stays_the_same() {
        assert!(SLURM.name().starts_with("sid-"));
        assert_eq!(SLURM.name(), SLURM.name());
        assert_eq!(SLURM.name().rsplit('-').next().map(str::len), Some(12));
    }

    #[test]
    fn other_packages_are_another_root() {
        assert_ne!(SLURM.name(), Recipe { packages: &["slurmctld"], ..SLURM }.name());
    }
}
