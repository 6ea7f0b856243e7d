//! A cluster of real daemons.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::conf::{Conf, SLURMD_PORTS};
use crate::daemon::Daemon;
use crate::lab::{Lab, MTLS, User};
use crate::log::Log;
use crate::shell::{answer, outcome, said, wait_until};

/// For what takes seconds on a machine that has nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// slurmctld, perhaps a second one, and slurmd's; all end with the value.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    /// Where it runs.
    pub(crate) lab: &'a Lab,
    mtls_flag: bool,
    /// On ctl1.
    pub(crate) primary: Option<Daemon>,
    /// On ctl2.
    pub(crate) backup: Option<Daemon>,
    /// slurmd, one per host.
    pub(crate) nodes: BTreeMap<String, Daemon>,
}

impl<'a> Cluster<'a> {
    /// Starts the controllers with an empty state, and waits until they answer.
    pub(crate) fn up(lab: &'a Lab, conf: &Conf) -> Result<Self> {
        conf.write(lab)?;
        let mut cluster = Self::up_on_what_is_there(lab, conf.mtls_flag)?;
        if conf.backup {
            cluster.backup = Some(Daemon::start(lab, "ctl2", "slurmctld", User::Root, &[])?);
            cluster.wait_for("ctl2 is UP")?;
        }
        Ok(cluster)
    }

    /// The same on the slurm.conf that is there, without a second controller.
    pub(crate) fn up_on_what_is_there(lab: &'a Lab, mtls_flag: bool) -> Result<Self> {
        lab.folder("/var/lib/slurm-state", User::Slurm)?;
        let mut cluster = Self { lab, mtls_flag, primary: None, backup: None, nodes: BTreeMap::new() };
        cluster.start_primary()?;
        Ok(cluster)
    }

    /// Starts slurmctld on ctl1 on the state that is there.
    pub(crate) fn start_primary(&mut self) -> Result<()> {
        let preload: &[_] = if self.mtls_flag { &[("LD_PRELOAD", MTLS)] } else { &[] };
        self.primary = Some(Daemon::start_with(self.lab, "ctl1", "slurmctld", User::Root, &[], preload)?);
        self.wait_for("ctl1 is UP")
    }

    fn wait_for(&mut self, line: &str) -> Result<()> {
        let mut last = String::new();
        wait_until(line, PATIENCE, || {
            let ended = self.primary.as_mut().map(Daemon::ended).transpose()?.flatten();
            if let Some(status) = ended {
                bail!("slurmctld ended with {status}:\n{}", self.primary()?.log.text());
            }
            let mut ping = self.on_ctl1(&mut self.lab.slurm("scontrol", User::Root), &["ping"])?;
            last = said(&outcome(&mut ping)?);
            Ok(last.contains(line))
        })
        .with_context(|| self.primary().map_or_else(|_| String::new(), |primary| primary.log.text()))
        .with_context(|| format!("scontrol ping said: {}", last.trim()))
    }

    /// slurmctld on ctl1.
    pub(crate) fn primary(&self) -> Result<&Daemon> {
        self.primary.as_ref().context("slurmctld on ctl1 is not running")
    }

    /// The same log from now on.
    pub(crate) fn log_from_now(&self) -> Result<Log> {
        Ok(self.primary()?.log.later())
    }

    fn on_ctl1(&self, command: &mut Command, arguments: &[&str]) -> Result<Command> {
        let beside = self.primary()?.beside(command);
        let mut command = Command::new("timeout");
        command.arg(PATIENCE.as_secs().to_string()).arg(beside.get_program()).args(beside.get_args());
        command.env_clear().current_dir("/").args(arguments);
        command.envs(beside.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(command)
    }

    /// One of Slurm's commands on ctl1, as root.
    pub(crate) fn slurm(&self, program: &str, arguments: &[&str]) -> Result<String> {
        answer(&mut self.on_ctl1(&mut self.lab.slurm(program, User::Root), arguments)?)
    }

    /// The same as somebody without rights.
    pub(crate) fn slurm_for_anybody(&self, program: &str, arguments: &[&str]) -> Result<String> {
        answer(&mut self.on_ctl1(&mut self.lab.slurm(program, User::Ordinary), arguments)?)
    }

    /// scontrol with its command on stdin, where nobody else can read it.
    pub(crate) fn scontrol_reads(&self, line: &str) -> Result<()> {
        let mut scontrol = self.on_ctl1(&mut self.lab.slurm("scontrol", User::Root), &[])?;
        let mut child =
            scontrol.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("stdin is a pipe")?.write_all(format!("{line}\nexit\n").as_bytes())?;
        let output = child.wait_with_output()?;
        let said = said(&output);
        ensure!(output.status.success() && !said.contains("rror"), "scontrol: {said}");
        Ok(())
    }

    /// slurm-pki on ctl1, as root.
    pub(crate) fn slurm_pki(&self, arguments: &[&str]) -> Result<String> {
        let mut slurm_pki = self.lab.command("/slurm-pki/bin/slurm-pki", User::Root);
        answer(&mut self.on_ctl1(&mut slurm_pki, arguments)?)
    }

    /// The same where the exit code is a part of the answer.
    pub(crate) fn slurm_pki_outcome(&self, arguments: &[&str]) -> Result<Output> {
        let mut slurm_pki = self.lab.command("/slurm-pki/bin/slurm-pki", User::Root);
        outcome(&mut self.on_ctl1(&mut slurm_pki, arguments)?)
    }

    /// What slurmctld says of a node.
    pub(crate) fn node(&self, name: &str) -> Result<String> {
        self.slurm("scontrol", &["show", "node", name])
    }

    /// slurmd on this host.
    pub(crate) fn slurmd(&self, name: &str) -> Result<&Daemon> {
        self.nodes.get(name).with_context(|| format!("slurmd on {name} is not running"))
    }

    /// Starts slurmd on the hosts of these names and waits until they are idle. One that was stopped a moment ago is
    /// still said to be, so that the new one has to listen too, which it does once it has a certificate.
    pub(crate) fn start_nodes(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            fs::create_dir_all(self.lab.path(&format!("/var/spool/slurmd-{name}")))?;
            let slurmd = Daemon::start(self.lab, name, "slurmd", User::Root, &[])?;
            self.nodes.insert((*name).to_owned(), slurmd);
        }
        wait_until("slurmd's are idle", PATIENCE, || {
            for (name, slurmd) in &mut self.nodes {
                if let Some(status) = slurmd.ended()? {
                    bail!("slurmd on {name} ended with {status}");
                }
            }
            let sinfo = &["--noheader", "--Node", "--states=idle", "--format=%N"];
            let idle = said(&outcome(&mut self.on_ctl1(&mut self.lab.slurm("sinfo", User::Root), sinfo)?)?);
            let is_idle = |name: &str| idle.lines().any(|line| line.trim() == name);
            Ok(names.iter().all(|name| is_idle(name) && listens(name)))
        })
        .with_context(|| self.nodes.values().map(|node| node.log.text()).collect::<Vec<_>>().join("\n"))
    }
}

/// Whether somebody is at a node's port; every host of the suite is on this loopback.
fn listens(node: &str) -> bool {
    SLURMD_PORTS.iter().any(|(name, address)| *name == node && TcpStream::connect(address).is_ok())
}
