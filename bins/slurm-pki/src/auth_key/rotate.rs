//! `slurm-pki auth-key rotate`: all phases, one after the other.

use std::time::Duration;

use clap::Args;
use site::clock;

use super::add::add;
use super::ages;
use super::care;
use super::drop_old::drop_old;
use super::files::Files;
use super::rollout::{Reach, Work, done_of, under_way};
use super::state::Phase;
use super::use_new::use_new;
use crate::admin::Admin;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Walk through add, use and drop, and wait as long as it takes
#[derive(Args, Debug)]
#[command(
    after_help = "Goes on where another run ended, or a command of one phase. Between use and drop it waits until the last \
    credential of the old key has ended. It stops where drop would refuse: run it again, or name what may miss the new \
    key.\n\n\
    With --compromised (others know the key) the old key leaves as soon as all sign with the new one, and hosts that are not \
    reached are left behind. That breaks what is signed with the old key and under way, jobs' step managers, and every \
    host and image that was not reached; it is said and asked first.\n\n\
    Exit codes: 0 done, or the key is younger than --if-older-than and nothing was to do; 1 failed, or it stopped; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki auth-key rotate\n  \
    slurm-pki auth-key rotate --if-older-than 90d --accept-busy\n  \
    slurm-pki auth-key rotate --skip c[01-64] --skip ResumeProgram\n  \
    slurm-pki auth-key rotate --compromised --yes"
)]
pub(super) struct Rotate {
    /// Do nothing while the key that signs is younger, unless a rotation is under way
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    if_older_than: Option<Duration>,
    /// Others know the key: drop it at once, whatever breaks
    #[arg(long)]
    compromised: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Rotate {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let files = Files::to_change(global, admin)?;
        let state = files.state()?;
        let mut work = Work { files, state, reach: self.reach.clone() };
        if self.is_young(&work)? {
            return Ok(());
        }
        if self.compromised {
            self.confirm(&mut work)?;
        }
        walk(&mut work, self.compromised)
    }

    /// Whether there is nothing to do yet.
    fn is_young(&self, work: &Work<'_>) -> anyhow::Result<bool> {
        let Some(span) = self.if_older_than.filter(|_| work.rotation().is_none()) else { return Ok(false) };
        let keyring = work.files.keyring_there()?;
        let (kid, now) = (keyring.default_kid(), clock::now());
        let created = ages::created(&work.state, kid, &work.files.jwks).unwrap_or(now);
        let young = created.plus(span) > now;
        if young {
            let made = moment::shown(created, now);
            report::done(work.files.global, &format!("{kid} was made {made}: nothing to do"));
        }
        Ok(young)
    }

    fn confirm(&self, work: &mut Work<'_>) -> anyhow::Result<()> {
        for line in [
            "what is signed with the old key and under way fails: commands and messages of the last moments",
            "jobs with a step manager cannot start steps any more",
            "hosts that are not reached, nodes that are away, images and what ResumeProgram brings are locked out until \
             they have the new list",
        ] {
            report::warning(line);
        }
        if !work.files.global.dry_run {
            report::confirm(work.files.global, "Drop the old key at once?")?;
        }
        if let Some(rotation) = work.state.rotation.as_mut() {
            rotation.compromised = true;
            work.write_state()?;
        }
        Ok(())
    }
}

fn walk(work: &mut Work<'_>, compromised: bool) -> anyhow::Result<()> {
    loop {
        come_back(work, compromised)?;
        match work.rotation().map(|rotation| (rotation.phase, rotation.done)) {
            None => add(work, compromised)?,
            Some((Phase::Add, None)) => add(work, compromised)?,
            Some((Phase::Add, Some(_)) | (Phase::Use, None)) => use_new(work)?,
            Some((Phase::Use, Some(_))) => {
                let rotation = work.rotation().filter(|rotation| !rotation.compromised);
                if let Some(done) = rotation.map(done_of).transpose()? {
                    care::wait_for_credentials(work, done)?;
                }
                return drop_old(work);
            }
            Some((Phase::Drop, _)) => return drop_old(work),
            Some((Phase::Init | Phase::Import | Phase::Return | Phase::Remove, _)) => {
                return work.rotation().map_or(Ok(()), |rotation| Err(under_way(rotation)));
            }
        }
        if work.files.global.dry_run {
            report::line(
                "would then go on with use, wait for the last credential of the old key, and drop it",
            );
            return Ok(());
        }
    }
}

/// Nodes that have come back since a phase was reached get its list before the next one begins.
fn come_back(work: &mut Work<'_>, compromised: bool) -> anyhow::Result<()> {
    let phase = work.rotation().filter(|is| is.done.is_some() && !is.compromised).map(|is| is.phase);
    match phase {
        Some(Phase::Add) if !work.stragglers()?.is_empty() => add(work, compromised),
        Some(Phase::Use) if !work.stragglers()?.is_empty() => use_new(work),
        _ => Ok(()),
    }
}
