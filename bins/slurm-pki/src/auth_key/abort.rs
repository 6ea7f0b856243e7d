//! `slurm-pki auth-key abort`: back to the old key.

use clap::Args;

use super::care;
use super::drop_old::{leave, may_leave};
use super::files::Files;
use super::rollout::{Reach, Work, done_of};
use super::state::Phase;
use super::use_new::{enter, lost, rotation_of};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;

/// Go back to the old key
#[derive(Args, Debug)]
#[command(
    after_help = "Possible until drop has begun. After add the new key leaves at once: nobody has signed with it. After use all sign \
    with the old key again first, and the new one leaves with the same care as the old one does in drop: this waits until \
    its last credential has ended.\n\n\
    Examples:\n  \
    slurm-pki auth-key abort\n  \
    slurm-pki auth-key abort --skip n[7,9]"
)]
pub(super) struct Abort {
    #[command(flatten)]
    reach: Reach,
}

impl Abort {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        let rotation = rotation_of(&work)?;
        let (old, new) = (rotation.old.clone().unwrap_or_default(), rotation.new.clone());
        match rotation.phase {
            Phase::Init | Phase::Import => return Err(nothing_to_go_back_to(rotation.phase)),
            Phase::Drop => return Err(too_late()),
            Phase::Add => enter(&mut work, Phase::Remove)?,
            Phase::Use => enter(&mut work, Phase::Return)?,
            Phase::Return | Phase::Remove => {}
        }
        if rotation_of(&work)?.phase == Phase::Return {
            go_back(&mut work, &old)?;
        }
        leave(&mut work, &new, &old)?;
        report::done(global, &format!("All sign with {old} as before; {new} is gone."));
        Ok(())
    }
}

/// All sign with the old key again, and nothing that was signed with the new one is under way.
fn go_back(work: &mut Work<'_>, old: &str) -> anyhow::Result<()> {
    let mut keyring = work.files.keyring_there()?;
    if !keyring.has(old) {
        return Err(lost(work, old));
    }
    keyring.make_default(old);
    work.bring(&keyring)?;
    if !work.files.global.dry_run {
        care::wait_for_credentials(work, done_of(rotation_of(work)?)?)?;
        may_leave(work)?;
    }
    enter(work, Phase::Remove)
}

fn too_late() -> anyhow::Error {
    Advice::new(
        "drop has begun: hosts may be without the old key already",
        "complete it: slurm-pki auth-key drop; a next rotation brings another key",
    )
    .into()
}

fn nothing_to_go_back_to(phase: Phase) -> anyhow::Error {
    Advice::new(
        format!("{phase} brings no other key, so there is none to go back to"),
        format!("complete it: {}", phase.command()),
    )
    .into()
}
