//! One of Slurm's daemons, on a host of its own.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, User};
use crate::log::Log;

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    /// What it has written since it was started.
    pub(crate) log: Log,
}

impl Daemon {
    /// Starts it in the foreground; its log is a file that several lives of it share.
    pub(crate) fn start(lab: &Lab, host: &str, program: &str, user: User, options: &[&str]) -> Result<Self> {
        Self::start_with(lab, host, program, user, options, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn start_with(
        lab: &Lab,
        host: &str,
        program: &str,
        user: User,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let path = lab.path(&format!("/var/log/slurm/{program}.{host}.log"));
        let log = Log::of(path.clone()).later();
        let file = File::options().create(true).append(true).open(path)?;
        let mut command = lab.daemon(host, program, user);
        command.arg("-D").args(options).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child, log })
    }

    /// A command on the same host: its name and /run are seen.
    pub(crate) fn beside(&self, inner: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.child.id().to_string()).args(["--uts", "--mount"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.env_clear().current_dir("/");
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its end, if it has come.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to go, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
