//! `slurm-pki cert issue`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use site::clock;
use site::config::{Daemon, DaemonConfig};
use site::signer::Signer;

use super::daemon_pair::{DaemonPair, issue_and_install};
use super::{host_names, static_pairs};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::daemon_files::Foreign;
use crate::global::Global;
use crate::key_type::KeyType;
use crate::report;

/// Issue a certificate with a fresh key: a daemon's of this host, or static pairs for nodes
#[derive(Args, Debug)]
#[command(
    after_help = "ctld, dbd and restd: the pair is installed where the config says (Slurm's own names \
    beside ca_cert); a file there that slurm-pki did not make is replaced only with --force, which keeps a \
    dated copy.\nslurmd and sackd: pairs for nodes that do not use certmgr, one folder per node under --out.\n\n\
    Examples:\n  \
    slurm-pki cert issue ctld                              then restart slurmctld\n  \
    slurm-pki cert issue dbd --host db1 --host db1.example.org\n  \
    slurm-pki cert issue restd --force\n  \
    slurm-pki cert issue slurmd n[001-128] --out /root/pairs\n  \
    slurm-pki cert issue sackd login1.example.org --out /root/pairs"
)]
pub(super) struct Issue {
    /// Whose certificate
    daemon: Which,
    /// For slurmd and sackd: the nodes, as in n[001-128]
    #[arg(value_name = "HOSTLIST")]
    nodes: Vec<String>,
    /// For ctld, dbd and restd: a further host name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    host: Vec<String>,
    /// For slurmd and sackd: the folder that the pairs go to
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace files that slurm-pki did not make, or pairs that are there
    #[arg(long)]
    force: bool,
    /// Kind of the new key
    #[arg(long, value_name = "TYPE", default_value = "p256")]
    key_type: KeyType,
}

/// Slurm's short names.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Which {
    Ctld,
    Dbd,
    Restd,
    Slurmd,
    Sackd,
}

impl From<Which> for Daemon {
    fn from(which: Which) -> Self {
        match which {
            Which::Ctld => Self::Ctld,
            Which::Dbd => Self::Dbd,
            Which::Restd => Self::Restd,
            Which::Slurmd => Self::Slurmd,
            Which::Sackd => Self::Sackd,
        }
    }
}

impl Issue {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        match Daemon::from(self.daemon) {
            daemon @ (Daemon::Slurmd | Daemon::Sackd) => self.static_pairs(global, &admin, daemon),
            daemon => self.daemon_pair(global, &admin, daemon),
        }
    }

    fn daemon_pair(&self, global: &Global, admin: &Admin, daemon: Daemon) -> anyhow::Result<()> {
        if !self.nodes.is_empty() || self.out.is_some() {
            return Err(Advice::new(
                format!("{daemon} has one pair, which goes where the config says"),
                "HOSTLIST and --out are for slurmd and sackd; further names go into --host",
            )
            .into());
        }
        let config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
        let pair = DaemonPair {
            common_name: daemon.program().to_owned(),
            dns: host_names(admin, daemon, &self.host)?,
            key: self.key_type.into(),
            validity: config.validity,
        };
        let foreign = if self.force { Foreign::KeepAside } else { Foreign::Refuse };
        issue_and_install(global, admin, &open_signer(admin)?, daemon, &pair, foreign, clock::now())?;
        let restart = config.command.join(" ");
        let restart = if restart.is_empty() { format!("systemctl restart {daemon}") } else { restart };
        report::done(global, &format!("{daemon} loads it at its next start: {restart}"));
        Ok(())
    }

    fn static_pairs(&self, global: &Global, admin: &Admin, daemon: Daemon) -> anyhow::Result<()> {
        let (Some(out), true) = (&self.out, self.host.is_empty()) else {
            return Err(Advice::new(
                format!("pairs of {daemon} go to a folder, by node name"),
                format!("slurm-pki cert issue {} n[001-128] --out DIR", daemon.short()),
            )
            .into());
        };
        let wanted = static_pairs::Wanted {
            daemon,
            nodes: crate::hostlist::nodes(&self.nodes).usage()?,
            out: out.clone(),
            force: self.force,
            key: self.key_type.into(),
        };
        static_pairs::issue(global, admin, &open_signer(admin)?, &wanted, clock::now())
    }
}

fn open_signer(admin: &Admin) -> anyhow::Result<Signer> {
    Signer::open(&admin.controller).advise()
}
