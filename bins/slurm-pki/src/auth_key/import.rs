//! `slurm-pki auth-key import`: from slurm.key to slurm.jwks, with the same key.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use clap::Args;
use pki::time::UnixTime;
use site::clock;

use super::files::Files;
use super::init::new_kid;
use super::keyring::Keyring;
use super::rollout::{Reach, Work, under_way};
use super::state::{Made, Phase, Rotation};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::report;

/// Turn slurm.key into a slurm.jwks with the very same key, everywhere
#[derive(Args, Debug)]
#[command(
    after_help = "Daemons that have loaded the list and daemons that have not understand each other all the time: the key \
    that signs has the same bytes. slurm.key stays where it is; where there is a slurm.jwks nobody reads it any more.\n\n\
    Examples:\n  \
    slurm-pki auth-key import --dry-run\n  \
    slurm-pki auth-key import\n  \
    slurm-pki auth-key import --skip n[7,9]       these are dead; they are remembered"
)]
pub(super) struct Import {
    #[command(flatten)]
    reach: Reach,
}

impl Import {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        match work.rotation() {
            None => begin(&mut work)?,
            Some(rotation) if rotation.phase == Phase::Import => {}
            Some(rotation) => return Err(under_way(rotation)),
        }
        let kid = work.rotation().map(|rotation| rotation.new.clone()).unwrap_or_default();
        let keyring = match work.files.keyring()? {
            Some(keyring) if keyring.has(&kid) => keyring,
            Some(_) => return Err(there_already(&work.files)),
            None => Keyring::of(&kid, &work.files.slurm_key()?),
        };
        work.bring(&keyring)?;
        work.state.rotation = None;
        work.write_state()?;
        if !global.dry_run {
            report::done(
                global,
                &format!(
                    "{} is read by nobody any more; remove it, on other hosts too, once it is in a backup",
                    work.files.key.display()
                ),
            );
            report::done(global, "Next, in time: slurm-pki auth-key rotate");
        }
        Ok(())
    }
}

fn begin(work: &mut Work<'_>) -> anyhow::Result<()> {
    if work.files.keyring()?.is_some() {
        return Err(there_already(&work.files));
    }
    // Whether daemons would load it is found out before anything is put on record.
    let kid = new_kid()?;
    let keyring = Keyring::of(&kid, &work.files.slurm_key()?);
    work.files.judge_new(&keyring)?;
    let made = fs::metadata(&work.files.key).map(|is| UnixTime(is.mtime()));
    work.state.keys.insert(kid.clone(), Made { created: made.unwrap_or_else(|_| clock::now()) });
    work.state.rotation = Some(Rotation::begun(Phase::Import, None, kid, clock::now()));
    work.write_state()
}

fn there_already(files: &Files<'_>) -> anyhow::Error {
    Advice::new(
        format!("{} is there already, and slurm.key is read by nobody", files.jwks.display()),
        "see slurm-pki auth-key status; a new key comes by slurm-pki auth-key rotate",
    )
    .into()
}
