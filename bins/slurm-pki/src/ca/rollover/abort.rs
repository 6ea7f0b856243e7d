//! `slurm-pki ca rollover abort`: back to the old CA.

use clap::Args;
use pki::time::UnixTime;
use pki::x509::X509;
use site::clock;

use super::bundle::Bundle;
use super::daemons;
use super::hosts::{self, Reach};
use super::site_files::SiteFiles;
use super::state::{Phase, State};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;

/// Go back to the old CA
#[derive(Args, Debug)]
#[command(
    after_help = "Possible until finish has begun, and while the old CA lasts. What was issued under the new CA carries the \
    cross certificate, so peers accept it until it ends, with the old root alone too. The new CA's files are put aside, \
    not deleted; its issuer in Vault stays under another name and signs nothing.\n\n\
    Examples:\n  \
    slurm-pki ca rollover abort\n  \
    slurm-pki ca rollover abort --no-push"
)]
pub(super) struct Abort {
    #[command(flatten)]
    reach: Reach,
}

impl Abort {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let now = clock::now();
        let files = SiteFiles::to_change(global, admin)?;
        let mut state = files.state_under_way()?;
        refuse_too_late(&state, now)?;
        let new = files.new_root(&state)?;
        let issuers = files.issuers(&state)?;
        sign_with_the_old_ca(&files, &mut state, &new, now)?;
        daemons::move_from(&files, &new, now)?;
        files.put_bundle(&bundle_without(&files, &state)?)?;
        hosts::bring(&files, &self.reach, now)?;
        // Last: sign_csr could have read the new key before, and its certificates only now.
        files.put_chain(&files.old_chain()?)?;
        if let Some((vault, issuers)) = issuers {
            vault.put_aside(global, &issuers, now)?;
        }
        files.put_aside()?;
        if global.dry_run {
            return Ok(());
        }
        report::done(global, &format!("Certificates come from {} again.", state.old.subject));
        Ok(())
    }
}

fn refuse_too_late(state: &State, now: UnixTime) -> anyhow::Result<()> {
    if state.phase == Phase::Finishing {
        return Err(Advice::new(
            "finish has begun: hosts may be without the old root already",
            "complete it: slurm-pki ca rollover finish",
        )
        .into());
    }
    if now >= state.old.not_after {
        return Err(Advice::new(
            format!("the old CA ended at {}: there is nothing to go back to", state.old.not_after),
            "go on: slurm-pki ca rollover switch",
        )
        .into());
    }
    Ok(())
}

/// The state first, the key then; the chain has the way of both as long as anybody may use the new key.
fn sign_with_the_old_ca(
    files: &SiteFiles<'_>,
    state: &mut State,
    new: &X509,
    now: UnixTime,
) -> anyhow::Result<()> {
    let old = files.old_ca_if_not_in_place(state, new)?;
    if let Some(ca) = &old {
        let anchors = Bundle::loading(files.old_bundle()?)?.anchors;
        ca.try_out(files.admin, anchors, files.old_chain()?, now)?;
    }
    files.advance(state, Phase::Aborting, now)?;
    match &old {
        Some(ca) => files.let_issue(ca),
        None => Ok(()),
    }
}

/// What hosts trusted before, to the letter, unless something else came into it meanwhile.
fn bundle_without(files: &SiteFiles<'_>, state: &State) -> anyhow::Result<Vec<u8>> {
    let left = Bundle::of(files.admin)?.without(std::slice::from_ref(&state.new.sha256))?;
    let before = Bundle::loading(files.old_bundle()?)?;
    Ok(if left.anchors == before.anchors { before.text } else { left.text })
}
