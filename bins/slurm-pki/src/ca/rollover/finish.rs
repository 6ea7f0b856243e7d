//! `slurm-pki ca rollover finish`: proof, then the old root goes.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;
use site::config::Daemon;
use site::ledger::{Entry, Ledger};
use site::signer;

use super::alive::{self, Holder};
use super::bundle::Bundle;
use super::controllers;
use super::hosts::{self, Given, Reach};
use super::proof::{self, Lack, Target, are_one};
use super::same_leaf;
use super::site_files::SiteFiles;
use super::state::{Phase, State};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Missed, Skips};
use crate::global::Global;
use crate::hostlist;
use crate::members::{Member, Members, Role, is_this_host};
use crate::report;

/// Drop the old root everywhere, once every daemon has shown that it does without
#[derive(Args, Debug)]
#[command(
    after_help = "Every daemon is asked over TLS 1.2 with a certificate of the new CA alone: a handshake that completes \
    shows that the new root is loaded there, and the certificate it serves must be the new CA's. Names that cannot be \
    asked are judged by the ledger; cloud nodes that do not answer must be POWERED_DOWN or FUTURE, as slurmctld says. Other \
    controllers must sign with the new CA: slurm-pki ca show is run there. Whatever is not shown is listed, and nothing \
    is changed.\n\n\
    Examples:\n  \
    slurm-pki ca rollover finish --dry-run          whom it would ask\n  \
    slurm-pki ca rollover finish\n  \
    slurm-pki ca rollover finish --skip n[7,9]      these are dead; they are remembered\n  \
    slurm-pki ca rollover finish --no-push --yes"
)]
pub(super) struct Finish {
    #[command(flatten)]
    reach: Reach,
}

impl Finish {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let now = clock::now();
        let files = SiteFiles::to_change(global, admin)?;
        let mut state = files.state_under_way()?;
        let new = files.new_root(&state)?;
        refuse_too_early(&files, &state, &new)?;
        if state.phase == Phase::Switched {
            self.prove(&files, &state, &new, now)?;
            if !global.dry_run {
                report::confirm(global, &format!("Drop {} everywhere?", state.old.subject))?;
            }
            files.advance(&mut state, Phase::Finishing, now)?;
        }
        let left = Bundle::of(admin)?.with(&new)?.without(&state.leaving)?;
        files.put_bundle(&left.text)?;
        hosts::bring(&files, &self.reach.of_hosts(admin)?, now)?;
        files.put_chain(&[])?;
        if is_nobodys_root_key(admin, &left) {
            files.take_root_key()?;
        }
        // Nothing that it signed counts any more, and nobody is to have it sign by mistake.
        let in_vault = files.issuers(&state)?;
        if let Some((vault, issuers)) = &in_vault {
            vault.retire(global, &issuers.old)?;
        }
        files.put_aside()?;
        if global.dry_run {
            return Ok(());
        }
        report::done(global, &format!("{} is the only CA now.", state.new.subject));
        report::done(
            global,
            match in_vault {
                None => "Nobody trusts the old CA's key any more; delete it there, and its backups.",
                Some(_) => {
                    "Nobody trusts the old CA any more; its issuer and key are in Vault still, and sign nothing."
                }
            },
        );
        Ok(())
    }

    /// Nothing, when all have shown it.
    fn prove(&self, files: &SiteFiles<'_>, state: &State, new: &X509, now: UnixTime) -> anyhow::Result<()> {
        let all = All::of(files.admin, state, now)?;
        let counts = self.counting(files, &all, now)?;
        let targets: Vec<_> =
            all.targets.iter().filter(|target| counts.contains(&target.name)).cloned().collect();
        if files.global.dry_run {
            let whom = hostlist::fold_texts(targets.iter().map(|target| target.name.as_str()));
            report::line(&format!("would ask {} daemons: {whom}", targets.len()));
            return Ok(());
        }
        let mut lacks = Lacks::default();
        let mut answers = proof::ask(files, state, new, targets, now)?;
        same_leaf::take_back(files, &mut answers, self.reach.brings_nothing())?;
        for (target, answer) in &answers {
            if let Err(lack) = answer {
                lacks.add(*lack, &target.name);
            }
        }
        let shown = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
        report::done(files.global, &format!("shown    by {shown} of {} daemons", answers.len()));
        all.hosts_that_lack(files.admin, &counts, &mut lacks)?;
        all.names_that_lack(&counts, &mut lacks);
        for host in self.controllers_that_lack(files, &all, &counts, new)? {
            lacks.add(Lack::SignsOtherwise, &host);
        }
        lacks.into_result()
    }

    /// Other controllers that would not sign with the new CA; Vault signs for all of them.
    fn controllers_that_lack(
        &self,
        files: &SiteFiles<'_>,
        all: &All,
        counts: &BTreeSet<String>,
        new: &X509,
    ) -> anyhow::Result<Vec<String>> {
        let hosts = all.members.with(Role::Ctld).map(|member| member.host.clone());
        let others: Vec<String> = hosts.filter(|host| !is_this_host(host) && counts.contains(host)).collect();
        if others.is_empty() || files.vault.is_some() {
            return Ok(Vec::new());
        }
        if self.reach.brings_nothing() {
            controllers::say_who_is_not_asked(&others);
            return Ok(Vec::new());
        }
        controllers::signing_otherwise(files, others, &[new.fingerprint(), files.cross(new)?.fingerprint()])
    }

    /// The names that count: all but the dead.
    fn counting(&self, files: &SiteFiles<'_>, all: &All, now: UnixTime) -> anyhow::Result<BTreeSet<String>> {
        let skip = self.reach.skipped()?;
        let mut skips = Skips::load(files.admin)?;
        let names = all.names().into_iter().collect();
        let host = |name: &str| all.host_of(name);
        let left = skips.leave_out_names(files.global, names, &skip, host, Missed::CaCert, now)?;
        Ok(left.into_iter().collect())
    }
}

/// Whoever might still need the old root.
struct All {
    members: Members,
    /// Since when certificates come from the new CA; this host had the bundle before.
    since: UnixTime,
    /// Daemons with a port.
    targets: Vec<Target>,
    /// Names with a certificate of the old CA that has not ended.
    holders: Vec<Holder>,
}

impl All {
    fn of(admin: &Admin, state: &State, now: UnixTime) -> anyhow::Result<Self> {
        if admin.slurm.is_none() {
            return Err(Advice::new(
                "there is no slurm.conf here, so nobody knows who has to show that it does without the old root",
                "run this where slurm.conf is, or name the file in SLURM_CONF",
            )
            .into());
        }
        let members = Members::of(admin)?;
        let targets = proof::targets(admin, &members, now)?;
        let holders = alive::holders(admin, &state.old.subject, now)?;
        Ok(Self { members, since: state.since, targets, holders })
    }

    /// What `--skip` may name.
    fn names(&self) -> BTreeSet<String> {
        let targets = self.targets.iter().map(|target| target.name.clone());
        let holders = self.holders.iter().map(|holder| holder.name.clone());
        targets.chain(holders).chain(self.members.all().iter().map(|member| member.host.clone())).collect()
    }

    /// The host that a name means, as `node push` reaches it. A daemon's name, which stands in the certificates of all its
    /// hosts, means none.
    fn host_of(&self, name: &str) -> Option<String> {
        let all = self.members.all();
        let runs = |member: &&Member| member.nodes.iter().any(|node| node.name.as_str() == name);
        let named = all.iter().find(|member| member.host == name);
        let with_domain = || all.iter().find(|member| are_one(member.host.as_bytes(), name.as_bytes()));
        match named.or_else(|| all.iter().find(runs)).or_else(with_domain) {
            // It has what it brings to the others, and no push comes here but to a node.
            Some(member) if is_this_host(&member.host) && member.nodes.is_empty() => None,
            Some(member) => Some(member.host.clone()),
            None if is_daemons(name) => None,
            None => Some(name.to_owned()),
        }
    }

    /// Hosts whose programs cannot be asked.
    fn hosts_that_lack(
        &self,
        admin: &Admin,
        counts: &BTreeSet<String>,
        lacks: &mut Lacks,
    ) -> anyhow::Result<()> {
        let given = hosts::given(admin)?;
        let renewals = self.renewals_of_login_hosts(admin)?;
        // What was renewed while the others were asked counts.
        let now = clock::now();
        for member in self.members.all().iter().filter(|member| counts.contains(&member.host)) {
            let here = is_this_host(&member.host).then(|| Given::here(self.since));
            let given = given.get(&member.host).cloned().or(here);
            let renewals = renewals.get(&member.host).map_or(&[][..], Vec::as_slice);
            if let Some(lack) = self.lack_of(member, given.as_ref(), renewals, now) {
                lacks.add(lack, &member.host);
            }
        }
        Ok(())
    }

    /// What each login host was issued, oldest first: sackd asks under its host's name, with the domain or without.
    fn renewals_of_login_hosts(&self, admin: &Admin) -> anyhow::Result<BTreeMap<String, Vec<Entry>>> {
        let hosts: Vec<&String> = self.members.with(Role::Sackd).map(|member| &member.host).collect();
        let is_one = |host: &str, entry: &Entry| are_one(host.as_bytes(), entry.node.as_bytes());
        let mut all: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        if hosts.is_empty() {
            return Ok(all);
        }
        let entries =
            Ledger::of(&admin.controller).entries(|entry| hosts.iter().any(|host| is_one(host, entry)));
        for entry in entries.advise()? {
            for host in hosts.iter().filter(|host| is_one(host, &entry)) {
                all.entry((*host).clone()).or_default().push(entry.clone());
            }
        }
        Ok(all)
    }

    /// Slurm's commands load the bundle each time, sackd at each renewal, and slurmrestd when it starts.
    fn lack_of(
        &self,
        member: &Member,
        given: Option<&Given>,
        renewals: &[Entry],
        now: UnixTime,
    ) -> Option<Lack> {
        let has = |role| member.roles.contains(&role);
        let restd = has(Role::Restd) && !self.asks_restd_of(&member.host);
        if !restd && !has(Role::Sackd) && !has(Role::Also) {
            return None;
        }
        let Some(given) = given else { return Some(Lack::NoBundle) };
        if restd {
            return Some(Lack::NoPort);
        }
        if !has(Role::Sackd) || renewals.iter().any(|renewal| given.came_before(renewal, now)) {
            return None;
        }
        Some(match renewals.last() {
            None => Lack::NoRenewal,
            Some(last) if given.is_dated_wrongly(last, now) => Lack::DatedWrongly,
            Some(_) => Lack::BeforeBundle,
        })
    }

    fn asks_restd_of(&self, host: &str) -> bool {
        self.targets.iter().any(|target| target.name == host && target.daemon == Some(Daemon::Restd))
    }

    /// Names that nobody could be asked about. (What a slurmd showed is more than what the ledger says of it.)
    fn names_that_lack(&self, counts: &BTreeSet<String>, lacks: &mut Lacks) {
        let asked = |name: &str| self.targets.iter().any(|target| target.certificate == name);
        let unheard = |holder: &&Holder| counts.contains(&holder.name) && !asked(&holder.name);
        for holder in self.holders.iter().filter(unheard) {
            if is_daemons(&holder.name) {
                lacks.add(Lack::NoPort, &holder.name);
            } else if !holder.has_newer {
                lacks.add(Lack::OldInLedger, &holder.name);
            }
        }
    }
}

/// Whether the ledger has this name for a daemon with a port, wherever that runs.
fn is_daemons(name: &str) -> bool {
    [Daemon::Ctld, Daemon::Dbd, Daemon::Restd].iter().any(|daemon| daemon.program() == name)
}

fn refuse_too_early(files: &SiteFiles<'_>, state: &State, new: &X509) -> anyhow::Result<()> {
    match state.phase {
        Phase::Finishing => Ok(()),
        Phase::Switched if files.issues_by(state, new)? => Ok(()),
        Phase::Switched | Phase::Begun => Err(Advice::new(
            format!("certificates do not come from {} yet", state.new.subject),
            "first: slurm-pki ca rollover switch",
        )
        .into()),
        Phase::Aborting => {
            Err(Advice::new("this rollover is being aborted", "complete that: slurm-pki ca rollover abort")
                .into())
        }
    }
}

/// Whether the key of a root, kept for its next intermediate, is nobody's in the bundle any more.
fn is_nobodys_root_key(admin: &Admin, bundle: &Bundle) -> bool {
    let key = signer::ca_key(&crate::ca::new::root_key_path(admin))
        .and_then(|key| key.public().map_err(site::Error::contents(&admin.controller.ca_key)));
    key.is_ok_and(|key| !bundle.anchors.iter().any(|anchor| anchor.facts().spki == key.spki()))
}

/// Who has not shown it, by what is missing.
#[derive(Default)]
struct Lacks(BTreeMap<Lack, BTreeSet<String>>);

impl Lacks {
    fn add(&mut self, lack: Lack, name: &str) {
        self.0.entry(lack).or_default().insert(name.to_owned());
    }

    fn into_result(self) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        for (lack, names) in &self.0 {
            report::warning(&format!("{}: {lack}", hostlist::fold_texts(names.iter().map(String::as_str))));
        }
        let all: BTreeSet<&str> = self.0.values().flatten().map(String::as_str).collect();
        Err(Advice::new(
            format!("the old root stays: not shown by {}", hostlist::fold_texts(all)),
            "do what is said above and run this again; nothing was changed",
        )
        .into())
    }
}
