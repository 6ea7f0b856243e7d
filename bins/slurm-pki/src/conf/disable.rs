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
use super::turning::{Turning, difference};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;
use crate::slurm_conf::SlurmConf;

/// What follows when AuthType goes.
const MUNGE: &str = "Slurm's default is munge, which must then run on every host with the same key";

/// Take what conf enable did back out of slurm.conf, and of slurmdbd.conf where it is here
#[derive(Args, Debug)]
#[command(
    after_help = "What conf enable added and changed is put back byte by byte; what others changed since stays. \
    Where TLS is on although conf enable was never run, where a value was changed since, and with --all, these keys go \
    altogether: TLSType, TLSParameters, CertmgrType, CertmgrParameters, CertgenType, CertgenParameters, and of \
    DebugFlags the flags TLS and AuditTLS. Keys of these that stood there before conf enable stay, and are named; when \
    what is to be off is still on with them, the exit code is 1 and no order of restarts is printed.\n\n\
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
        // The way back needs no config. Where there is one, a pair that is half renewed is put right as by every command.
        let admin = Admin::load(global);
        if self.node.restd {
            return self.node.disable_restd(global, self.prepare, self.all);
        }
        if self.node.node {
            return self.node.disable(global, self.prepare, self.all);
        }
        let path = SlurmConf::path_here();
        let mut files = vec![Editing::slurm(&path)?.ok_or_else(|| missing(&path))?];
        files.extend(Editing::slurm(&path.with_file_name("slurmdbd.conf"))?);
        // slurm.conf comes first: with it the subject is off, whatever else is left.
        let changes = editing::disabled(&mut files, subject, self.all)?;
        let left = Left::of(&files, subject)?;
        if subject == Subject::AuthSlurm && changes.is_empty() && !left.keys.is_empty() {
            return Err(not_by_enable());
        }
        let mut by_hand = difference(&changes);
        let mut question = format!("Make these changes, and turn {subject} off at the next start of Slurm?");
        if left.is_on {
            by_hand.push(format!("# {subject} stays on with that: {}; --all shows these too", left.shown()));
            question = format!("Make these changes, with which {subject} stays on ({})?", left.shown());
        }
        let turning = Turning {
            global,
            changes,
            prepare: self.prepare,
            when: when(subject),
            by_hand,
            question: &question,
        };
        let done = turning.carry_out(|| self.must_stand_still(global, subject, admin))?;
        if left.is_on {
            return Err(self.stays_on(global, subject, &left));
        }
        if !left.keys.is_empty() && !global.dry_run {
            report::warning(&format!(
                "{subject} is off; still there, and not by conf enable: {} (conf disable{} --all takes them out too)",
                left.shown(),
                subject.option()
            ));
        }
        if done {
            restarts::print(subject, Turn::Off);
        }
        Ok(())
    }

    /// What was there before conf enable is there again, and that is not what the command is for.
    fn stays_on(&self, global: &Global, subject: Subject, left: &Left) -> anyhow::Error {
        let is = if global.dry_run || self.prepare { "stays on with that" } else { "is still on" };
        let what = format!("{subject} {is}; still there, and not by conf enable: {}", left.shown());
        let first = if self.prepare && !global.dry_run { "move the new files away, then " } else { "" };
        let prepare = if self.prepare { " --prepare" } else { "" };
        let offline = if self.offline { " --offline" } else { "" };
        let all = ["slurm-pki conf disable --all", subject.option(), prepare, offline].concat();
        let mut how = format!("{first}{all} takes them out too");
        if subject == Subject::AuthSlurm {
            how += &format!("; {MUNGE}");
        }
        Advice::new(what, how).into()
    }

    /// Tokens come and go with a reload of each daemon; the others with a stop of all.
    fn must_stand_still(
        &self,
        global: &Global,
        subject: Subject,
        admin: anyhow::Result<Admin>,
    ) -> anyhow::Result<()> {
        if self.prepare || subject == Subject::Jwt {
            return Ok(());
        }
        still::must_stand_still(global, subject)?;
        if self.offline {
            report::warning("not checked (--offline): that no daemon is up on the other hosts");
            return Ok(());
        }
        still::must_stand_still_elsewhere(global, &admin?, subject)
    }
}

/// What others had put there before.
struct Left {
    keys: BTreeSet<String>,
    /// Whether one of the files still turns it on.
    is_on: bool,
}

impl Left {
    fn of(files: &[Editing], subject: Subject) -> anyhow::Result<Self> {
        let mut left = Self { keys: BTreeSet::new(), is_on: false };
        for editing in files {
            left.keys.extend(editing.left(subject));
            left.is_on |= editing.stays_on(subject)?;
        }
        Ok(left)
    }

    fn shown(&self) -> String {
        self.keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// A cluster may never have had munge.
fn not_by_enable() -> anyhow::Error {
    Advice::new(
        "auth/slurm is on, and not by conf enable: nobody knows what was there before",
        format!("conf disable --auth-slurm --all takes AuthType and CredType out: {MUNGE}"),
    )
    .into()
}
