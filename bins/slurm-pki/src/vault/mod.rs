//! `slurm-pki vault`: Vault or OpenBao made ready for Slurm, and looked at.

mod commands;
pub(crate) mod names;
mod policies;
mod role;
mod setup;

use clap::Subcommand;

use crate::global::Global;

/// Keep the CA key and the records in Vault or OpenBao
#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    /// Make there what is missing: CA, engines, roles, policies, the programs' login
    Setup(Box<setup::Setup>),
}

impl Vault {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Setup(setup) => setup.run(global),
        }
    }
}
