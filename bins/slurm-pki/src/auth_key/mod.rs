//! `slurm-pki auth-key`: the secret that all of Slurm's daemons share (auth/slurm), and its rotation without an outage.
//!
//! Each phase is one list of keys (slurm.jwks) that every daemon has loaded before the next begins: `add` brings a key that
//! all know and nobody signs with, `use` has all sign with it, `drop` takes the old one away (slurm-contract.md 5). What a
//! phase is to reach is on the disk before the first file changes; the lists follow from this host's own, so nothing secret
//! lies anywhere else, and the same command goes on wherever another ended.

mod abort;
mod add;
mod ages;
mod away;
mod care;
mod drop_old;
mod files;
mod import;
mod init;
mod keyring;
mod rollout;
mod rotate;
mod state;
mod status;
mod step_managers;
mod use_new;

use clap::{Args, Subcommand};

use crate::admin::Admin;
use crate::global::Global;

pub(crate) use status::UnderWay;

/// The key of auth/slurm: made, brought to every host, rotated without an outage
#[derive(Args, Debug)]
#[command(after_help = "A rotation, in this order, or all at once by rotate:\n  \
    add       makes a new key; every daemon loads it, nobody signs with it yet\n  \
    use       every daemon signs with it\n  \
    drop      takes the old key away, once nothing that was signed with it is under way\n\
    Each of them copies slurm.jwks to every host that runs slurmctld, slurmdbd, slurmd or sackd, by the tools that [fleet] \
    names; compares it there; has the daemons load it, one slurmd first; and sees that each of them did. A step that was \
    killed, or did not reach every host, is run again and goes on. abort leads back, until drop.\n\n\
    Daemons are reloaded by the commands of [keys] and [daemons.X] in the config; nothing here needs systemd.\n\n\
    Exit codes: 0 done, 1 failed or not reached by all, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki auth-key init --everywhere\n  \
    slurm-pki auth-key import\n  \
    slurm-pki auth-key rotate --if-older-than 90d\n  \
    slurm-pki auth-key status")]
pub(crate) struct AuthKey {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Import(import::Import),
    Add(add::Add),
    Use(use_new::Use),
    Drop(drop_old::DropOld),
    Status(status::Status),
    Abort(abort::Abort),
    Rotate(rotate::Rotate),
}

impl AuthKey {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        match &self.command {
            Command::Init(init) => init.run(global, &admin),
            Command::Import(import) => import.run(global, &admin),
            Command::Add(add) => add.run(global, &admin),
            Command::Use(use_new) => use_new.run(global, &admin),
            Command::Drop(drop_old) => drop_old.run(global, &admin),
            Command::Status(status) => status.run(global, &admin),
            Command::Abort(abort) => abort.run(global, &admin),
            Command::Rotate(rotate) => rotate.run(global, &admin),
        }
    }
}
