//! Whether this host's Slurm has the plugins that the new lines name: distributions build it without s2n.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::advice::Advice;
use crate::slurm_conf::SlurmConf;
use crate::slurm_plugins::{self, CERTGEN, CERTMGR, TLS};
use crate::{slurm_command, timed};

/// Longer than MessageTimeout; the answer is short.
const PATIENCE: Duration = Duration::from_secs(15);
const ROOM: usize = 256 * 1024;

/// Whether it is worth asking: a command that waits for a slurmctld that is down waits for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slurmctld {
    /// Nothing has to stand still.
    MayBeUp,
    /// Seen just now.
    IsDown,
}

impl Slurmctld {
    /// By whether anything may run.
    pub(super) fn that(may_run: bool) -> Self {
        if may_run { Self::MayBeUp } else { Self::IsDown }
    }
}

/// Looks for the plugins where Slurm will; where another host may have them.
///
/// # Errors
/// When one is not there; with where it was looked for.
pub(super) fn must_be_there(
    slurm: Option<&SlurmConf>,
    slurmctld: Slurmctld,
    with_certmgr: bool,
) -> anyhow::Result<Vec<PathBuf>> {
    let wanted = [TLS, CERTGEN].into_iter().chain(with_certmgr.then_some(CERTMGR));
    let named = named(slurm, slurmctld);
    must_be_in(
        &folders(named.as_deref()),
        wanted,
        "build Slurm 25.05.1 or later where s2n-tls is installed (Debian's is built without it)",
    )?;
    Ok(match named {
        Some(_) => folders(named.as_deref()),
        None => slurm_plugins::usual(Path::to_owned),
    })
}

/// The same for others; `fix` says how Slurm comes to have them.
///
/// # Errors
/// When one is not there; with where it was looked for.
pub(super) fn all_must_be_there(
    slurm: Option<&SlurmConf>,
    slurmctld: Slurmctld,
    wanted: impl IntoIterator<Item = &'static str>,
    fix: &str,
) -> anyhow::Result<()> {
    must_be_in(&folders(named(slurm, slurmctld).as_deref()), wanted, fix)
}

fn must_be_in(
    folders: &[PathBuf],
    wanted: impl IntoIterator<Item = &'static str>,
    fix: &str,
) -> anyhow::Result<()> {
    let missing = |name: &&str| !folders.iter().any(|folder| folder.join(name).is_file());
    match wanted.into_iter().find(missing) {
        None => Ok(()),
        Some(name) => {
            let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            Err(Advice::new(
                format!("this host's Slurm has no {name}: looked in {}", looked.join(", ")),
                format!(
                    "{fix}; where the plugins lie elsewhere, set PluginDir in slurm.conf; --offline edits the files \
                     without this check"
                ),
            )
            .into())
        }
    }
}

/// slurm.conf's PluginDir, or the running slurmctld's.
fn named(slurm: Option<&SlurmConf>, slurmctld: Slurmctld) -> Option<String> {
    let in_use = || if slurmctld == Slurmctld::MayBeUp { shown_by_scontrol() } else { None };
    slurm.and_then(|slurm| slurm.get("PluginDir")).map(str::to_owned).or_else(in_use)
}

/// The named ones, or the first usual folder with plugins in it; all usual folders when there is none.
fn folders(named: Option<&str>) -> Vec<PathBuf> {
    match slurm_plugins::folders(named, Path::to_owned) {
        none if none.is_empty() => slurm_plugins::usual(Path::to_owned),
        folders => folders,
    }
}

/// It answers only while slurmctld does.
fn shown_by_scontrol() -> Option<String> {
    let ended = timed::run(slurm_command::new("scontrol").args(["show", "config"]), PATIENCE, ROOM).ok()?;
    let output = String::from_utf8_lossy(ended.output.expose()).into_owned();
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "PluginDir").then(|| value.trim().to_owned())
    };
    output.lines().filter(|_| ended.succeeded()).find_map(value)
}
