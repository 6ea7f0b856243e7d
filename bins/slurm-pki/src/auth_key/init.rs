//! `slurm-pki auth-key init`: the first key of a cluster.

use clap::Args;
use pki::secret::Secret;
use site::clock;
use site::random;

use super::files::Files;
use super::keyring::Keyring;
use super::rollout::{self, Reach, Work, how_to_bring, under_way};
use super::state::{Made, Phase, Rotation};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::members::Members;
use crate::report;

/// Make the first key of a cluster: slurm.jwks with 256 random bits
#[derive(Args, Debug)]
#[command(
    after_help = "Refused where this host has a slurm.jwks or a slurm.key, and with --everywhere where any host has one. \
    Nothing is reloaded: daemons read it at their next start. It is SlurmUser's, mode 0600, on every host.\n\n\
    Examples:\n  \
    slurm-pki auth-key init                       and says how other hosts get it\n  \
    slurm-pki auth-key init --everywhere          by the tools that [fleet] names\n  \
    slurm-pki auth-key init --everywhere --skip n[7,9]"
)]
pub(super) struct Init {
    /// Bring it to every host that runs slurmctld, slurmdbd, slurmd or sackd
    #[arg(long)]
    everywhere: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Init {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        let members = Members::of(admin)?;
        match work.rotation() {
            None => begin(&mut work, &members, self.everywhere, &self.reach)?,
            Some(rotation) if rotation.phase == Phase::Init => {}
            Some(rotation) => return Err(under_way(rotation)),
        }
        let keyring = here(&work)?;
        work.files.put(&keyring)?;
        if self.everywhere {
            if !global.dry_run {
                rollout::refuse_other_keys(&work.files, &members, Some(&keyring), &self.reach)?;
            }
            work.bring_only(&keyring, &members)?;
        } else {
            let how = how_to_bring(&work.files.placed(&keyring.to_json())?);
            report::done(global, &format!("Every host with a daemon needs it: {how}"));
        }
        work.state.rotation = None;
        work.write_state()
    }
}

fn begin(work: &mut Work<'_>, members: &Members, everywhere: bool, reach: &Reach) -> anyhow::Result<()> {
    if work.files.keyring()?.is_some() {
        return Err(Advice::new(
            format!("{} is there already", work.files.jwks.display()),
            "a new key comes without an outage by: slurm-pki auth-key rotate",
        )
        .into());
    }
    if work.files.has_slurm_key() {
        return Err(Advice::new(
            format!("{} is there: the cluster has a key", work.files.key.display()),
            "the same key as a list: slurm-pki auth-key import",
        )
        .into());
    }
    if everywhere {
        rollout::refuse_other_keys(&work.files, members, None, reach)?;
    }
    let (kid, now) = (new_kid()?, clock::now());
    work.state.keys.insert(kid.clone(), Made { created: now });
    work.state.rotation = Some(Rotation::begun(Phase::Init, None, kid, now));
    work.write_state()
}

/// The list, made now unless a run before this one made it.
fn here(work: &Work<'_>) -> anyhow::Result<Keyring> {
    let kid = work.rotation().map(|rotation| rotation.new.clone()).unwrap_or_default();
    match work.files.keyring()? {
        Some(keyring) if keyring.kids() == [kid.as_str()] => Ok(keyring),
        Some(_) => Err(Advice::new(
            format!("{} is not the list that init makes", work.files.jwks.display()),
            "somebody put it there meanwhile; if it is the cluster's, remove auth-key/state.json in state_dir",
        )
        .into()),
        None => Ok(Keyring::of(&kid, &new_secret()?)),
    }
}

/// A name that no other key has (RFC 9562, version 4).
pub(super) fn new_kid() -> anyhow::Result<String> {
    Ok(uuid::Builder::from_random_bytes(random::bytes().advise()?).into_uuid().to_string())
}

/// 256 random bits, as many as HS256 can use (RFC 7518 3.2).
pub(super) fn new_secret() -> anyhow::Result<Secret> {
    Ok(Secret::new(random::bytes::<32>().advise()?.to_vec()))
}
