//! A system on which packages come and go: a copy of a root that begins fresh and is gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use suite::shell::{answer, outcome, said};
use tempfile::TempDir;

use crate::manager::Manager;
use crate::packages::{ALL, Build, Packages};

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the packages are seen.
const MEDIUM: &str = "/mnt";

/// Whoever is installed as the first part of this is a whole package to its manager.
const INSTALLED: &str = "install ok installed ";

/// Mounts end with the value.
#[derive(Debug)]
pub(crate) struct System<'a> {
    folder: TempDir,
    pub(crate) manager: Manager,
    packages: &'a Packages,
}

impl<'a> System<'a> {
    /// A fresh copy: what is written to it goes to memory.
    pub(crate) fn copy_of(lower: &Path, manager: Manager, packages: &'a Packages) -> Result<Self> {
        let system = Self { folder: tempfile::tempdir()?, manager, packages };
        let top = system.folder.path();
        mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs"], top)?;
        for name in ["upper", "work", "root"] {
            fs::create_dir(top.join(name))?;
        }
        let [lower, upper, work] =
            [lower, &top.join("upper"), &top.join("work")].map(|folder| folder.display().to_string());
        let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        mount(&["-t", "overlay", "-o", &layers, "overlay"], &system.path("/"))?;
        mount(&["-t", "proc", "proc"], &system.path("/proc"))?;
        mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs"], &system.path("/run"))?;
        // systemd's tools look for the group they run in; nothing writes there.
        mount(&["--rbind", "-o", "ro", "/sys"], &system.path("/sys"))?;
        for device in ["null", "zero", "full", "random", "urandom"] {
            let place = system.path(&format!("/dev/{device}"));
            if !place.exists() {
                fs::write(&place, "")?;
            }
            mount(&["--bind", &format!("/dev/{device}")], &place)?;
        }
        for (build, name) in [(Build::Release, "release"), (Build::Later, "later")] {
            let place = system.path(MEDIUM).join(name);
            fs::create_dir(&place)?;
            mount(&["--bind", &packages.folder(build).display().to_string()], &place)?;
        }
        Ok(system)
    }

    /// A path of the system, seen from here.
    pub(crate) fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join("root").join(inner.trim_start_matches('/'))
    }

    /// Whether something is there, if only a link to nowhere.
    pub(crate) fn has(&self, inner: &str) -> bool {
        self.path(inner).symlink_metadata().is_ok()
    }

    /// A file's text.
    pub(crate) fn text(&self, inner: &str) -> Result<String> {
        fs::read_to_string(self.path(inner)).with_context(|| inner.to_owned())
    }

    /// Writes a file as an admin would, mode 0644.
    pub(crate) fn write(&self, inner: &str, text: &str) -> Result<()> {
        fs::write(self.path(inner), text).with_context(|| inner.to_owned())
    }

    /// A command on the system, as root.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.folder.path().join("root")).args(words);
        command.env_clear().env("PATH", PATH).env("DEBIAN_FRONTEND", "noninteractive").current_dir("/");
        command
    }

    /// What it prints; anything but exit 0 is an error.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        answer(&mut self.command(words))
    }

    /// A line of shell; both of its outputs.
    pub(crate) fn sh(&self, line: &str) -> Result<String> {
        let output = outcome(&mut self.command(&["sh", "-c", line]))?;
        ensure!(output.status.success(), "{line}: {}\n{}", output.status, said(&output));
        Ok(said(&output))
    }

    /// Where the package lies, for whoever is on the system.
    pub(crate) fn file(&self, build: Build, name: &str) -> Result<String> {
        let folder = if build == Build::Release { "release" } else { "later" };
        Ok(format!("{MEDIUM}/{folder}/{}", self.packages.file(build, self.manager, name)?))
    }

    /// Installs packages of one build, or upgrades to them; everything that was said.
    pub(crate) fn install(&self, build: Build, names: &[&str]) -> Result<String> {
        let output = self.try_install(build, names)?;
        ensure!(output.status.success(), "{names:?}: {}\n{}", output.status, said(&output));
        Ok(said(&output))
    }

    /// The same where it may fail.
    pub(crate) fn try_install(&self, build: Build, names: &[&str]) -> Result<Output> {
        let files: Vec<String> = names.iter().map(|name| self.file(build, name)).collect::<Result<_>>()?;
        outcome(self.command(self.manager.install()).args(files))
    }

    /// Removes all packages; everything that was said.
    pub(crate) fn remove_all(&self) -> Result<String> {
        self.take_away(self.manager.remove())
    }

    /// Removes them with their config, as dpkg alone can.
    pub(crate) fn purge_all(&self) -> Result<String> {
        self.take_away(&["dpkg", "--purge"])
    }

    fn take_away(&self, words: &[&str]) -> Result<String> {
        let output = outcome(self.command(words).args(ALL))?;
        ensure!(output.status.success(), "{words:?}: {}\n{}", output.status, said(&output));
        Ok(said(&output))
    }

    /// What the manager says about a package.
    pub(crate) fn ask(&self, question: &[&str], name: &str) -> Result<String> {
        self.run(&[question, &[name]].concat())
    }

    /// The version of a package that is wholly installed.
    pub(crate) fn version(&self, name: &str) -> Result<Option<String>> {
        let output = outcome(self.command(self.manager.version()).arg(name))?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text.trim().strip_prefix(INSTALLED).map(str::to_owned))
    }

    /// A line of the users' list, of whatever source.
    pub(crate) fn user(&self, name: &str) -> Result<Option<String>> {
        let output = outcome(&mut self.command(&["getent", "passwd", name]))?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8(output.stdout)?.trim().to_owned())),
            Some(2) => Ok(None),
            _ => bail!("getent: {}", said(&output)),
        }
    }
}

impl Drop for System<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(self.folder.path()).status();
    }
}

fn mount(words: &[&str], place: &Path) -> Result<()> {
    answer(Command::new("mount").args(words).arg(place)).map(drop)
}
