//! `conf enable --node` and `conf disable --node`: the options of slurmd and sackd on this host; `--restd`: slurmrestd's.

use std::path::{Path, PathBuf};

use clap::Args;

use super::authentication::{RESTD_DROP_IN, RESTD_LINE};
use super::editing::{self, Editing};
use super::lines::Lines;
use super::shell::{SACKD_OPTIONS, SLURMD_OPTIONS};
use super::subject::Subject;
use super::turning::{ALL_STOPPED, Turning, difference};
use super::wish::Wish;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;

/// Where units look: Debian's place, then that of EL.
const SLURMD: [&str; 2] = ["/etc/default/slurmd", "/etc/sysconfig/slurmd"];
const RESTD: [&str; 2] = ["/etc/default/slurmrestd", "/etc/sysconfig/slurmrestd"];
const SACKD: [&str; 2] = ["/etc/default/sackd", "/etc/sysconfig/sackd"];

/// When slurmrestd's prepared file is put in place.
const WHEN_RESTD: &str = "When it is to count";

/// Which files of options.
#[derive(Args, Debug)]
pub(super) struct OptionFiles {
    /// This node's options instead: --ca-cert-file in SLURMD_OPTIONS and SACKD_OPTIONS
    #[arg(long)]
    pub(super) node: bool,
    /// slurmd's file of options; else /etc/default/slurmd or /etc/sysconfig/slurmd
    #[arg(long, value_name = "FILE", requires = "node")]
    slurmd_file: Option<PathBuf>,
    /// sackd's file of options; else /etc/default/sackd or /etc/sysconfig/sackd
    #[arg(long, value_name = "FILE", requires = "node")]
    sackd_file: Option<PathBuf>,
    /// slurmrestd's environment on this host instead: SLURM_JWT=daemon
    #[arg(long, requires = "jwt", conflicts_with = "node")]
    pub(super) restd: bool,
    /// slurmrestd's file of options; else /etc/default/slurmrestd or /etc/sysconfig/slurmrestd
    #[arg(long, value_name = "FILE", requires = "restd")]
    restd_file: Option<PathBuf>,
}

impl OptionFiles {
    /// Puts the options in.
    ///
    /// # Errors
    /// When there is no file, or it cannot be changed.
    pub(super) fn enable(&self, global: &Global, lines: &Lines, prepare: bool) -> anyhow::Result<()> {
        let mut changes = Vec::new();
        let mut by_hand = Vec::new();
        for (path, variable) in self.files()? {
            let option = if variable == SACKD_OPTIONS { &lines.sackd_options } else { &lines.slurmd_options };
            let environment = lines.environment.as_deref().and_then(|line| line.split_once('='));
            let environment =
                environment.map(|(_, value)| Wish::Is(site::config::VARIABLE, value.to_owned()));
            let mut editing = Editing::options(&path)?;
            by_hand.push(format!("# {}", path.display()));
            for wish in [Wish::ca_option(variable, option)].into_iter().chain(environment) {
                let value = wish.value(&editing.value(wish.key()).unwrap_or_default());
                by_hand.push(format!("{}=\"{value}\"", wish.key()));
                editing.grant(&wish)?;
            }
            changes.extend(editing.changes()?);
        }
        let question = "Change the options of this host's daemons?";
        if (Turning { global, changes, prepare, when: ALL_STOPPED, by_hand, question })
            .carry_out(|| Ok(()))?
        {
            report::line(
                "They count from the next start of slurmd and sackd on. Check: systemctl cat slurmd must name",
            );
            report::line("this file in EnvironmentFile and $SLURMD_OPTIONS in ExecStart.");
        }
        Ok(())
    }

    /// Takes them out again.
    ///
    /// # Errors
    /// When there is no file, or it cannot be changed.
    pub(super) fn disable(&self, global: &Global, prepare: bool, everything: bool) -> anyhow::Result<()> {
        let files = self.files()?.into_iter().map(|(path, _)| Editing::options(&path));
        let changes =
            editing::disabled(&mut files.collect::<anyhow::Result<Vec<_>>>()?, Subject::Tls, everything)?;
        let by_hand = difference(&changes);
        let question = "Take the options of this host's daemons back?";
        Turning { global, changes, prepare, when: ALL_STOPPED, by_hand, question }
            .carry_out(|| Ok(()))
            .map(drop)
    }

    /// Puts SLURM_JWT=daemon in.
    ///
    /// # Errors
    /// When there is no file, or it cannot be changed.
    pub(super) fn enable_restd(&self, global: &Global, prepare: bool) -> anyhow::Result<()> {
        let path = self.restd_file()?;
        let mut editing = Editing::options(&path)?;
        let wish = Wish::restd();
        let by_hand = vec![format!("# {}", path.display()), RESTD_LINE.to_owned()];
        editing.grant(&wish)?;
        let changes = editing.changes()?;
        let question = "Change the environment of this host's slurmrestd?";
        if (Turning { global, changes, prepare, when: WHEN_RESTD, by_hand, question }).carry_out(|| Ok(()))? {
            report::line(
                "It counts from the next start on: systemctl restart slurmrestd. Check: systemctl cat slurmrestd",
            );
            report::line("must name this file in EnvironmentFile.");
        }
        Ok(())
    }

    /// Takes it out again.
    ///
    /// # Errors
    /// When there is no file, or it cannot be changed.
    pub(super) fn disable_restd(
        &self,
        global: &Global,
        prepare: bool,
        everything: bool,
    ) -> anyhow::Result<()> {
        let path = self.restd_file()?;
        let changes = editing::disabled(&mut [Editing::options(&path)?], Subject::Jwt, everything)?;
        let by_hand = difference(&changes);
        let question = "Take the environment of this host's slurmrestd back?";
        Turning { global, changes, prepare, when: WHEN_RESTD, by_hand, question }
            .carry_out(|| Ok(()))
            .map(drop)
    }

    /// The named one, else the one that is here.
    fn restd_file(&self) -> anyhow::Result<PathBuf> {
        let here = || RESTD.into_iter().map(PathBuf::from).find(|path| path.exists());
        self.restd_file.clone().or_else(here).ok_or_else(|| {
            Advice::new(
                format!("there is no file of options here: neither {}", RESTD.join(" nor ")),
                format!(
                    "make the one that the unit reads (systemctl cat slurmrestd: EnvironmentFile), empty, and run this \
                     again; or name it: --restd-file FILE; or write a drop-in: {RESTD_DROP_IN}"
                ),
            )
            .into()
        })
    }

    /// The named ones, else those that are here.
    fn files(&self) -> anyhow::Result<Vec<(PathBuf, &'static str)>> {
        let named = [(&self.slurmd_file, SLURMD_OPTIONS), (&self.sackd_file, SACKD_OPTIONS)];
        let named: Vec<_> =
            named.into_iter().filter_map(|(path, variable)| Some((path.clone()?, variable))).collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let here = |places: [&str; 2], variable| {
            let found = places.into_iter().map(PathBuf::from).find(|path| Path::exists(path));
            found.map(|path| (path, variable))
        };
        let found: Vec<_> =
            [here(SLURMD, SLURMD_OPTIONS), here(SACKD, SACKD_OPTIONS)].into_iter().flatten().collect();
        if found.is_empty() {
            return Err(Advice::new(
                format!("there is no file of options here: neither {} nor {}", SLURMD.join(" nor "), SACKD.join(" nor ")),
                "make the one that the unit reads (systemctl cat slurmd: EnvironmentFile), empty, and run this again; or \
                 name it: --slurmd-file FILE",
            )
            .into());
        }
        Ok(found)
    }
}
