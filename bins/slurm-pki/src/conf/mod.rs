//! `slurm-pki conf`: what Slurm's own config files have to say.

mod auth_slurm;
mod authentication;
mod block;
mod change;
mod disable;
mod document;
mod editing;
mod enable;
mod held;
mod jwt;
mod lines;
mod options;
mod plan;
mod plugin;
mod reach;
mod ready;
mod restarts;
mod shell;
mod show;
mod still;
mod subject;
mod turning;
mod warnings;
mod wish;

use clap::{Args, Subcommand};

use crate::check::{Check, OfConf};
use crate::exit::Exit;
use crate::global::Global;

/// Slurm's own config files
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    slurm-pki conf show\n  \
    slurm-pki conf show --static\n  \
    slurm-pki conf enable --dry-run\n  \
    slurm-pki conf enable --jwt --dry-run\n  \
    slurm-pki conf enable --auth-slurm --dry-run\n  \
    slurm-pki conf disable\n  \
    slurm-pki conf check")]
pub(crate) struct Conf {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Show),
    Enable(enable::Enable),
    Disable(disable::Disable),
    /// Look for what is wrong in slurm.conf and slurmdbd.conf: the conf part of slurm-pki check
    #[command(
        after_help = "Nothing in these files is changed; as with other commands, a renewal of a daemon's pair that was \
        killed half way is ended first, which is said on stderr.\n\n\
        Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown, or wrong usage.\n\n\
        Examples:\n  \
        slurm-pki conf check\n  \
        slurm-pki conf check --skip tls-off\n  \
        slurm-pki conf check --json | jq -r '.data.findings[].code'"
    )]
    Check(OfConf),
}

impl Conf {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        match &self.command {
            Command::Show(show) => show.run(global).map(|()| Exit::DONE),
            Command::Enable(enable) => enable.run(global).map(|()| Exit::DONE),
            Command::Disable(disable) => disable.run(global).map(|()| Exit::DONE),
            Command::Check(options) => Check::of_conf(options).run(global),
        }
    }
}
