//! `slurm-pki cert renew`: the command that a timer runs.
//!
//! Everything is looked at, what is due gets a new pair, and one daemon's failure does not keep the others from theirs.

mod judge;
mod lock;
mod outcome;
mod work;

use clap::Args;
use pki::time::UnixTime;
use site::clock;
use site::config::Daemon;
use site::signer::Signer;

use self::lock::RenewLock;
use self::outcome::{Outcome, Word};
use self::work::Work;
use super::facts::Trusted;
use super::issue::Which;
use super::target::{Place, Target};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hooks::{self, Hooks};
use crate::members::Members;
use crate::report;

/// Renew the certificates of Slurm's daemons that are due, each with a new key
#[derive(Args, Debug)]
#[command(
    after_help = "Due is what has passed the fraction renew_at of its life (a little earlier, spread by serial \
    number), is missing, expired or damaged, or was not issued by the present CA. Looked at are the daemons that have a pair \
    on this host or a section in the config; the other controllers, slurmdbd's hosts and those in [fleet] restd; and with a \
    section [daemons.slurmd] or [daemons.sackd] the static pairs of all nodes and login hosts.\n\n\
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
    /// Dead hosts, as in n[7,9]: left out, and remembered until they are reached again
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
}

impl Renew {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let now = clock::now();
        let targets = self.targets(&admin)?;
        let _lock = (!global.dry_run).then(|| RenewLock::take(&admin)).transpose()?;
        let signer = Signer::open(&admin.controller).advise()?;
        let trusted = Trusted::of(&admin);
        let work = Work { global, admin: &admin, signer, trusted, force: self.force, now };
        let mut done = Vec::new();
        let mut troubles = Vec::new();
        for target in targets.iter().filter(|target| target.place == Place::Here) {
            let outcome = work.here(target);
            troubles.extend(tell_hooks(global, &admin, target, &outcome).err());
            done.push(outcome);
        }
        say(global, &done, now)?;
        if global.dry_run {
            troubles.extend(check_hooks(global, &admin).err());
        }
        verdict(&done, troubles)
    }

    fn targets(&self, admin: &Admin) -> anyhow::Result<Vec<Target>> {
        let named: Vec<Daemon> =
            self.daemons.iter().chain(&self.only).map(|which| Daemon::from(*which)).collect();
        let all = Target::all(admin, &Members::of(admin)?)?;
        if let Some(unknown) = named.iter().find(|daemon| !all.iter().any(|target| target.daemon == **daemon))
        {
            return Err(Advice::new(
                format!("no pair of {unknown} is kept here"),
                format!("make its first one: slurm-pki cert issue {}", unknown.short()),
            )
            .into());
        }
        Ok(all.into_iter().filter(|target| named.is_empty() || named.contains(&target.daemon)).collect())
    }
}

/// What the site's own programs are to know of a new pair, or of one that could not be made.
fn tell_hooks(global: &Global, admin: &Admin, target: &Target, outcome: &Outcome) -> anyhow::Result<()> {
    let event = match outcome.result {
        Word::Renewed => "renewed",
        Word::Failed => "failed",
        _ => return Ok(()),
    };
    let (host, cert) = (target.place.host(), target.config.cert.display().to_string());
    let end = outcome.not_after.map(|end| end.to_string()).unwrap_or_default();
    let about = [
        ("SLURM_PKI_DAEMON", target.daemon.short()),
        ("SLURM_PKI_HOST", &host),
        ("SLURM_PKI_CERT", &cert),
        ("SLURM_PKI_NOT_AFTER", &end),
    ];
    hooks::run(global, admin, event, &about)
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

fn say(global: &Global, done: &[Outcome], now: UnixTime) -> anyhow::Result<()> {
    if global.json {
        return report::json("slurm-pki.cert.renew.v1", &done);
    }
    if done.is_empty() {
        report::line("no daemon has a pair here, nor a section in the config: slurm-pki cert issue");
    }
    done.iter().for_each(|outcome| outcome.say(now));
    Ok(())
}

/// One failure is enough for exit code 1; each has been told, with what to do.
fn verdict(done: &[Outcome], mut troubles: Vec<anyhow::Error>) -> anyhow::Result<()> {
    let failed = done.iter().filter(|outcome| outcome.result == Word::Failed).count();
    if failed > 0 {
        troubles.push(
            Advice::new(
                format!("{failed} of {} certificates could not be renewed", done.len()),
                "each one's reason stands above; mend it and run the same again",
            )
            .into(),
        );
    }
    let last = troubles.pop();
    for trouble in troubles {
        let hint = trouble.downcast_ref::<Advice>().map(|advice| format!("; {}", advice.hint));
        report::warning(&format!("{trouble}{}", hint.unwrap_or_default()));
    }
    last.map_or(Ok(()), Err)
}
