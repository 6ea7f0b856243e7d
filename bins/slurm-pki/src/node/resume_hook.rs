//! `resume-hook`: a fresh secret for each boot of a cloud node, called by the site's ResumeProgram.
//!
//! slurmctld gives ResumeProgram a hostlist, looks at no output, and repeats nothing: what matters is that a node either
//! has a bundle that enrols it, or none, so that the launcher can give it up at once instead of at ResumeTimeout. So a
//! node's former bundle goes first, and the new one comes when its record is durable and CertToken is set.

use std::path::{Path, PathBuf};

use clap::Args;
use pki::name::NodeName;
use pki::standing::Held;
use pki::token::NodeSecret;
use serde::Serialize;
use site::config::{Daemon, ResumeConfig};

use super::add::count;
use super::contents::Contents;
use super::enrolment::{Enrolment, Given, Terms};
use super::medium::{Format, Medium};
use super::outgoing::record_of;
use super::refused::Refused;
use super::scontrol;
use super::token::successor;
use crate::admin::{Admin, caller, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::report;

/// Give cloud nodes that Slurm is about to start a fresh single-use token each
#[derive(Args, Debug)]
#[command(after_help = "\
For ResumeProgram, which runs as SlurmUser: so does this. Each node that is enrolled (node add, once) gets a new secret, \
whose token enrols once, and not after [resume] expires; the secret of the boot before it lasts until secret_grace after \
the first certificate under the new one, older ones end now. With [resume] certtoken, CertToken in slurmctld is set to \
the new token, through scontrol's stdin. Then the bundles are written, as node bundle writes them.

A node that is refused has no bundle in the folder afterwards, not even a former one: whether the file is there says \
whether to start the node. The nodes that are ready are printed as a hostlist.

Exit codes: 0 all nodes are ready, 1 some are not, or none is, 64 wrong usage.

Examples:
  slurm-pki resume-hook 'cloud[1-9]'
  slurm-pki resume-hook 'cloud[1-9]' --format tar --out /run/slurm-resume
  slurm-pki resume-hook 'cloud[1-9]' --set-certtoken
  slurm-pki resume-hook 'cloud[1-9]' --dry-run             which nodes could be started, and which could not")]
pub(crate) struct ResumeHook {
    /// Nodes, as slurmctld gives them to ResumeProgram: cloud[1-9]
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// The form of the bundles, instead of `format` in the section resume of the config: dir, tar or cloud-init
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The folder for the bundles, instead of `out` in the section resume of the config
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Set CertToken in slurmctld, whatever `certtoken` in the section resume of the config says
    #[arg(long)]
    set_certtoken: bool,
}

/// What came of it, for `--json`.
#[derive(Serialize)]
struct View<'a> {
    ready: Vec<&'a str>,
    refused: Vec<RefusedView<'a>>,
}

#[derive(Serialize)]
struct RefusedView<'a> {
    node: &'a str,
    why: &'a str,
}

/// Secrets of nodes that are to start.
#[derive(Default)]
struct Fresh {
    /// A killed run made them, and nobody has seen them.
    waiting: Vec<(NodeName, NodeSecret)>,
    /// They are to be made.
    new: Vec<Given>,
}

impl ResumeHook {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        must_be_slurm_user(&admin)?;
        let mut config = ResumeConfig::read(&admin.config).advise()?;
        config.certtoken |= self.set_certtoken;
        let names = hostlist::nodes(&self.nodes).usage()?;
        self.refuse_stdout()?;
        let format = self.format()?.unwrap_or(config.format.into());
        let contents = Contents::of(&admin, format.root())?;
        let medium = Medium {
            format,
            out: self.out.as_ref().unwrap_or(&config.out),
            daemon: Daemon::Slurmd,
            contents: &contents,
            own: contents.own(),
            own_only: config.own_only,
        };
        medium.prepare(names.len(), global.dry_run)?;
        let enrolment = Enrolment::of(&admin)?;
        let lock = enrolment.lock(global, &admin)?;
        if lock.is_some() {
            names.iter().try_for_each(|name| medium.remove(name)).advise()?;
        }

        let mut refused = Refused::default();
        let fresh = Fresh::of(&enrolment, &names, &config, &mut refused);
        let Some(lock) = &lock else {
            let ready: Vec<_> = fresh.names().collect();
            let text = format!("{} would get a new secret: {}", count(ready.len()), fold(ready));
            report::done(global, &text);
            return refused.into_result(names.len(), "ready to start");
        };
        let terms = Terms { single_use: true, enrols_until: Some(enrolment.now.plus(config.expires)) };
        let mut secrets = fresh.waiting;
        secrets.extend(enrolment.hand_out(global, lock, fresh.new, terms)?);
        if config.certtoken && !secrets.is_empty() {
            scontrol::set_cert_tokens(&secrets)?;
        }
        let ready = contents.with_tokens(secrets, format.root());
        medium.write(global, &ready)?;
        // Only now: the secrets are durable in the bundles. What cannot be removed is what a killed run leaves.
        for one in &ready {
            if let Err(e) = enrolment.outgoing.remove(&one.name) {
                report::warning(&format!("{}: {e}", one.name));
            }
        }
        say(global, ready.iter().map(|one| &one.name).collect(), &refused)?;
        refused.into_result(names.len(), "made ready to start")
    }

    fn refuse_stdout(&self) -> anyhow::Result<()> {
        if self.out.as_ref().is_none_or(|out| out != Path::new("-")) {
            return Ok(());
        }
        Err(Advice {
            usage: true,
            ..Advice::new(
                "stdout is for the hostlist of the nodes that are ready",
                "name a folder with --out",
            )
        }
        .into())
    }

    fn format(&self) -> anyhow::Result<Option<Format>> {
        match self.format {
            Some(Format::Warewulf | Format::Ansible) => Err(Advice {
                usage: true,
                ..Advice::new(
                    "a bundle of that form is not for one node that starts now",
                    "--format dir, tar or cloud-init",
                )
            }
            .into()),
            format => Ok(format),
        }
    }
}

/// Its folder and what is in it are SlurmUser's, who runs ResumeProgram; root's would keep the next run out.
fn must_be_slurm_user(admin: &Admin) -> anyhow::Result<()> {
    let owner = admin.slurm_user()?;
    if caller().uid == owner.uid {
        return Ok(());
    }
    let name = owner_name(owner);
    Err(Advice::new(
        format!("this is for ResumeProgram, which slurmctld runs as {name}"),
        format!(
            "runuser -u {name} -- slurm-pki resume-hook HOSTLIST; by hand as root: slurm-pki node bundle"
        ),
    )
    .into())
}

impl Fresh {
    fn of(enrolment: &Enrolment, names: &[NodeName], config: &ResumeConfig, refused: &mut Refused) -> Self {
        let mut fresh = Self::default();
        for name in names {
            if let Err(e) = fresh.add(enrolment, name, config, refused) {
                refused.add_error(name, &e);
            }
        }
        fresh
    }

    fn add(
        &mut self,
        enrolment: &Enrolment,
        name: &NodeName,
        config: &ResumeConfig,
        refused: &mut Refused,
    ) -> Result<(), site::Error> {
        let held = enrolment.store.held(name)?.unwrap_or_default();
        if let Some(secret) = enrolment.outgoing.waiting(name)?
            && is_fresh(enrolment, &secret, &held, config)
        {
            self.waiting.push((name.clone(), secret));
            return Ok(());
        }
        let Some(mut given) = successor(enrolment, name, false)? else {
            refused.add(name, "not enrolled", "enrol it once, with node add; a removed node stays out");
            return Ok(());
        };
        // The boot before this one may still be under way, where Slurm asked twice. Those before it are over.
        if let Some((_, over)) = given.records.records.split_last_mut().filter(|_| !held.is_empty()) {
            for record in over {
                record.withdrawn.get_or_insert(enrolment.now);
            }
        }
        self.new.push(given);
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.waiting.iter().map(|(name, _)| name).chain(self.new.iter().map(|one| &one.name))
    }
}

/// Whether a waiting secret is one of ours for a single boot that has most of its time before it.
fn is_fresh(enrolment: &Enrolment, secret: &NodeSecret, held: &[Held], config: &ResumeConfig) -> bool {
    let records: Vec<_> = held.iter().map(|one| one.record.clone()).collect();
    let Some(record) = record_of(secret, &records) else { return false };
    let used = held.iter().any(|one| one.record.id == record.id && one.mark.is_some());
    let enough = enrolment.now.plus(config.expires / 2);
    record.single_use
        && record.withdrawn.is_none()
        && !used
        && record.enrols_until.is_some_and(|until| until >= enough)
}

fn say(global: &Global, ready: Vec<&NodeName>, refused: &Refused) -> anyhow::Result<()> {
    if global.json {
        let view = View {
            ready: ready.iter().map(|name| name.as_str()).collect(),
            refused: refused.iter().map(|(node, why)| RefusedView { node: node.as_str(), why }).collect(),
        };
        return report::json("slurm-pki.resume-hook.v1", &view);
    }
    if !ready.is_empty() {
        report::line(&fold(ready));
    }
    Ok(())
}
