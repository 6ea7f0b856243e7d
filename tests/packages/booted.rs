//! A system that has booted: systemd itself is its first process, in namespaces and a control group of its own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use suite::shell::{answer, outcome, said, wait_until};

use tempfile::TempDir;

use crate::packages::{ALL, Build};
use crate::system::System;

/// For a machine that has other things to do as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Its name.
pub(crate) const NAME: &str = "head";

/// What its first process is before it is systemd. It tells its pid in the names outside, and waits until it is in its control
/// group, which is the top of what it sees then.
const BOOT: &str = "set -e; echo \"$1\" > /proc/sys/kernel/hostname; ip link set lo up; ip address add 127.0.0.2/8 dev lo; \
    mount -t proc proc \"$2/proc\"; umount --recursive \"$2/sys/fs/cgroup\" || :; mount -t cgroup2 cgroup2 \"$2/sys/fs/cgroup\"; : > \"$2/run/ready\"; \
    exec chroot \"$2\" env -i container=suite /usr/lib/systemd/systemd --unit=basic.target --log-target=null --show-status=no";

/// Ends, with everything that runs on it, with the value.
#[derive(Debug)]
pub(crate) struct Booted<'a> {
    system: System<'a>,
    first: Child,
    /// systemd's.
    pid: u32,
    group: Group,
}

impl<'a> Booted<'a> {
    /// Boots a system and waits until systemd answers.
    pub(crate) fn start(system: System<'a>) -> Result<Self> {
        system.write("/etc/hosts", &format!("127.0.0.1 localhost\n127.0.0.1 {NAME}\n"))?;
        system.write("/etc/hostname", &format!("{NAME}\n"))?;
        // What Debian's packages enabled is not of interest here, and takes long.
        system.sh(
            "rm -rf /etc/systemd/system/*.wants; : > /etc/machine-id; mkdir -p /dev/shm; chmod 1777 /dev/shm",
        )?;
        let group = Group::new()?;
        let mut unshare = Command::new("sh");
        // Into the group first: the new namespace's top is where its first process is.
        let enter = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";
        unshare
            .args(["-c", enter, "sh"])
            .arg(&group.folder)
            .args(["unshare", "--mount", "--pid", "--net", "--uts", "--ipc"]);
        unshare.args([
            "--cgroup",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "sh",
            "-c",
            BOOT,
            "sh",
            NAME,
        ]);
        unshare.arg(system.path("/")).stdin(Stdio::null()).stdout(Stdio::null());
        let first = unshare.process_group(0).spawn().context("cannot start unshare")?;
        let mut booted = Self { system, pid: 0, first, group };
        wait_until("systemd runs", PATIENCE, || {
            let ended = booted.first.try_wait()?;
            ensure!(ended.is_none(), "the system did not boot: {ended:?}");
            booted.pid = booted.child()?;
            Ok(booted.pid > 0 && booted.is_up()?)
        })?;
        Ok(booted)
    }

    fn child(&self) -> Result<u32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.first.id()))?;
        Ok(children.split_whitespace().next().map(str::parse).transpose()?.unwrap_or_default())
    }

    fn is_up(&self) -> Result<bool> {
        let state = outcome(&mut self.command(&["systemctl", "is-system-running"]))?;
        Ok(["running", "degraded"].contains(&String::from_utf8_lossy(&state.stdout).trim()))
    }

    /// Installs packages of one build while it runs, or upgrades to them.
    pub(crate) fn install(&self, build: Build, names: &[&str]) -> Result<()> {
        let files: Vec<String> =
            names.iter().map(|name| self.system.file(build, name)).collect::<Result<_>>()?;
        self.sh(&format!("{} {}", self.system.manager.install().join(" "), files.join(" "))).map(drop)
    }

    /// Removes all packages while it runs.
    pub(crate) fn remove_all(&self) -> Result<()> {
        self.sh(&format!("{} {}", self.system.manager.remove().join(" "), ALL.join(" "))).map(drop)
    }

    /// A command on it, as root.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let inner = self.system.command(words);
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.pid.to_string());
        command.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]);
        command
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// A line of shell and its end, whatever that is.
    pub(crate) fn outcome(&self, line: &str) -> Result<Output> {
        outcome(&mut self.command(&["sh", "-c", line]))
    }

    /// A line of shell; both of its outputs.
    pub(crate) fn sh(&self, line: &str) -> Result<String> {
        let output = self.outcome(line)?;
        ensure!(output.status.success(), "{line}: {}\n{}", output.status, said(&output));
        Ok(said(&output))
    }

    /// What systemd knows of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> Result<String> {
        let show = ["systemctl", "show", "--value", "--property", name, unit];
        Ok(answer(&mut self.command(&show))?.trim().to_owned())
    }
}

impl Drop for Booted<'_> {
    fn drop(&mut self) {
        let _ = self.first.kill();
        let _ = self.first.wait();
        self.group.remove();
    }
}

/// A control group, seen through a mount of our own: this machine may show its groups in the older form.
#[derive(Debug)]
struct Group {
    top: TempDir,
    folder: PathBuf,
}

impl Group {
    fn new() -> Result<Self> {
        let top = tempfile::tempdir()?;
        answer(Command::new("mount").args(["-t", "cgroup2", "cgroup2"]).arg(top.path()))?;
        let folder = top.path().join(top.path().file_name().context("a folder has a name")?);
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { top, folder })
    }

    /// From the deepest one up; what still has a process in it stays a moment longer than we do.
    fn remove(&self) {
        let mut find = Command::new("find");
        find.arg(&self.folder).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
        let _ = wait_until("the group is empty", Duration::from_secs(10), || {
            let _ = outcome(&mut find)?;
            Ok(!self.folder.exists())
        });
        let _ = Command::new("umount").arg("--lazy").arg(self.top.path()).status();
    }
}
