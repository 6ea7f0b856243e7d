//! `slurm-pki ca rollover finish`: proof, then the old root goes.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;
use site::signer;

use super::alive;
use super::bundle::Bundle;
use super::hosts::{self, Reach};
use super::proof::{self, Lack, Target};
use super::site_files::SiteFiles;
use super::state::{Phase, State};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::fleet::Skips;
use crate::global::Global;
use crate::hostlist;
use crate::members::{Members, Role, is_this_host};
use crate::report;

/// What a dead host is remembered for.
const MISSED: &str = "the end of a CA rollover";

/// Drop the old root everywhere, once every daemon has shown that it does without
#[derive(Args, Debug)]
#[command(
    after_help = "Every daemon is asked over TLS 1.2 with a certificate of the new CA alone: a handshake that completes \
    shows that the new root is loaded there, and the certificate it serves must be the new CA's. Names that cannot be \
    asked are judged by the ledger. Whatever is not shown is listed, and nothing is changed.\n\n\
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
        hosts::bring(&files, &self.reach.of_hosts(admin)?, MISSED, now)?;
        files.put_chain(&[])?;
        if is_nobodys_root_key(admin, &left) {
            files.take_root_key()?;
        }
        files.put_aside()?;
        if global.dry_run {
            return Ok(());
        }
        report::done(global, &format!("{} is the only CA now.", state.new.subject));
        report::done(global, "Nobody trusts the old CA's key any more; delete it there, and its backups.");
        Ok(())
    }

    /// Nothing, when all have shown it.
    fn prove(&self, files: &SiteFiles<'_>, state: &State, new: &X509, now: UnixTime) -> anyhow::Result<()> {
        let admin = files.admin;
        let members = Members::of(admin)?;
        let targets = proof::targets(admin, &members)?;
        let holders = alive::holders(admin, &state.old.subject, now)?;
        let unasked = unasked(&members, &targets);
        let mut names: BTreeSet<String> = targets.iter().map(|target| target.name.clone()).collect();
        names.extend(unasked.iter().cloned());
        names.extend(holders.iter().map(|holder| holder.name.clone()));
        names.extend(members.all().iter().map(|member| member.host.clone()));
        let counts = self.counting(files, names, now)?;
        let targets: Vec<_> = targets.into_iter().filter(|target| counts.contains(&target.name)).collect();
        if files.global.dry_run {
            let whom = hostlist::fold_texts(targets.iter().map(|target| target.name.as_str()));
            report::line(&format!("would ask {} daemons: {whom}", targets.len()));
            return Ok(());
        }
        let mut lacks = Lacks::default();
        let mut shown = BTreeSet::new();
        let answers = proof::ask(files, new, targets, now)?;
        for (target, answer) in &answers {
            match answer {
                Ok(()) => drop(shown.insert(target.certificate.clone())),
                Err(lack) => lacks.add(*lack, &target.name),
            }
        }
        let lacking: BTreeSet<_> = hosts::standing(admin)?.lacking.into_iter().collect();
        for host in unasked.iter().filter(|host| counts.contains(*host) && lacking.contains(*host)) {
            lacks.add(Lack::NoBundle, host);
        }
        // What a slurmd showed is more than what the ledger says of it.
        let asked: BTreeSet<_> = answers.iter().map(|(target, _)| target.certificate.as_str()).collect();
        for holder in holders.iter().filter(|holder| !holder.has_newer && counts.contains(&holder.name)) {
            if !shown.contains(&holder.name) && !asked.contains(holder.name.as_str()) {
                lacks.add(Lack::OldInLedger, &holder.name);
            }
        }
        report::done(
            files.global,
            &format!("shown    by {} of {} daemons", answers.len() - lacks.asked, answers.len()),
        );
        lacks.into_result()
    }

    /// The names that count: all but the dead.
    fn counting(
        &self,
        files: &SiteFiles<'_>,
        names: BTreeSet<String>,
        now: UnixTime,
    ) -> anyhow::Result<BTreeSet<String>> {
        let skip = self.reach.skipped()?;
        let mut skips = Skips::load(files.admin)?;
        let names = names.into_iter().collect();
        let left = skips.leave_out(files.global, names, &skip, MISSED, now)?;
        Ok(left.into_iter().collect())
    }
}

/// Hosts with programs of Slurm's that load the bundle and have no port to ask.
fn unasked(members: &Members, targets: &[Target]) -> Vec<String> {
    let without_port = [Role::Sackd, Role::Also, Role::Restd];
    let hosts =
        members.all().iter().filter(|member| member.roles.iter().any(|role| without_port.contains(role)));
    let is_asked = |host: &str| targets.iter().any(|target| target.name == host);
    let hosts = hosts.map(|member| member.host.clone());
    hosts.filter(|host| !is_this_host(host) && !is_asked(host)).collect()
}

fn refuse_too_early(files: &SiteFiles<'_>, state: &State, new: &X509) -> anyhow::Result<()> {
    match state.phase {
        Phase::Finishing => Ok(()),
        Phase::Switched if files.signs_with_key_of(new)? => Ok(()),
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
struct Lacks {
    by_lack: BTreeMap<Lack, BTreeSet<String>>,
    asked: usize,
}

impl Lacks {
    fn add(&mut self, lack: Lack, name: &str) {
        self.by_lack.entry(lack).or_default().insert(name.to_owned());
        if !matches!(lack, Lack::NoBundle | Lack::OldInLedger) {
            self.asked += 1;
        }
    }

    fn into_result(self) -> anyhow::Result<()> {
        if self.by_lack.is_empty() {
            return Ok(());
        }
        for (lack, names) in &self.by_lack {
            report::warning(&format!("{}: {lack}", hostlist::fold_texts(names.iter().map(String::as_str))));
        }
        let all: BTreeSet<&str> = self.by_lack.values().flatten().map(String::as_str).collect();
        Err(Advice::new(
            format!("the old root stays: not shown by {}", hostlist::fold_texts(all)),
            "do what is said above and run this again; nothing was changed",
        )
        .into())
    }
}
