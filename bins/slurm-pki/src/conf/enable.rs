//! `slurm-pki conf enable`: TLS, certmgr and certgen on, in the files themselves.

use std::path::{Path, PathBuf};

use clap::Args;
use pki::policy::Bind;
use site::config::{Daemon, DaemonConfig};
use site::file::{self, Keep};

use super::editing::Editing;
use super::lines::{Lines, programs_folder};
use super::options::OptionFiles;
use super::reach::Reach;
use super::restarts::{self, Turn};
use super::turning::Turning;
use super::wish::Wish;
use super::{plugin, still};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::fleet::digest;
use crate::global::Global;
use crate::hostlist;
use crate::report;
use crate::slurm_conf::SlurmConf;

/// As much as a CA file may have.
const MAX_BUNDLE: usize = 1024 * 1024;

/// Turn TLS, certmgr and certgen on in slurm.conf, and in slurmdbd.conf where it is here
#[derive(Args, Debug)]
#[command(
    after_help = "The difference is shown first. A key that stands in a file is changed where it stands, values of \
    yours stay in its list; the others go to one marked place at the end, which also says what was changed: conf disable \
    puts the file back byte by byte. A dated copy is kept beside each file.\n\n\
    Before anything is changed: no Slurm daemon is up and no job is there (TLS cannot be turned on host by host); this \
    host's Slurm has tls_s2n.so; and every host that slurm.conf and [fleet] name has the seven programs, its token and the \
    same CA certificate. What cannot be checked is said.\n\n\
    A slurm.conf that Ansible, Puppet or the like writes, or that lies on a read-only file system, is not touched: the \
    lines are printed, and the exit code is 1.\n\n\
    Exit codes: 0 changed, or nothing to change; 1 refused or failed; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki conf enable --dry-run                    only show the difference\n  \
    slurm-pki conf enable --prepare                    slurm.conf.new beside it, while the cluster runs\n  \
    slurm-pki conf enable                              on a controller, with all daemons stopped\n  \
    slurm-pki conf enable --offline --yes              in an image: files only, no host is asked\n  \
    slurm-pki conf enable --node                       on a node: --ca-cert-file in /etc/default/slurmd"
)]
pub(super) struct Enable {
    /// Static pairs for slurmd and sackd instead of certmgr
    #[arg(long = "static")]
    without_certmgr: bool,
    /// Folder of the seven programs, the same on all hosts
    #[arg(long, value_name = "DIR")]
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
    node: OptionFiles,
}

impl Enable {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let path = SlurmConf::path_here();
        let admin = Admin::load(global)?;
        let mut warnings = Vec::new();
        let programs = programs_folder(self.programs.as_deref(), &mut warnings)?;
        let lines = if self.without_certmgr {
            Lines::with_static_pairs(&admin, &programs)?
        } else {
            Lines::with_certmgr(&admin, &programs)?
        };
        if self.node.node {
            return self.node.enable(global, &lines, self.prepare);
        }
        let skip = if self.skip.is_empty() { Vec::new() } else { hostlist::nodes(&self.skip).usage()? };
        let slurm = Editing::slurm(&path)?.ok_or_else(|| missing(&path))?;
        warnings.extend(lines.warnings.iter().cloned());
        warnings.extend(foreign(&admin, &slurm, &lines));
        warnings.extend(not_issued(&admin)?);
        let dbd = Editing::slurm(&path.with_file_name("slurmdbd.conf"))?;
        let without_dbd = dbd.is_none() && has_dbd(&slurm);
        let plan = Plan::new(slurm, dbd, &lines)?;
        let turning = Turning {
            global,
            changes: plan.changes()?,
            prepare: self.prepare,
            by_hand: plan.by_hand,
            question: "Make these changes, and turn TLS on at the next start of Slurm?",
        };
        warnings.iter().for_each(|warning| report::warning(warning));
        let done = turning.carry_out(|| self.must_hold(global, &admin, &path, &lines, &programs, &skip))?;
        if done {
            if without_dbd {
                report::line(
                    "slurmdbd.conf is not here. On slurmdbd's host run slurm-pki conf enable too, or add:",
                );
                lines.slurmdbd_conf.iter().for_each(|line| report::line(&format!("  {line}")));
            }
            if let Some(environment) = &lines.environment {
                report::line(&format!("Every Slurm daemon needs in its environment: {environment}"));
            }
            restarts::print(Turn::On);
        }
        Ok(())
    }

    fn must_hold(
        &self,
        global: &Global,
        admin: &Admin,
        path: &Path,
        lines: &Lines,
        programs: &Path,
        skip: &[pki::name::NodeName],
    ) -> anyhow::Result<()> {
        if !self.prepare {
            still::must_stand_still()?;
        }
        if self.offline {
            report::warning(
                "not checked (--offline): tls_s2n.so, and on the other hosts the programs, the tokens, the CA \
                 certificate and that no daemon runs",
            );
            return Ok(());
        }
        let slurm = Editing::slurm(path)?.ok_or_else(|| missing(path))?;
        plugin::must_be_there(&slurm, !self.without_certmgr)?;
        let ca_cert = &admin.controller.ca_cert;
        let bundle = file::read(ca_cert, Keep::Intact, MAX_BUNDLE).advise()?;
        pki::loads_in_s2n::trust_bundle(bundle.expose()).advise()?;
        let reach = Reach {
            programs,
            lines,
            ca_cert,
            ca_digest: digest(bundle.expose()),
            with_certmgr: !self.without_certmgr,
            must_stand_still: !self.prepare,
        };
        reach.must_be_ready(global, admin, skip)
    }
}

/// What is to change, and the same for a person.
struct Plan {
    slurm: Editing,
    dbd: Option<Editing>,
    by_hand: Vec<String>,
}

impl Plan {
    fn new(mut slurm: Editing, mut dbd: Option<Editing>, lines: &Lines) -> anyhow::Result<Self> {
        let mut by_hand = vec!["# slurm.conf, on every host".to_owned()];
        for wish in lines.slurm_conf.iter().filter_map(|line| Wish::of_line(line)).chain([Wish::audit()]) {
            by_hand.push(shown(&slurm, &wish));
            slurm.grant(&wish)?;
        }
        if let Some(dbd) = &mut dbd {
            by_hand.push("# slurmdbd.conf".to_owned());
            for wish in lines.slurmdbd_conf.iter().filter_map(|line| Wish::of_line(line)) {
                by_hand.push(shown(dbd, &wish));
                dbd.grant(&wish)?;
            }
        }
        Ok(Self { slurm, dbd, by_hand })
    }

    /// slurm.conf itself comes last: until then nothing of it is on.
    fn changes(&self) -> anyhow::Result<Vec<super::change::Change>> {
        let mut changes = self.slurm.changes()?;
        if let Some(dbd) = &self.dbd {
            changes.extend(dbd.changes()?);
        }
        changes.reverse();
        Ok(changes)
    }
}

fn shown(editing: &Editing, wish: &Wish) -> String {
    format!("{}={}", wish.key(), wish.value(&editing.value(wish.key()).unwrap_or_default()))
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

fn has_dbd(slurm: &Editing) -> bool {
    slurm.value("AccountingStorageType").is_some_and(|is| is.to_lowercase().ends_with("slurmdbd"))
}

/// sign_csr signs what our generate_csr has bound to a node's secret; another's requests have no binding.
fn foreign(admin: &Admin, slurm: &Editing, lines: &Lines) -> Vec<String> {
    const KEY: &str = "generate_csr_script=";
    let named = |parameters: &str| {
        parameters.split(',').find_map(|parameter| parameter.strip_prefix(KEY)).map(str::to_owned)
    };
    let is = slurm.value("CertmgrParameters").as_deref().and_then(named);
    let ours = lines.slurm_conf.iter().find_map(|line| named(line.split_once('=').unwrap_or_default().1));
    let (Some(is), Some(ours)) = (is, ours) else { return Vec::new() };
    let keeps = match admin.controller.bind {
        Bind::Required => "sign_csr refuses the requests of another (bind = \"required\")",
        Bind::Warn | Bind::Off => "sign_csr cannot tell who made the requests of another",
    };
    let foreign = is != ours;
    foreign
        .then(|| {
            format!("slurm.conf names a foreign generate_csr_script, {is}; {ours} takes its place: {keeps}")
        })
        .into_iter()
        .collect()
}

/// A daemon without its certificate does not start with these lines.
fn not_issued(admin: &Admin) -> anyhow::Result<Vec<String>> {
    let slurm = admin.slurm.iter();
    let is_controller = slurm.flat_map(SlurmConf::controllers).any(|host| crate::members::is_this_host(host));
    if !is_controller {
        return Ok(Vec::new());
    }
    let cert = DaemonConfig::read(&admin.config, &admin.controller, Daemon::Ctld).advise()?.cert;
    let missing = !cert.exists();
    Ok(missing
        .then(|| {
            format!(
                "{} is not there, and slurmctld will not start: slurm-pki cert issue ctld",
                cert.display()
            )
        })
        .into_iter()
        .collect())
}
