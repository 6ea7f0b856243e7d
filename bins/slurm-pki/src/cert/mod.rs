//! `slurm-pki cert`: certificates of Slurm's daemons, by an admin's own decision.

mod activate;
mod daemon_pair;
mod due;
pub(crate) mod facts;
mod host_names;
mod issue;
mod list;
mod needs_renewal;
mod renew;
mod static_pairs;
pub(crate) mod target;

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::global::Global;

pub(crate) use daemon_pair::{DaemonPair, issue_and_install, owner_of};
pub(crate) use due::due_at;
pub(crate) use host_names::host_names;

/// Certificates of Slurm's daemons
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    slurm-pki cert list\n  \
    slurm-pki cert needs-renewal ctld\n  \
    slurm-pki cert renew --dry-run\n  \
    slurm-pki cert issue ctld\n  \
    slurm-pki cert activate ctld\n  \
    slurm-pki cert issue dbd --host db1.example.org\n  \
    slurm-pki cert issue slurmd n[001-128] --out /root/pairs")]
pub(crate) struct Cert {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Activate(activate::Activate),
    Issue(issue::Issue),
    List(list::List),
    NeedsRenewal(needs_renewal::NeedsRenewal),
    Renew(renew::Renew),
}

impl Cert {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        match &self.command {
            Command::Activate(activate) => activate.run(global).map(|()| Exit::DONE),
            Command::Issue(issue) => issue.run(global).map(|()| Exit::DONE),
            Command::List(list) => list.run(global).map(|()| Exit::DONE),
            Command::NeedsRenewal(question) => question.run(global),
            Command::Renew(renew) => renew.run(global).map(|()| Exit::DONE),
        }
    }
}
