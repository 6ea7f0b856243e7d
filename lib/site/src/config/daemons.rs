//! `[daemons.*]`: the certificates of Slurm's own daemons.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigFile, ControllerConfig, Window};
use crate::error::{Error, quoted};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A daemon that loads a certificate from a file (slurm-contract.md 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Daemon {
    /// slurmctld.
    Ctld,
    /// slurmdbd.
    Dbd,
    /// slurmrestd.
    Restd,
    /// sackd, with a static pair.
    Sackd,
    /// slurmd, with a static pair.
    Slurmd,
}

impl Daemon {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ctld, Self::Dbd, Self::Restd, Self::Sackd, Self::Slurmd];

    /// Slurm's short name: the section of the config, the beginning of its file names.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Ctld => "ctld",
            Self::Dbd => "dbd",
            Self::Restd => "restd",
            Self::Sackd => "sackd",
            Self::Slurmd => "slurmd",
        }
    }

    /// The program's name: the common name of its certificate, static pairs excepted.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Ctld => "slurmctld",
            Self::Dbd => "slurmdbd",
            Self::Restd => "slurmrestd",
            Self::Sackd => "sackd",
            Self::Slurmd => "slurmd",
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// `[daemons.X]`, with its defaults filled in.
#[derive(Clone, Debug)]
pub struct DaemonConfig {
    /// Certificate file, where Slurm looks for it.
    pub cert: PathBuf,
    /// Key file, where Slurm looks for it.
    pub key: PathBuf,
    /// Owner of the files; `None`: SlurmUser (root for slurmd).
    pub owner: Option<String>,
    /// Life of a certificate.
    pub validity: Duration,
    /// Fraction of the life after which it is renewed.
    pub renew_at: f64,
    /// Whether a renewal restarts the daemon.
    pub activate: bool,
    /// How the daemon is restarted.
    pub command: Vec<String>,
    /// Where it answers over TLS.
    pub probe: Option<String>,
    /// How long `command` may take, and after it the daemon until it answers.
    pub wait: Duration,
    /// When it may be restarted; `None`: at any time.
    pub window: Option<Window>,
    /// Whether the config has a section for it at all.
    pub configured: bool,
    /// Whether that section only says how the daemon is restarted, and nothing of a pair.
    pub only_restart: bool,
}

/// What counts at every restart, whether the daemon has a pair of files or not.
const OF_RESTARTS: [&str; 3] = ["command", "wait", "probe"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    cert: String,
    key: String,
    owner: String,
    validity: String,
    renew_at: f64,
    activate: bool,
    command: Vec<String>,
    probe: String,
    wait: String,
    window: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            cert: String::new(),
            key: String::new(),
            owner: String::new(),
            validity: "365d".into(),
            renew_at: 0.66,
            activate: false,
            command: Vec::new(),
            probe: String::new(),
            wait: "90s".into(),
            window: String::new(),
        }
    }
}

impl DaemonConfig {
    /// Gives `[daemons.X]` its meaning. File names are Slurm's own, in the folder of `ca_cert`.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile, controller: &ControllerConfig, daemon: Daemon) -> Result<Self, Error> {
        let section = config.subsection("daemons", daemon.short())?;
        let configured = section.is_some();
        let only_restart = section.as_ref().and_then(toml::Value::as_table).is_some_and(|table| {
            !table.is_empty() && table.keys().all(|key| OF_RESTARTS.contains(&key.as_str()))
        });
        let keys: Keys = match section {
            Some(table) => config.read(table, &format!("daemons.{}", daemon.short()))?,
            None => Keys::default(),
        };
        let folder = controller.ca_cert.parent().unwrap_or(Path::new("/etc/slurm"));
        let file = |key: &str, given: &str, ending: &str| match given {
            "" => Ok(folder.join(format!("{}_{ending}.pem", daemon.short()))),
            path => config.absolute(key, path),
        };
        if !(0.1..=0.95).contains(&keys.renew_at) {
            return Err(config.refuse(format!("renew_at = {} is not between 0.1 and 0.95", keys.renew_at)));
        }
        let window = super::given(keys.window).map(|text| {
            Window::parse(&text).map_err(|why| config.refuse(format!("window = {} {why}", quoted(&text))))
        });
        let window = window.transpose()?;
        Ok(Self {
            cert: file("cert", &keys.cert, "cert")?,
            key: file("key", &keys.key, "cert_key")?,
            owner: super::given(keys.owner),
            validity: config.span("validity", &keys.validity, Duration::from_secs(60), 36_500 * DAY)?,
            renew_at: keys.renew_at,
            activate: keys.activate,
            command: keys.command,
            probe: super::given(keys.probe),
            wait: config.span("wait", &keys.wait, Duration::from_secs(1), Duration::from_secs(3600))?,
            window,
            configured,
            only_restart,
        })
    }
}
