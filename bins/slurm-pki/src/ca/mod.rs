//! `slurm-pki ca`: the cluster's own certificate authority.

mod import;
pub(crate) mod new;
pub(crate) mod rollover;
mod show;
mod subject;

use clap::{Args, Subcommand};
use site::clock;

use crate::admin::Admin;
use crate::global::Global;
use crate::making::Making;
use crate::report;

/// The cluster's own certificate authority
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    slurm-pki ca show\n  \
    slurm-pki ca init --intermediate --lifetime 15y\n  \
    slurm-pki ca import --cert /root/slurm_ca.pem --key /root/slurm_ca.key\n  \
    slurm-pki ca rollover begin")]
pub(crate) struct Ca {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(Init),
    Show(show::Show),
    Import(import::Import),
    Rollover(rollover::Rollover),
}

/// Make the CA and nothing else; `slurm-pki init` makes it too
#[derive(Args, Debug)]
#[command(after_help = "A second run completes what is missing and replaces nothing.\n\n\
    Examples:\n  \
    slurm-pki ca init\n  \
    slurm-pki ca init --intermediate            a root whose key can be taken offline\n  \
    slurm-pki ca init --key-type p384 --lifetime 20y --subject \"O=Site, C=DE\"\n  \
    slurm-pki ca init --dry-run                 list the files and change nothing")]
struct Init {
    #[command(flatten)]
    options: new::CaOptions,
}

impl Ca {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match &self.command {
            Command::Init(init) => init.run(global),
            Command::Show(show) => show.run(global),
            Command::Import(import) => import.run(global),
            Command::Rollover(rollover) => rollover.run(global),
        }
    }
}

impl Init {
    fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let ca = new::complete(&admin, Making::new(global), &self.options, clock::now())?;
        say_what_is_next(global, &admin, &ca);
        Ok(())
    }
}

/// What to do with a CA that is whole.
pub(crate) fn say_what_is_next(global: &Global, admin: &Admin, ca: &pki::ca::LocalCa) {
    report::done(global, &format!("CA: {}", ca.issuer().facts().subject));
    let root_key = new::root_key_path(admin);
    if root_key.exists() || (global.dry_run && !ca.issuer().is_self_issued()) {
        report::done(
            global,
            &format!(
                "Take the root's key offline: copy {} to a safe place and delete it here. It is needed \
                 again only for the next intermediate.",
                root_key.display()
            ),
        );
    }
}
