//! `slurm-pki cert renew`: the command that a timer runs.
//!
//! Everything is looked at, what is due gets a new pair, and one daemon's failure does not keep the others from theirs.

mod judge;
mod lock;
mod others;
mod outcome;
mod there;
mod work;

use std::collections::BTreeSet;

use clap::Args;
use pki::time::UnixTime;
use site::clock;
use site::config::Daemon;
use site::signer::Signer;

use self::lock::RenewLock;
use self::others::Others;
use self::outcome::{Outcome, Word};
use self::work::Work;
use super::facts::Trusted;
use super::issue::Which;
use super::target::{Place, Target, is_static};
use crate::activation::{self, How, Wish};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Missed, Skips};
use crate::global::Global;
use crate::hooks::{self, Hooks};
use crate::hostlist;
use crate::members::Members;
use crate::report;

/// Renew the certificates of Slurm's daemons that are due, each with a new key
#[derive(Args, Debug)]
#[command(
    after_help = "Due is what has passed the fraction renew_at of its life (a little earlier, spread by serial \
    number), is missing, expired or damaged, or was not issued by the present CA. Looked at are the daemons that have a pair \
    on this host or a section in the config; the other controllers, slurmdbd's hosts and those in [fleet] restd; and with a \
    section [daemons.slurmd] or [daemons.sackd] the static pairs of all nodes and login hosts (not where they ask certmgr and \
    the section has nothing but command, wait and probe).\n\n\
    The new pair is put in place and the daemon loads it at its next start. With --activate, or activate = true in its \
    section, the daemon is restarted within its window, and what it then serves is compared; so is what an earlier run \
    left waiting.\n\n\
    Exit codes: 0 done, or nothing was due; 1 something failed, the rest is done; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki cert renew                                   what the timer runs\n  \
    slurm-pki cert renew --dry-run                         what is due and why; are the hooks in order?\n  \
    slurm-pki cert renew ctld dbd --force --activate       new pairs now, and restarts\n  \
    slurm-pki cert renew --skip n[7,9]                     two hosts are dead: remember that"
)]
pub(super) struct Renew {
    /// Only these daemons: ctld, dbd, restd, slurmd, sackd
    #[arg(value_name = "DAEMON", conflicts_with = "only")]
    daemons: Vec<Which>,
    /// The same as a list, as in ctld,dbd
    #[arg(long, value_name = "DAEMONS", value_delimiter = ',')]
    only: Vec<Which>,
    /// Renew what is not due too
    #[arg(long)]
    force: bool,
    /// Restart the daemons that do not serve their new certificate yet, whatever their sections say
    #[arg(long)]
    activate: bool,
    /// Dead hosts, by node or host name, as in n[7-9]: left out, and remembered until they are reached again
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
}

impl Renew {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let now = clock::now();
        let skip = hostlist::hosts(&self.skip).usage()?;
        let mut troubles: Vec<anyhow::Error> = Vec::new();
        // A slip in slurm.conf is a failure in the end, and no reason to let this host's own certificates run out.
        let members = Members::of(&admin).unwrap_or_else(|e| {
            troubles.push(e);
            Members::default()
        });
        let targets = self.targets(&admin, &members)?;
        let _lock = (!global.dry_run).then(|| RenewLock::take(&admin)).transpose()?;
        let skip: Vec<_> = skip.iter().map(|name| members.host_of(name)).collect();
        let targets = left_in(global, &admin, targets, &skip, now)?;
        let signer = Signer::open(&admin.controller).advise()?;
        let trusted = Trusted::of(&admin);
        let work = Work { global, admin: &admin, signer, trusted, force: self.force, now };
        let done = renew(&work, &targets);
        for (target, outcome) in &done {
            troubles.extend(tell_hooks(global, &admin, target, outcome).err());
        }
        self.say(global, &done, now)?;
        troubles.extend(failures(&done).err());
        // Of some daemons alone: others of a host may still miss theirs.
        if self.only.is_empty() && self.daemons.is_empty() {
            troubles.extend(forget_reached(global, &admin, &done).err());
        }
        if global.dry_run {
            troubles.extend(check_hooks(global, &admin).err());
        }
        troubles.extend(self.activate(global, &admin, &done).err());
        verdict(troubles)
    }

    /// Restarts what does not serve yet what lies on disk for it, whether this run put it there or an earlier one.
    fn activate(&self, global: &Global, admin: &Admin, done: &[(&Target, Outcome)]) -> anyhow::Result<()> {
        // What would be restarted is text for a person.
        if global.dry_run && global.json {
            return Ok(());
        }
        let works = done.iter().filter(|(_, outcome)| outcome.result != Word::Failed);
        let targets: Vec<Target> =
            works.filter(|(target, _)| self.activates(target)).map(|(target, _)| (*target).clone()).collect();
        if targets.is_empty() {
            return Ok(());
        }
        let wish = Wish { how: How::Restart, in_window_only: true, start_dead: false };
        activation::activate(global, admin, &targets, wish)
    }

    fn activates(&self, target: &Target) -> bool {
        self.activate || target.config.activate
    }

    fn say(&self, global: &Global, done: &[(&Target, Outcome)], now: UnixTime) -> anyhow::Result<()> {
        if global.json {
            let outcomes: Vec<&Outcome> = done.iter().map(|(_, outcome)| outcome).collect();
            return report::json("slurm-pki.cert.renew.v1", &outcomes);
        }
        if done.is_empty() {
            report::line("no daemon has a pair here, nor a section in the config: slurm-pki cert issue");
        }
        done.iter().for_each(|(target, outcome)| outcome.say(self.activates(target), now));
        Ok(())
    }

    fn targets(&self, admin: &Admin, members: &Members) -> anyhow::Result<Vec<Target>> {
        let named: Vec<Daemon> =
            self.daemons.iter().chain(&self.only).map(|which| Daemon::from(*which)).collect();
        let all = Target::all(admin, members)?;
        if let Some(unknown) = named.iter().find(|daemon| !all.iter().any(|target| target.daemon == **daemon))
        {
            let short = unknown.short();
            let hint = match is_static(*unknown) {
                true => format!(
                    "a section [daemons.{short}] in the config has the pairs of its hosts kept, where it says more than \
                     command, wait and probe"
                ),
                false => format!("make its first one: slurm-pki cert issue {short}"),
            };
            return Err(Advice::new(format!("no pair of {unknown} is kept here"), hint).into());
        }
        Ok(all.into_iter().filter(|target| named.is_empty() || named.contains(&target.daemon)).collect())
    }
}

/// What the site's own programs are to know of a new pair, or of one that could not be made.
fn tell_hooks(global: &Global, admin: &Admin, target: &Target, outcome: &Outcome) -> anyhow::Result<()> {
    match outcome.result {
        Word::Renewed => hooks::tell(global, admin, "renewed", target, outcome.not_after),
        Word::Failed => hooks::tell(global, admin, "failed", target, None),
        _ => Ok(()),
    }
}

/// With `--dry-run`: each hook that would be run, and an error when one of them could not be.
fn check_hooks(global: &Global, admin: &Admin) -> anyhow::Result<()> {
    let hooks = Hooks::of(admin)?;
    let mut refused = Vec::new();
    for (name, hook) in hooks.all() {
        match hook {
            Ok(path) if !global.json => report::line(&format!("would run hook {}", path.display())),
            Ok(_) => {}
            Err(why) => refused.push(format!("{name}: {why}")),
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let hint = "let hooks belong to root, with mode 0755, in folders that only root can change";
    Err(Advice::new(format!("hooks that would not be run: {}", refused.join("; ")), hint).into())
}

/// What came of each: those of this host first, since a standby's files may be the same.
fn renew<'a>(work: &Work<'_>, targets: &'a [Target]) -> Vec<(&'a Target, Outcome)> {
    let (here, elsewhere): (Vec<&Target>, Vec<&Target>) =
        targets.iter().partition(|target| target.place == Place::Here);
    let others = (!elsewhere.is_empty()).then(|| Others::look(work, targets));
    let mut done: Vec<_> = here.into_iter().map(|target| (target, work.here(target))).collect();
    match others {
        None => {}
        Some(Ok(others)) => {
            let renewed = done.iter().filter(|(_, outcome)| outcome.result == Word::Renewed);
            let renewed: Vec<Daemon> = renewed.map(|(target, _)| target.daemon).collect();
            done.extend(others.renew(work, &renewed));
        }
        Some(Err(e)) => {
            done.extend(elsewhere.into_iter().map(|target| (target, Outcome::failed(target, &e))));
        }
    }
    done
}

/// Leaves the hosts out that `--skip` names.
fn left_in(
    global: &Global,
    admin: &Admin,
    mut targets: Vec<Target>,
    skip: &[String],
    now: UnixTime,
) -> anyhow::Result<Vec<Target>> {
    if skip.is_empty() {
        return Ok(targets);
    }
    let others = targets.iter().filter(|target| target.place != Place::Here);
    let hosts: BTreeSet<String> = others.map(|target| target.place.host()).collect();
    let left =
        Skips::load(admin)?.leave_out(global, hosts.into_iter().collect(), skip, Missed::Renewal, now)?;
    targets.retain(|target| target.place == Place::Here || left.contains(&target.place.host()));
    Ok(targets)
}

/// Hosts that were left out of this, and were reached again.
fn forget_reached(global: &Global, admin: &Admin, done: &[(&Target, Outcome)]) -> anyhow::Result<()> {
    let mut skips = Skips::load(admin)?;
    let failed: Vec<String> = done
        .iter()
        .filter(|(_, outcome)| outcome.result == Word::Failed)
        .map(|(target, _)| target.place.host())
        .collect();
    let was_reached = |host: &String| {
        !failed.contains(host) && done.iter().any(|(target, _)| target.place == Place::On(host.clone()))
    };
    let mut reached = skips.missing(Missed::Renewal);
    reached.retain(was_reached);
    skips.reached(global, &reached, &[Missed::Renewal])
}

/// An error when any renewal failed; each has been told, with what to do.
fn failures(done: &[(&Target, Outcome)]) -> anyhow::Result<()> {
    let failed = done.iter().filter(|(_, outcome)| outcome.result == Word::Failed).count();
    if failed == 0 {
        return Ok(());
    }
    Err(Advice::new(
        format!("{failed} of {} certificates could not be renewed", done.len()),
        "each one's reason stands above; mend it and run the same again",
    )
    .into())
}

/// One trouble is enough for exit code 1: the last is the error, those before it are warnings.
fn verdict(mut troubles: Vec<anyhow::Error>) -> anyhow::Result<()> {
    let last = troubles.pop();
    for trouble in troubles {
        let hint = trouble.downcast_ref::<Advice>().map(|advice| format!("; {}", advice.hint));
        report::warning(&format!("{trouble}{}", hint.unwrap_or_default()));
    }
    last.map_or(Ok(()), Err)
}
