//! `slurm-pki auth-key add`: a new key that every daemon knows, and nobody signs with.

use clap::Args;
use pki::time::UnixTime;
use site::clock;

use super::files::Files;
use super::init::{new_kid, new_secret};
use super::rollout::{Reach, Work, under_way};
use super::state::{Made, Phase, Rotation};
use crate::admin::Admin;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Make a new key, and have every daemon load it; nobody signs with it yet
#[derive(Args, Debug)]
#[command(
    after_help = "The other keys of slurm.jwks, and whatever else is in it, stay. Run it again for hosts that it did not \
    reach.\n\n\
    Examples:\n  \
    slurm-pki auth-key add\n  \
    slurm-pki auth-key add --wait 1h --accept-busy\n  \
    slurm-pki auth-key add --no-push              images or configuration management bring slurm.jwks\n  \
    slurm-pki auth-key add --skip n[7,9]          these are dead; they are remembered"
)]
pub(super) struct Add {
    #[command(flatten)]
    reach: Reach,
}

impl Add {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        add(&mut work, false)?;
        if !global.dry_run {
            report::done(global, "Next: slurm-pki auth-key use");
        }
        Ok(())
    }
}

/// The whole phase, from wherever it stands.
///
/// # Errors
/// When another phase is under way, or not every daemon has shown that it knows the new key.
pub(super) fn add(work: &mut Work<'_>, compromised: bool) -> anyhow::Result<()> {
    let mut keyring = work.files.keyring_there()?;
    match work.rotation() {
        None => {
            let (old, new, now) = (keyring.default_kid().to_owned(), new_kid()?, clock::now());
            warn_of_end(keyring.end(&old), now);
            let mut rotation = Rotation::begun(Phase::Add, Some(old), new.clone(), now);
            rotation.compromised = compromised;
            work.state.keys.insert(new, Made { created: now });
            work.state.rotation = Some(rotation);
            work.write_state()?;
        }
        Some(rotation) if rotation.phase == Phase::Add => {}
        Some(rotation) => return Err(under_way(rotation)),
    }
    let new = work.rotation().map(|rotation| rotation.new.clone()).unwrap_or_default();
    if !keyring.has(&new) {
        keyring.add(&new, &new_secret()?);
    }
    work.bring(&keyring)
}

/// Signers never look at it, and everybody who verifies does (slurm-contract.md 5).
fn warn_of_end(end: Option<i64>, now: UnixTime) {
    if let Some(end) = end.map(UnixTime) {
        report::warning(&format!(
            "the key that signs ends {}, and nothing signed with it is accepted then: use must be done before",
            moment::shown(end, now)
        ));
    }
}
