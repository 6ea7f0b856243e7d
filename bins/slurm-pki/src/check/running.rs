//! What slurmctld runs with: `scontrol show config`.

use std::collections::HashMap;
use std::time::Duration;

use crate::{slurm_command, timed};

/// How long slurmctld is waited for, in all. Slurm's own default for a reply is 10 s, and a backup controller may be asked
/// after the first.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// More than any cluster's configuration.
const ROOM: usize = 256 * 1024;

/// The values of a running slurmctld, or why there are none.
#[derive(Debug)]
pub(crate) enum Running {
    /// As scontrol printed them, keys in lower case.
    Values(HashMap<String, Option<String>>),
    /// There is no scontrol to ask, or nobody wants it asked.
    NotAsked(String),
    /// It was asked, and had no answer.
    Failed(String),
}

/// The part of `limit` in which slurmctld is asked, half of it at most: the rest is for everything else.
pub(super) fn patience(limit: Duration) -> Duration {
    PATIENCE.min(limit / 2)
}

impl Running {
    /// Asks scontrol, as it is found through PATH, and waits for it for as long as `limit`.
    pub(crate) fn ask(limit: Duration) -> Self {
        let mut command = slurm_command::new("scontrol");
        let ended = match timed::run(command.args(["show", "config"]), limit, ROOM) {
            Ok(ended) => ended,
            Err(e) => return Self::NotAsked(format!("scontrol cannot be run: {e}")),
        };
        let said = String::from_utf8_lossy(ended.output.expose());
        if ended.succeeded() {
            return Self::Values(parse(&said));
        }
        let why = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
        Self::Failed(format!("scontrol show config {}: {}", ended.how(limit), why.trim()))
    }

    /// A value; `None` where there is none, or nobody could say.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.told(key)?
    }

    /// The same, but `Some(None)` where slurmctld says that it has none.
    pub(crate) fn told(&self, key: &str) -> Option<Option<&str>> {
        match self {
            Self::Values(values) => values.get(&key.to_ascii_lowercase()).map(Option::as_deref),
            Self::NotAsked(_) | Self::Failed(_) => None,
        }
    }
}

/// `Key = Value` lines; `(null)` is no value.
fn parse(text: &str) -> HashMap<String, Option<String>> {
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = Some(value.trim()).filter(|value| !value.is_empty() && *value != "(null)");
        Some((key.trim().to_ascii_lowercase(), value.map(str::to_owned)))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_scontrol_prints_them() {
        let text = "Configuration data as of 2026-01-02T03:04:05\nCertmgrType             = certmgr/script\n\
                    CertmgrParameters = a=/x,b=2\nTLSType                 = (null)\n\nSlurmctld(primary) at h1 is UP\n";
        let running = Running::Values(parse(text));
        assert_eq!(running.get("CertmgrType"), Some("certmgr/script"));
        assert_eq!(running.get("certmgrparameters"), Some("a=/x,b=2"));
        assert_eq!((running.told("TLSType"), running.told("DebugFlags")), (Some(None), None));
    }
}
