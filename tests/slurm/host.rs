//! A host: a name, a /run and an /etc/slurm of its own, on which daemons come and go as under systemd.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::{Lab, User};
use crate::shell::{answer, wait_until};

/// Where other hosts find the process to enter.
const PIDS: &str = "/hosts/.pids";

/// Stands for systemctl.
pub(crate) const SYSTEMCTL: &str = "/slurm-pki/systemctl";

/// Runs a command on a host: `on HOST COMMAND...`.
const ON: &str = "\
#!/bin/sh
set -eu
read -r pid < \"/hosts/.pids/$1\"
shift
exec nsenter --target \"$pid\" --uts --mount --pid --root --wd \"$@\"
";

/// Copies a file to a host: `to HOST FROM TO`.
const TO: &str = "\
#!/bin/sh
set -eu
umask 077
exec /slurm-pki/on \"$1\" sh -c 'cat > \"$1\"' sh \"$3\" < \"$2\"
";

/// What reaches hosts and starts daemons, once for all clusters.
pub(crate) fn tools(lab: &Lab) -> Result<()> {
    lab.script("/slurm-pki/on", ON)?;
    lab.script("/slurm-pki/to", TO)?;
    lab.script(SYSTEMCTL, include_str!("systemctl.sh"))?;
    Ok(fs::create_dir_all(lab.path(PIDS))?)
}

/// Ends, with every daemon on it, with the value.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    lab: &'a Lab,
    pub(crate) name: &'static str,
    first: Child,
    pid: u32,
    own_pids: bool,
}

impl<'a> Host<'a> {
    /// With processes of its own, so that nobody else's daemon is taken for its own.
    pub(crate) fn start(lab: &'a Lab, name: &'static str) -> Result<Self> {
        Self::with(lab, name, true)
    }

    /// The host of the admin: from it the others can be entered.
    pub(crate) fn start_head(lab: &'a Lab, name: &'static str) -> Result<Self> {
        Self::with(lab, name, false)
    }

    fn with(lab: &'a Lab, name: &'static str, own_pids: bool) -> Result<Self> {
        let mut command = lab.host(name, own_pids);
        let first = command.stdin(Stdio::null()).spawn().context("cannot start unshare")?;
        let mut host = Self { lab, name, pid: first.id(), first, own_pids };
        wait_until("a host is there", Duration::from_secs(30), || {
            if own_pids {
                let children = format!("/proc/{0}/task/{0}/children", host.first.id());
                let Some(pid) = fs::read_to_string(children)?.split_whitespace().next().map(str::parse)
                else {
                    return Ok(false);
                };
                host.pid = pid?;
            }
            let ready = host.enter().args(["test", "-e"]).arg(lab.path("/run/ready")).status()?;
            Ok(ready.success())
        })?;
        fs::write(lab.path(&format!("{PIDS}/{name}")), format!("{}\n", host.pid))?;
        Ok(host)
    }

    /// The ends of its daemons' logs.
    pub(crate) fn logs(&self) -> String {
        let tail = format!("tail -n 15 /var/log/slurm/*.{}.log", self.name);
        self.sh(&tail).unwrap_or_else(|failure| format!("{failure:#}"))
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.pid.to_string()).args(["--uts", "--mount"]);
        if self.own_pids {
            command.arg("--pid");
        }
        command.env_clear().current_dir("/").stderr(Stdio::piped());
        command
    }

    /// A command on it.
    pub(crate) fn command(&self, program: &str, user: User) -> Command {
        let inner = self.lab.command(program, user);
        let mut command = self.enter();
        command.arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// A line of shell on it, as root.
    pub(crate) fn sh(&self, line: &str) -> Result<String> {
        answer(self.command("sh", User::Root).args(["-c", line]))
    }

    /// Starts, stops, restarts or reloads a daemon.
    pub(crate) fn systemctl(&self, verb: &str, unit: &str) -> Result<()> {
        let done = answer(self.command(SYSTEMCTL, User::Root).args([verb, unit]));
        done.map(drop).with_context(|| format!("{verb} {unit} on {}", self.name))
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if !self.own_pids {
            // Whatever shares its mounts; there is no first process of theirs to end them with.
            let _ =
                self.sh("for u in /run/*.unit; do u=${u##*/}; /slurm-pki/systemctl stop ${u%.unit}; done");
        }
        let _ = self.first.kill();
        let _ = self.first.wait();
    }
}
