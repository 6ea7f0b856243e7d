//! `slurm-pki auth-key drop`: the old key leaves.

use clap::Args;

use super::care;
use super::files::Files;
use super::rollout::{Reach, Work, done_of, under_way};
use super::state::Phase;
use super::use_new::{enter, lost, rotation_of};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;

/// Take the old key away, everywhere
#[derive(Args, Debug)]
#[command(
    after_help = "Refused until the last credential of the old key has ended (AuthInfo=ttl= after use, 60 s by default); while \
    jobs run whose step managers began before use was done, unless --yes; and while anything may come back that knows the \
    old key alone, until --skip names it. There is no way back from here: once begun, it is completed by the same command.\n\n\
    Examples:\n  \
    slurm-pki auth-key drop\n  \
    slurm-pki auth-key drop --skip c[01-64] --skip ResumeProgram\n  \
    slurm-pki auth-key drop --skip /srv/images/node.img"
)]
pub(super) struct DropOld {
    #[command(flatten)]
    reach: Reach,
}

impl DropOld {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        drop_old(&mut work)
    }
}

/// The whole phase, from wherever it stands.
///
/// # Errors
/// When it is too early, or not every daemon has shown that it loaded the list.
pub(super) fn drop_old(work: &mut Work<'_>) -> anyhow::Result<()> {
    let rotation = rotation_of(work)?;
    let (old, new) = (rotation.old.clone().unwrap_or_default(), rotation.new.clone());
    match rotation.phase {
        Phase::Use if rotation.compromised => {
            done_of(rotation)?;
            enter(work, Phase::Drop)?;
        }
        Phase::Use => {
            may_leave(work)?;
            enter(work, Phase::Drop)?;
        }
        Phase::Drop => {}
        _ => return Err(under_way(rotation)),
    }
    leave(work, &old, &new)?;
    report::done(work.files.global, &format!("All sign with {new}; {old} is gone."));
    Ok(())
}

/// Nothing that the key which signed before this phase has signed is under way.
///
/// # Errors
/// When something may be.
pub(super) fn may_leave(work: &Work<'_>) -> anyhow::Result<()> {
    let rotation = rotation_of(work)?;
    let done = done_of(rotation)?;
    care::nobody_straggles(work, rotation.phase)?;
    care::nobody_comes_back(work)?;
    care::step_managers_are_gone(work, done)?;
    care::credentials_are_over(work.files.admin, done)
}

/// Takes a key out of the list, everywhere; all is over then.
pub(super) fn leave(work: &mut Work<'_>, leaves: &str, stays: &str) -> anyhow::Result<()> {
    let mut keyring = work.files.keyring_there()?;
    if !keyring.has(stays) {
        return Err(lost(work, stays));
    }
    if keyring.has(leaves) {
        keyring.remove(leaves).map_err(|why| {
            Advice::new(
                format!("{}: {why}", work.files.jwks.display()),
                "somebody changed it: bring back the one of another host, or of a backup",
            )
        })?;
    }
    work.bring(&keyring)?;
    work.state.keys.remove(leaves);
    work.state.rotation = None;
    work.write_state()
}
