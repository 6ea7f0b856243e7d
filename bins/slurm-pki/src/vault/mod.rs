//! `slurm-pki vault`: Vault or OpenBao made ready for Slurm, and looked at.

mod check;
mod commands;
mod copy;
pub(crate) mod life;
pub(crate) mod names;
pub(crate) mod policies;
mod renew;
pub(crate) mod role;
mod setup;

use clap::Subcommand;

use crate::exit::Exit;
use crate::global::Global;

/// Keep the CA key and the records in Vault or OpenBao
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    slurm-pki vault setup --ca intermediate --dry-run\n  \
    slurm-pki vault check --all\n  \
    slurm-pki vault renew\n  \
    slurm-pki vault copy --to vault")]
pub(crate) enum Vault {
    /// Make in Vault what is missing: CA, engines, roles, policies, the programs' login
    Setup(Box<setup::Setup>),
    Check(check::Check),
    Renew(renew::Renew),
    Copy(copy::Copy),
}

impl Vault {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        match self {
            Self::Setup(setup) => setup.run(global).map(|()| Exit::DONE),
            Self::Check(check) => check.run(global),
            Self::Renew(renew) => renew.run(global).map(|()| Exit::DONE),
            Self::Copy(copy) => copy.run(global).map(|()| Exit::DONE),
        }
    }
}
