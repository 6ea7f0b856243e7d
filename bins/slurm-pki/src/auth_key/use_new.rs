//! `slurm-pki auth-key use`: everybody signs with the new key.

use clap::Args;
use site::clock;

use super::care;
use super::files::Files;
use super::rollout::{Reach, Work, done_of, under_way};
use super::state::{Phase, Rotation};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Have every daemon sign with the new key; the old one is accepted still
#[derive(Args, Debug)]
#[command(
    after_help = "Lists first what may miss the new key: nodes that are powered down, booting, rebooting, of the cloud or of the \
    future, images, and what ResumeProgram brings. Refused while jobs run whose step managers began before add and know \
    the old key alone; --yes goes on all the same.\n\n\
    Examples:\n  \
    slurm-pki auth-key use\n  \
    slurm-pki auth-key use --dry-run\n  \
    slurm-pki auth-key use --skip n[7,9] --skip ResumeProgram"
)]
pub(super) struct Use {
    #[command(flatten)]
    reach: Reach,
}

impl Use {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        use_new(&mut work)?;
        if let Some(done) = work.rotation().and_then(|rotation| rotation.done).filter(|_| !global.dry_run) {
            let end = care::credentials_end(admin, done)?;
            report::done(
                global,
                &format!("Next, {}: slurm-pki auth-key drop", moment::relative(end, clock::now())),
            );
        }
        Ok(())
    }
}

/// For a phase that needs a rotation.
///
/// # Errors
/// When none is under way.
pub(super) fn rotation_of<'w>(work: &'w Work<'_>) -> anyhow::Result<&'w Rotation> {
    work.rotation().ok_or_else(|| {
        Advice::new("no rotation is under way", "begin one: slurm-pki auth-key add, or rotate for all of it")
            .into()
    })
}

/// The whole phase, from wherever it stands.
///
/// # Errors
/// When it is not its turn, or not every daemon has shown that it loaded the list.
pub(super) fn use_new(work: &mut Work<'_>) -> anyhow::Result<()> {
    let rotation = rotation_of(work)?;
    let (new, compromised) = (rotation.new.clone(), rotation.compromised);
    let mut keyring = work.files.keyring_there()?;
    match rotation.phase {
        Phase::Add => {
            let added = done_of(rotation)?;
            if !compromised {
                care::nobody_straggles(work, Phase::Add)?;
                care::list_absent(work)?;
                care::step_managers_are_gone(work, added)?;
            }
            if !keyring.has(&new) {
                return Err(lost(work, &new));
            }
            enter(work, Phase::Use)?;
        }
        Phase::Use => {}
        _ => return Err(under_way(rotation)),
    }
    if !keyring.has(&new) {
        return Err(lost(work, &new));
    }
    keyring.make_default(&new);
    work.bring(&keyring)
}

/// Puts another phase on record, before the files that make it so.
pub(super) fn enter(work: &mut Work<'_>, phase: Phase) -> anyhow::Result<()> {
    if let Some(rotation) = work.state.rotation.as_mut() {
        rotation.enter(phase, clock::now());
    }
    work.write_state()
}

/// A list without the key that all of this is about.
pub(super) fn lost(work: &Work<'_>, kid: &str) -> anyhow::Error {
    Advice::new(
        format!("{} has no key {kid} any more", work.files.jwks.display()),
        "somebody changed it: bring back the one of another host, or of a backup",
    )
    .into()
}
