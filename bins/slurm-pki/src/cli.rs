//! The command line: names, options and worked examples. What the commands do stands in their files.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::Exit;
use crate::global::Global;

/// Certificates, node tokens and keys for a Slurm cluster.
#[derive(Debug, Parser)]
#[command(
    name = "slurm-pki",
    version,
    propagate_version = true,
    after_help = "Most of it is run on a controller, as root; on nodes rehearse, check and conf enable --node. Several nodes \
        are named as in slurm.conf: n[001-128,200] login1. Results go to stdout, everything else to stderr; with --json \
        results have a schema with a version, such as slurm-pki.node.list.v1. With --dry-run a command says what it would \
        do. Whatever was interrupted is completed by the same command once more.\n\n\
        A command that asks for a yes, and cannot ask since nobody is there, does nothing: --yes is for scripts. No secret \
        is ever an argument, and none is shown unless it is what was asked for.\n\n\
        Exit codes: 0 done, 1 failed, 64 wrong usage, unless the help of a command says otherwise.\n\n\
        Examples:\n  \
        slurm-pki demo                          watch a whole exchange in a scratch folder\n  \
        slurm-pki init --cluster c1             CA, daemon certificates, token store\n  \
        slurm-pki node add n[001-128]           enrol nodes\n  \
        slurm-pki node bundle n[001-128] --out /root/bundles\n  \
        slurm-pki conf show                     the lines for slurm.conf\n  \
        slurm-pki status                        everything at a glance, and what runs out next"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch a whole certmgr and certgen exchange in a scratch folder
    Demo(crate::demo::Demo),
    Init(crate::init::Init),
    #[command(subcommand)]
    Node(crate::node::Node),
    ResumeHook(crate::node::ResumeHook),
    Conf(crate::conf::Conf),
    /// Try what slurmd and slurmctld would get now, with the live config
    Rehearse(crate::rehearse::Rehearse),
    Ca(crate::ca::Ca),
    AuthKey(crate::auth_key::AuthKey),
    Cert(crate::cert::Cert),
    Check(crate::check::Check),
    #[command(subcommand)]
    Ledger(crate::ledger::LedgerCommand),
    Status(crate::status::Status),
    Metrics(crate::metrics::Metrics),
    #[command(subcommand)]
    Jwt(crate::jwt::Jwt),
    #[command(subcommand)]
    Vault(crate::vault::Vault),
    Completions(crate::completions::Completions),
    #[command(name = "man")]
    Manual(crate::manual::Manual),
}

/// The whole command line, as help, manual pages and completions have it.
pub(crate) fn command() -> clap::Command {
    crate::help::completed(Cli::command())
}

impl Cli {
    /// Reads a command line.
    ///
    /// # Errors
    /// What is wrong with it; or help or a version, which are to be printed.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
    }

    /// Runs the command. What it exits with is 0, unless the exit code is its answer.
    ///
    /// # Errors
    /// Whatever went wrong, with what to do.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let global = &self.global;
        match self.command {
            Command::Demo(demo) => demo.run(global),
            Command::Init(init) => init.run(global),
            Command::Node(node) => node.run(global),
            Command::ResumeHook(hook) => hook.run(global),
            Command::Conf(conf) => return conf.run(global),
            Command::Rehearse(rehearse) => rehearse.run(global),
            Command::Ca(ca) => ca.run(global),
            Command::AuthKey(auth_key) => auth_key.run(global),
            Command::Cert(cert) => return cert.run(global),
            Command::Check(check) => return check.run(global),
            Command::Ledger(ledger) => ledger.run(global),
            Command::Status(status) => status.run(global),
            Command::Metrics(metrics) => metrics.run(global),
            Command::Jwt(jwt) => return jwt.run(global),
            Command::Vault(vault) => return vault.run(global),
            Command::Completions(completions) => completions.run(),
            Command::Manual(manual) => manual.run(global),
        }
        .map(|()| Exit::DONE)
    }
}
