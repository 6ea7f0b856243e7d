//! The words by which daemons are told to reload, and a step is run: from the config, so that a site without systemd, or
//! with Slurm in containers, has its own.

use std::time::Duration;

use site::config::{Daemon, DaemonConfig, KeysConfig};

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::fleet::{quoted, shown};
use crate::members::Role;
use crate::{slurm_command, timed};

/// As much of a command's output as is looked at.
const ROOM: usize = 256 * 1024;

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    /// `[keys] reload_ctld`: runs on this host.
    pub(super) ctld: Vec<String>,
    slurmd: Vec<String>,
    sackd: Vec<String>,
    /// `[keys] step`.
    pub(super) step: Vec<String>,
    restart: Vec<(Role, Vec<String>, Duration)>,
}

impl Commands {
    /// As the config has them.
    ///
    /// # Errors
    /// When it has no meaning.
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let keys = KeysConfig::read(&admin.config).advise()?;
        let mut restart = Vec::new();
        for (role, daemon) in [
            (Role::Ctld, Daemon::Ctld),
            (Role::Dbd, Daemon::Dbd),
            (Role::Restd, Daemon::Restd),
            (Role::Sackd, Daemon::Sackd),
            (Role::Slurmd, Daemon::Slurmd),
        ] {
            let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
            let usual = || ["systemctl", "restart", daemon.program()].map(str::to_owned).to_vec();
            let words = if config.command.is_empty() { usual() } else { config.command };
            restart.push((role, words, config.wait));
        }
        let (ctld, slurmd, sackd) = (keys.reload_ctld, keys.reload_slurmd, keys.reload_sackd);
        Ok(Self { ctld, slurmd, sackd, step: keys.step, restart })
    }

    /// How long a daemon may take until it is there again: `[daemons.X] wait`.
    pub(super) fn wait(&self, role: Role) -> Duration {
        let found = self.restart.iter().find(|(of, _, _)| *of == role);
        found.map_or(Duration::from_secs(90), |(_, _, wait)| *wait)
    }

    /// What runs on a daemon's own host, as shell: sackd and slurmd reload, the others restart.
    pub(super) fn there(&self, role: Role, name: &str) -> String {
        let words = match role {
            Role::Slurmd => &self.slurmd,
            Role::Sackd => &self.sackd,
            _ => match self.restart.iter().find(|(of, _, _)| *of == role) {
                Some((_, words, _)) => words,
                None => return "false".into(),
            },
        };
        filled(words, &[("%n", name), ("%h", name)])
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Words with their places filled: no word becomes two.
pub(super) fn filled(words: &[String], places: &[(&str, &str)]) -> Vec<String> {
    let fill =
        |word: &String| places.iter().fold(word.clone(), |word, (place, with)| word.replace(place, with));
    words.iter().map(fill).collect()
}

/// How a command of this host ended, and what it said.
pub(super) struct Ran {
    /// Nothing when its exit code is 0; else how it ended.
    pub(super) failed: Option<String>,
    /// Whether it was ended when its time was over.
    pub(super) over: bool,
    /// All that it said.
    pub(super) said: String,
}

/// Runs a command of Slurm's on this host, for `limit` at most. Times are told in seconds since 1970, or at least in UTC.
///
/// # Errors
/// When it cannot be started.
pub(super) fn run(words: &[String], limit: Duration) -> Result<Ran, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("a command has no words".into()) };
    let mut command = slurm_command::new(program);
    command.args(arguments).env("SLURM_TIME_FORMAT", "%s").env("TZ", "UTC0");
    let ended = timed::run(&mut command, limit, ROOM).map_err(|e| format!("{program} cannot be run: {e}"))?;
    let said = String::from_utf8_lossy(ended.output.expose()).into_owned();
    let how = || match shown(&said) {
        last if last.is_empty() => format!("{} {}", words.join(" "), ended.how(limit)),
        last => format!("{} {}: {last}", words.join(" "), ended.how(limit)),
    };
    let failed = (!ended.succeeded()).then(how);
    Ok(Ran { failed, over: ended.status.is_none(), said })
}
