//! `slurm-pki ca rollover switch`: from now on the new CA issues.

use clap::Args;
use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;
use site::config::{Daemon, DaemonConfig};

use super::bundle::Bundle;
use super::daemons;
use super::hosts;
use super::issuing::Issuing;
use super::site_files::SiteFiles;
use super::state::{Phase, State};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist;
use crate::members::{Members, Role, is_this_host};
use crate::report;

/// Issue under the new CA from now on, its cross certificate beside each leaf
#[derive(Args, Debug)]
#[command(
    after_help = "sign_csr needs no restart. Pairs of slurmctld, slurmdbd and slurmrestd that are on this host are issued \
    anew and loaded at the daemon's next start. Peers that do not have the new root yet accept what is issued: they \
    are listed, and nothing waits for them.\n\n\
    Examples:\n  \
    slurm-pki ca rollover switch\n  \
    slurm-pki ca rollover switch --dry-run"
)]
pub(super) struct Switch {}

impl Switch {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let now = clock::now();
        let files = SiteFiles::to_change(global, admin)?;
        let mut state = files.state_under_way()?;
        if !matches!(state.phase, Phase::Begun | Phase::Switched) {
            return Err(Advice::new(
                format!("this rollover is {} already", state.phase),
                format!("run the same again: slurm-pki ca rollover {}", command_of(state.phase)),
            )
            .into());
        }
        let new = files.new_root(&state)?;
        files.put_bundle(&Bundle::of(admin)?.with(&new)?.text)?;
        change(&files, &mut state, &new, now)?;
        daemons::move_to(&files, &new, now)?;
        hosts::say_who_lacks(&files)?;
        say_what_else_counts(admin, &state, now)?;
        if global.dry_run {
            return Ok(());
        }
        report::done(global, &format!("Certificates come from {} now.", state.new.subject));
        report::done(
            global,
            "Restart slurmctld, slurmdbd and slurmrestd where they run; nodes renew by themselves. \
             Then: slurm-pki ca rollover finish",
        );
        Ok(())
    }
}

/// Other controllers sign from their own files, and nothing lasts longer than the cross certificate.
fn say_what_else_counts(admin: &Admin, state: &State, now: UnixTime) -> anyhow::Result<()> {
    let members = Members::of(admin)?;
    let others =
        members.with(Role::Ctld).map(|member| member.host.as_str()).filter(|host| !is_this_host(host));
    let others = hostlist::fold_texts(others);
    if !others.is_empty() {
        report::warning(&format!(
            "{others} signs too, as a controller: where {} is not shared, copy it there now",
            admin.top().state_dir.display()
        ));
    }
    let longest = DaemonConfig::read(&admin.config, &admin.controller, Daemon::Ctld).advise()?.validity;
    if state.old.not_after < now.plus(longest) {
        report::warning(&format!(
            "what is issued before finish ends with the old CA, at {}: finish in time, then renew the daemons' pairs",
            state.old.not_after
        ));
    }
    Ok(())
}

/// The chain of both keys first, in which each finds its own way, then the key. The state says so before:
/// whoever aborts must know that the new key may have signed.
fn change(files: &SiteFiles<'_>, state: &mut State, new: &X509, now: UnixTime) -> anyhow::Result<()> {
    let ca = files.new_ca(state, new)?;
    let way = both_ways(&files.cross(new)?, &files.old_chain()?);
    serves_now(files, state, new, (&ca, &way), now)?;
    if !files.issues_by(state, new)? {
        files.keep_old_key()?;
    }
    files.advance(state, Phase::Switched, now)?;
    files.put_chain(&way)?;
    files.let_issue(&ca)
}

/// Once more before the change, at the time that it is now.
fn serves_now(
    files: &SiteFiles<'_>,
    state: &State,
    new: &X509,
    (ca, way): (&Issuing<'_>, &[X509]),
    now: UnixTime,
) -> anyhow::Result<()> {
    let old = Bundle::loading(files.old_bundle()?)?.anchors;
    let both = [old.as_slice(), std::slice::from_ref(new)].concat();
    let mut peers = vec![vec![new.clone()], both];
    if now < state.old.not_after {
        peers.push(old);
    } else {
        report::warning(&format!(
            "{} ended at {}: hosts without the new root trust nobody any more",
            state.old.subject, state.old.not_after
        ));
    }
    ca.try_out_all(files.admin, peers, way, now)
}

/// ca_chain in the middle of a rollover: the way of the new key, and in it, or after it, that of the old one.
pub(super) fn both_ways(cross: &X509, old_chain: &[X509]) -> Vec<X509> {
    let others = old_chain.iter().filter(|ca| *ca != cross);
    std::iter::once(cross).chain(others).cloned().collect()
}

fn command_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Begun => "begin",
        Phase::Switched => "switch",
        Phase::Finishing => "finish",
        Phase::Aborting => "abort",
    }
}
