//! `slurm-pki jwt jwks`: the list of keys that RS256 tokens are checked with: fetched, made or looked at.

mod build;
mod check;
mod fetch;
pub(crate) mod fetched;
pub(crate) mod place;
mod provider;

use clap::Subcommand;

use crate::exit::Exit;
use crate::global::Global;

/// The list of keys that RS256 tokens are checked with (jwks=)
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    slurm-pki jwt jwks fetch https://sso.example.org/realms/hpc/protocol/openid-connect/certs\n  \
    slurm-pki jwt jwks build own.pem --kid own-2026 --out /etc/slurm/jwks.json\n  \
    slurm-pki jwt jwks check --sample-token token.txt")]
pub(crate) enum Jwks {
    Fetch(fetch::Fetch),
    Build(build::Build),
    Check(check::Check),
}

impl Jwks {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        match self {
            Self::Fetch(fetch) => fetch.run(global).map(|()| Exit::DONE),
            Self::Build(build) => build.run(global).map(|()| Exit::DONE),
            Self::Check(check) => check.run(global),
        }
    }
}
