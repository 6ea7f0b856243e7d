//! `slurm-pki ca rollover`: from one CA to the next without an outage.
//!
//! `begin` makes the new CA and lets the old one sign for it; `switch` issues under it, the cross certificate
//! beside each leaf, which peers accept that know the old root, the new, or both (slurm-contract.md 3.5); `finish`
//! drops the old root, once every daemon has shown that it does without. What each step means to reach is on the disk
//! before the first file changes, and every file changes in an order in which sign_csr is right at each instant: a
//! killed step is completed by the same command. Where the CA is in Vault, its key is an issuer there, and all else is the
//! same.

mod abort;
mod alive;
mod begin;
mod bundle;
mod controllers;
mod daemons;
mod finish;
mod hosts;
mod in_vault;
mod issuing;
mod known;
mod proof;
mod same_leaf;
mod site_files;
mod state;
mod status;
mod switch;
mod under_way;

use clap::{Args, Subcommand};

use crate::admin::Admin;
use crate::global::Global;

pub(super) use state::refuse_while_under_way;
pub(crate) use under_way::UnderWay;

/// Replace the CA by a new one without an outage
#[derive(Args, Debug)]
#[command(after_help = "In this order, hours or weeks apart:\n  \
    begin     makes the new CA, lets the old one sign for it, brings both roots to every host\n  \
    switch    certificates come from the new CA from now on; daemons of this host get new pairs\n            \
    (nodes renew by themselves within certificate_renewal_period; restart slurmctld and the others)\n  \
    finish    asks every daemon for proof that it has the new root loaded and serves a certificate of\n            \
    the new CA, then drops the old root everywhere\n\
    A step that was killed, or did not reach every host, is run again. abort leads back, until finish.\n\n\
    With signer = \"vault\" the new CA is an issuer in the same PKI engine, whose key never leaves Vault (from 1.11 on, or \
    OpenBao); every step needs a token (admin_token_file in [vault]) that may manage issuers.\n\n\
    Examples:\n  \
    slurm-pki ca rollover begin\n  \
    slurm-pki ca rollover status\n  \
    slurm-pki ca rollover switch\n  \
    slurm-pki ca rollover finish --skip n[7,9]")]
pub(super) struct Rollover {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Begin(begin::Begin),
    Switch(switch::Switch),
    Finish(finish::Finish),
    Abort(abort::Abort),
    Status(status::Status),
}

impl Rollover {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        match &self.command {
            Command::Begin(begin) => begin.run(global, &admin),
            Command::Switch(switch) => switch.run(global, &admin),
            Command::Finish(finish) => finish.run(global, &admin),
            Command::Abort(abort) => abort.run(global, &admin),
            Command::Status(status) => status.run(global, &admin),
        }
    }
}
