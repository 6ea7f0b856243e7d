//! `slurm-pki conf enable`: TLS, certmgr and certgen on, or JWT, or auth/slurm, in the files themselves.

use std::path::{Path, PathBuf};

use clap::Args;

use super::authentication::{self, Manner, Which};
use super::editing::Editing;
use super::jwt::JwtOptions;
use super::lines::{Lines, programs_folder};
use super::options::OptionFiles;
use super::plan::{Plan, Wishes};
use super::ready::Ready;
use super::restarts::{self, Turn};
use super::subject::Subject;
use super::turning::{ALL_STOPPED, Turning};
use super::warnings;
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist;
use crate::report;
use crate::slurm_conf::SlurmConf;

/// Turn TLS with certmgr and certgen on, or JWT, or auth/slurm, in slurm.conf, and in slurmdbd.conf where it is here
#[derive(Args, Debug)]
#[command(
    after_help = "The difference is shown first. A key that stands in a file is changed where it stands, values of \
    yours stay in its list; the others go to one marked place at the end, which also says what was changed: conf disable \
    puts the file back byte by byte. A dated copy is kept beside each file.\n\n\
    Before anything is changed: no Slurm daemon is up and no job is there (TLS cannot be turned on host by host); this \
    host's Slurm has tls_s2n.so; and every host that slurm.conf and [fleet] name has the seven programs, its token and the \
    same CA certificate, and no Slurm without tls_s2n.so. What cannot be checked is said.\n\n\
    --jwt: AuthAltTypes and AuthAltParameters in both files, merged with what is there; Slurm may run. Refused when a \
    key file is missing or daemons would not start with it. --restd: SLURM_JWT=daemon in slurmrestd's file of options.\n\
    --auth-slurm: AuthType in both files, CredType in slurm.conf. Before that: no daemon is up, no job is there, and every \
    host has the same slurm.jwks (or slurm.key).\n\n\
    A slurm.conf that Ansible, Puppet or the like writes, that is immutable, or that lies on a read-only file system, is \
    not touched: the lines are printed, and the exit code is 1.\n\n\
    Exit codes: 0 changed, or nothing to change; 1 refused or failed; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki conf enable --dry-run                    only show the difference\n  \
    slurm-pki conf enable --prepare                    slurm.conf.new beside it, while the cluster runs\n  \
    slurm-pki conf enable                              on a controller, with all daemons stopped\n  \
    slurm-pki conf enable --offline --yes              in an image: files only, no host is asked\n  \
    slurm-pki conf enable --node                       on a node: --ca-cert-file in /etc/default/slurmd\n  \
    slurm-pki conf enable --jwt                        tokens with StateSaveLocation/jwt_hs256.key\n  \
    slurm-pki conf enable --jwt --jwks /etc/slurm/jwks.json --userclaimfield preferred_username\n  \
    slurm-pki conf enable --jwt --max-token-lifespan 86400 --disable-token-creation\n  \
    slurm-pki conf enable --jwt --restd                on slurmrestd's host: SLURM_JWT=daemon\n  \
    slurm-pki conf enable --auth-slurm                 with all daemons stopped: auth/slurm instead of munge"
)]
pub(super) struct Enable {
    /// Static pairs for slurmd and sackd instead of certmgr
    #[arg(long = "static", conflicts_with_all = ["jwt", "auth_slurm"])]
    without_certmgr: bool,
    /// Folder of the seven programs, the same on all hosts
    #[arg(long, value_name = "DIR", conflicts_with_all = ["jwt", "auth_slurm"])]
    programs: Option<PathBuf>,
    /// Only write new files beside the old ones (slurm.conf.new), whatever runs
    #[arg(long)]
    prepare: bool,
    /// Ask no host and look for no plugin
    #[arg(long)]
    offline: bool,
    /// Hosts that are dead for now: not asked, and remembered
    #[arg(long, value_name = "HOSTLIST", conflicts_with = "offline")]
    skip: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    jwt_options: JwtOptions,
    #[command(flatten)]
    node: OptionFiles,
}

impl Enable {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let skip = hostlist::hosts(&self.skip).usage()?;
        if self.node.restd {
            // That needs no config. Where there is one, a pair that is half renewed is put right as by every command.
            drop(Admin::load(global));
            return self.node.enable_restd(global, self.prepare);
        }
        let subject = self.which.subject();
        if subject != Subject::Tls {
            let manner = Manner { prepare: self.prepare, offline: self.offline, skip: &skip };
            return authentication::enable(global, subject, &self.jwt_options, &manner);
        }
        let admin = Admin::load(global)?;
        let (lines, programs) = self.lines(&admin)?;
        if self.node.node {
            return self.node.enable(global, &lines, self.prepare);
        }
        let path = SlurmConf::path_here();
        let slurm = Editing::slurm(&path)?.ok_or_else(|| missing(&path))?;
        let dbd = Editing::slurm(&path.with_file_name("slurmdbd.conf"))?;
        let without_dbd = dbd.is_none() && has_dbd(&slurm);
        warnings::all(&admin, &slurm, &lines)?.iter().for_each(|warning| report::warning(warning));
        let plan = Plan::new(slurm, dbd, &Wishes::of_tls(&lines))?;
        let turning = Turning {
            global,
            changes: plan.changes()?,
            prepare: self.prepare,
            when: ALL_STOPPED,
            by_hand: plan.by_hand,
            question: "Make these changes, and turn TLS on at the next start of Slurm?",
        };
        let ready = Ready {
            admin: &admin,
            lines: &lines,
            programs: &programs,
            skip: &skip,
            with_certmgr: !self.without_certmgr,
            may_run: self.prepare,
            offline: self.offline,
        };
        if turning.carry_out(|| ready.must_hold(global))? {
            print_next(&lines, without_dbd);
        }
        Ok(())
    }

    /// What is to stand in the files, and the folder of the programs that it names.
    fn lines(&self, admin: &Admin) -> anyhow::Result<(Lines, PathBuf)> {
        let mut found = Vec::new();
        let programs = programs_folder(self.programs.as_deref(), &mut found)?;
        let mut lines = if self.without_certmgr {
            Lines::with_static_pairs(admin, &programs)?
        } else {
            Lines::with_certmgr(admin, &programs)?
        };
        lines.warnings.extend(found);
        Ok((lines, programs))
    }
}

fn print_next(lines: &Lines, without_dbd: bool) {
    if without_dbd {
        report::line("slurmdbd.conf is not here. On slurmdbd's host run slurm-pki conf enable too, or add:");
        lines.slurmdbd_conf.iter().for_each(|line| report::line(&format!("  {line}")));
    }
    if let Some(environment) = &lines.environment {
        report::line(&format!("Every Slurm daemon needs in its environment: {environment}"));
    }
    restarts::print(Subject::Tls, Turn::On);
}

/// There is no slurm.conf to edit.
pub(super) fn missing(path: &Path) -> anyhow::Error {
    let what = if path.is_symlink() {
        format!("{} is a link, and there is nothing where it leads", path.display())
    } else {
        format!("there is no {}", path.display())
    };
    Advice::new(
        what,
        "name another file in SLURM_CONF; a configless host has none: run this on a controller, and on the node \
         slurm-pki conf enable --node; slurm-pki conf show prints the lines",
    )
    .into()
}

/// Whether this cluster has a slurmdbd.
pub(super) fn has_dbd(slurm: &Editing) -> bool {
    slurm.value("AccountingStorageType").is_some_and(|is| is.to_lowercase().ends_with("slurmdbd"))
}
