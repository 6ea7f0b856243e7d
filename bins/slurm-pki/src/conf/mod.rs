//! `slurm-pki conf`: what Slurm's own config files have to say.

mod lines;
mod show;

use clap::{Args, Subcommand};

use crate::global::Global;

/// Slurm's own config files
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    slurm-pki conf show\n  \
    slurm-pki conf show --static")]
pub(crate) struct Conf {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Show),
}

impl Conf {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match &self.command {
            Command::Show(show) => show.run(global),
        }
    }
}
