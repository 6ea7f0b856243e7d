//! The root with Debian's Slurm: built once by debootstrap, kept in a cache folder, never written to afterwards.
//!
//! Its name carries a hash of everything it was built from, so that another list of packages or another recipe means
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

/// Only sid has Slurm 26.05.
const SUITE: &str = "sid";

/// What is installed, and nothing that these only recommend.
const PACKAGES: [&str; 13] = [
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
];

/// To be raised with every change of the steps below.
const RECIPE: u32 = 1;

/// Written last.
const MARKER: &str = "complete";

/// The root's folder, built first where it is missing or a rest.
pub(crate) fn ready() -> Result<PathBuf> {
    let cache = cache();
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    // Of two runs the second waits here, and finds what the first has built.
    let lock = File::create(cache.join(".lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let root = cache.join(name());
    if root.join(MARKER).is_file() {
        terminal::line(&format!("root: {} (cached)", root.display()));
        return Ok(root);
    }
    name_others(&cache);
    build(&root)?;
    Ok(root)
}

/// Where things lie that are made once.
pub(crate) fn cache() -> PathBuf {
    let given = std::env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute());
    given.map_or_else(|| "/var/cache".into(), PathBuf::from).join("slurm-pki-tests")
}

fn name() -> String {
    let architecture = std::env::consts::ARCH;
    let from = format!("{SUITE} {architecture} {} recipe {RECIPE}", PACKAGES.join(" "));
    let hash = HEXLOWER.encode(digest(&SHA256, from.as_bytes()).as_ref());
    format!("{SUITE}-{architecture}-{}", hash.get(..12).unwrap_or(&hash))
}

/// Another checkout may still use them, so they are named and not removed.
fn name_others(cache: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for other in entries.filter(|entry| is_a_root(&entry.file_name()) && entry.file_name() != *name()) {
        terminal::line(&format!(
            "root: {} is of another recipe; remove it if nobody uses it",
            other.path().display()
        ));
    }
}

fn is_a_root(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(&format!("{SUITE}-")))
}

fn build(root: &Path) -> Result<()> {
    if root.exists() {
        step(1, "remove the rest of a build that was stopped");
        fs::remove_dir_all(root)?;
    }
    step(2, &format!("debootstrap: Debian {SUITE}, its smallest set (network)"));
    run(Command::new("debootstrap").args(["--variant=minbase", SUITE]).arg(root))?;
    step(3, "forbid packages to start daemons");
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
    step(4, &format!("install {} (network)", PACKAGES.join(" ")));
    // The mirrors of sid serve lists that are past their date at times.
    run(within(root).args(["apt-get", "-q", "-o", "Acquire::Check-Valid-Until=false", "update"]))?;
    run(within(root).args(["apt-get", "-q", "-y", "--no-install-recommends", "install"]).args(PACKAGES))?;
    run(within(root).args(["apt-get", "clean"]))?;
    step(5, "mark it complete");
    fs::write(root.join(MARKER), format!("{}\n", name()))?;
    Ok(())
}

fn step(number: u32, what: &str) {
    terminal::line(&format!("root: step {number} of 5: {what}"));
}

fn within(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Its lines go to a file: hundreds, and of interest only when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
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
        assert!(name().starts_with("sid-"));
        assert_eq!(name(), name());
        assert_eq!(name().rsplit('-').next().map(str::len), Some(12));
    }
}
