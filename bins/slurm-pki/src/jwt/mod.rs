//! `slurm-pki jwt`: keys that users' tokens are signed with, tokens, and lists of an identity provider's keys
//! (docs/slurm-contract.md 6). Whoever holds such a key is root on the cluster.

pub(crate) mod folder;
pub(crate) mod inspect;
pub(crate) mod jwks;
mod key_init;
mod lifespan;
pub(crate) mod places;
pub(crate) mod releases;
pub(crate) mod rotate;
mod rsa_key;
mod token;

use clap::Subcommand;

use crate::exit::Exit;
use crate::global::Global;

/// Keys and tokens of auth/jwt
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    slurm-pki jwt key init\n  \
    slurm-pki jwt token --lifespan 8h\n  \
    slurm-pki jwt inspect token.txt\n  \
    slurm-pki jwt jwks fetch https://sso.example.org/realms/hpc/protocol/openid-connect/certs")]
pub(crate) enum Jwt {
    #[command(subcommand)]
    Key(Key),
    Token(token::Token),
    Inspect(inspect::Inspect),
    #[command(subcommand)]
    Jwks(jwks::Jwks),
}

/// The keys that tokens are signed with here
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    slurm-pki jwt key init --dry-run\n  \
    slurm-pki jwt key init\n  \
    slurm-pki jwt key rotate --dry-run")]
pub(crate) enum Key {
    Init(key_init::KeyInit),
    Rotate(rotate::Rotate),
}

impl Jwt {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        match self {
            Self::Key(Key::Init(init)) => init.run(global).map(|()| Exit::DONE),
            Self::Key(Key::Rotate(rotate)) => rotate.run(global).map(|()| Exit::DONE),
            Self::Token(token) => token.run(global).map(|()| Exit::DONE),
            Self::Inspect(inspect) => inspect.run(global),
            Self::Jwks(jwks) => jwks.run(global),
        }
    }
}
