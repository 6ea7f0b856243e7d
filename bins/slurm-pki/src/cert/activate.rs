//! `slurm-pki cert activate`.

use clap::Args;
use site::config::Daemon;

use super::issue::Which;
use super::target::Target;
use crate::activation::{How, Wish, activate};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::members::Members;
use crate::report;

/// Bring daemons to load the pairs that lie on disk, and prove that they serve them
#[derive(Args, Debug)]
#[command(
    after_help = "Each daemon is asked over TLS what it serves. Where that is its certificate, nothing happens. Else, \
    within its window, it is restarted alone by command of its section (systemctl restart slurmctld) and asked \
    again; if it does not come to serve the new certificate within wait (90s), the former pair is put back, it is \
    restarted once more, and this command fails. Order: slurmdbd, controllers that stand by, the primary, \
    slurmrestd, slurmd, sackd; after a failure no further one is restarted (of nodes and login hosts: after a batch \
    in which most failed).\n\n\
    Before the first restart, where certmgr is in use: a rehearsal must pass (on a controller), and no node that \
    answers, by scontrol show nodes, may have its last renewal further back than certificate_renewal_period and a \
    twentieth, by the ledger, or by slurmctld where the ledger knows no bound certificate of it.\n\n\
    Daemons that are down are started only when they are named here. slurmctld needs no reconfigure for a new \
    certificate: a restart reloads it alone.\n\n\
    Exit codes: 0 all serve their certificates, have no TLS, or wait for their window; 1 one does not; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki cert activate --dry-run           who would be restarted, and how\n  \
    slurm-pki cert activate ctld\n  \
    slurm-pki cert activate dbd --now           whatever its window says"
)]
pub(super) struct Activate {
    /// Which daemons; else all that have a pair or a section in the config
    #[arg(value_name = "DAEMON")]
    daemons: Vec<Which>,
    /// Do it now, whatever the windows say
    #[arg(long)]
    now: bool,
    /// Let slurmctld reload by scontrol reconfigure: that re-execs every slurmd with whatever slurm.conf is on disk
    #[arg(long)]
    reconfigure: bool,
}

impl Activate {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let named: Vec<Daemon> = self.daemons.iter().map(|which| Daemon::from(*which)).collect();
        let mut targets = Target::all(&admin, &Members::of(&admin)?)?;
        targets.retain(|target| named.is_empty() || named.contains(&target.daemon));
        if targets.is_empty() {
            return Err(Advice::new(
                "no daemon here has a pair of slurm-pki's, or a section in the config",
                "slurm-pki init --daemons makes the pairs, slurm-pki cert issue one of them",
            )
            .into());
        }
        let how = if self.reconfigure { self.reconfigure(global)? } else { How::Restart };
        let wish = Wish { how, in_window_only: !self.now, start_dead: !named.is_empty() };
        activate(global, &admin, &targets, wish)
    }

    fn reconfigure(&self, global: &Global) -> anyhow::Result<How> {
        if !global.dry_run {
            report::confirm(
                global,
                "scontrol reconfigure re-execs every slurmd with whatever slurm.conf is on disk, and where that \
                 goes wrong no slurmd is left. Go on?",
            )?;
        }
        Ok(How::Reconfigure)
    }
}
