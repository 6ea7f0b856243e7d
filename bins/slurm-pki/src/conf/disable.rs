//! `slurm-pki conf disable`: back to Slurm without TLS, without JWT, or without auth/slurm.

use std::collections::BTreeSet;

use clap::Args;

use super::authentication::{Which, when};
use super::editing::{self, Editing};
use super::enable::missing;
use super::options::OptionFiles;
use super::restarts::{self, Turn};
use super::still;
use super::subject::Subject;
use super::turning::Turning;
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;
use crate::slurm_conf::SlurmConf;

/// Take what conf enable did back out of slurm.conf, and of slurmdbd.conf where it is here
#[derive(Args, Debug)]
#[command(
    after_help = "What conf enable added and changed is put back byte by byte; what others changed since stays. \
    Where TLS is on although conf enable was never run, where a value was changed since, and with --all, these keys go \
    altogether: TLSType, TLSParameters, CertmgrType, CertmgrParameters, CertgenType, CertgenParameters, and of \
    DebugFlags the flags TLS and AuditTLS. Keys of these that stood there before conf enable stay, and are named.\n\n\
    With --jwt these are AuthAltTypes and AuthAltParameters, of which only auth/jwt and its parameters go; nothing has to \
    stand still. With --auth-slurm they are AuthType and CredType, and keys that conf enable did not put there go with --all \
    only. Each of the three goes by itself, in any order. No key file is touched.\n\n\
    Before anything is changed: no Slurm daemon is up, here and on every host that slurm.conf and [fleet] name, and no job \
    is there. Hosts that are not reached are named and hold nothing up.\n\n\
    Exit codes: 0 changed, or nothing to change; 1 refused or failed; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki conf disable --dry-run       only show the difference\n  \
    slurm-pki conf disable --prepare       slurm.conf.new beside it, while the cluster runs\n  \
    slurm-pki conf disable                 with all daemons stopped\n  \
    slurm-pki conf disable --all           every key about TLS, whoever wrote it\n  \
    slurm-pki conf disable --offline       the same, and no other host is asked\n  \
    slurm-pki conf disable --node          the options of slurmd and sackd on this host\n  \
    slurm-pki conf disable --jwt           no more tokens\n  \
    slurm-pki conf disable --jwt --restd   SLURM_JWT out of slurmrestd's options\n  \
    slurm-pki conf disable --auth-slurm    what was there before auth/slurm, with all daemons stopped"
)]
pub(super) struct Disable {
    /// Only write new files beside the old ones (slurm.conf.new), whatever runs
    #[arg(long)]
    prepare: bool,
    /// Take out keys too that conf enable did not put there
    #[arg(long)]
    all: bool,
    /// Ask no other host whether a daemon is up there
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    node: OptionFiles,
}

impl Disable {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let subject = self.which.subject();
        if self.node.restd {
            return self.node.disable_restd(global, self.prepare, self.all);
        }
        if self.node.node {
            return self.node.disable(global, self.prepare, self.all);
        }
        let path = SlurmConf::path_here();
        let mut files = vec![Editing::slurm(&path)?.ok_or_else(|| missing(&path))?];
        files.extend(Editing::slurm(&path.with_file_name("slurmdbd.conf"))?);
        let mut by_hand = vec!["# take out of slurm.conf and slurmdbd.conf, on every host".to_owned()];
        by_hand.extend(files.iter().flat_map(|editing| editing.ours(subject)));
        editing::disable(&mut files, subject, self.all)?;
        let left: BTreeSet<_> = files.iter().flat_map(|editing| editing.left(subject)).collect();
        // slurm.conf comes first: with it the subject is off, whatever else is left.
        let changes: Vec<_> = files.iter().map(Editing::changes).collect::<anyhow::Result<_>>()?;
        let changes: Vec<_> = changes.into_iter().flatten().collect();
        if subject == Subject::AuthSlurm && changes.is_empty() && !left.is_empty() {
            return Err(not_by_enable());
        }
        let turning = Turning {
            global,
            changes,
            prepare: self.prepare,
            when: when(subject),
            by_hand,
            question: &format!("Make these changes, and turn {subject} off at the next start of Slurm?"),
        };
        let done = turning.carry_out(|| self.must_stand_still(global, subject))?;
        if !left.is_empty() && !global.dry_run {
            let keys = left.iter().copied().collect::<Vec<_>>().join(", ");
            let state = if left.contains(&subject.switch()) { "still on" } else { "off" };
            report::warning(&format!(
                "{subject} is {state}; still there, and not by conf enable: {keys} (conf disable{} --all takes them out too)",
                subject.option()
            ));
        }
        if done {
            restarts::print(subject, Turn::Off);
        }
        Ok(())
    }

    /// Tokens come and go with a reload of each daemon; the others with a stop of all.
    fn must_stand_still(&self, global: &Global, subject: Subject) -> anyhow::Result<()> {
        if self.prepare || subject == Subject::Jwt {
            return Ok(());
        }
        still::must_stand_still(subject)?;
        if self.offline {
            report::warning("not checked (--offline): that no daemon is up on the other hosts");
            return Ok(());
        }
        still::must_stand_still_elsewhere(global, &Admin::load(global)?, subject)
    }
}

/// A cluster may never have had munge.
fn not_by_enable() -> anyhow::Error {
    Advice::new(
        "auth/slurm is on, and not by conf enable: nobody knows what was there before",
        "conf disable --auth-slurm --all takes AuthType and CredType out: Slurm's default is munge, which must then run on \
         every host with the same key",
    )
    .into()
}
