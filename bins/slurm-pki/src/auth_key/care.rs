//! Before a key leaves: nothing that was signed with it is under way, and nobody comes back who knows no other.

use std::thread::sleep;
use std::time::Duration;

use pki::time::UnixTime;
use site::clock;

use super::away::Absent;
use super::rollout::Work;
use super::state::Phase;
use super::step_managers;
use crate::admin::Admin;
use crate::advice::Advice;
use crate::members::Members;
use crate::slurm_conf::SlurmConf;
use crate::{hostlist, interrupt, moment, parameters::Parameters, report};

/// Slurm's default of AuthInfo=ttl= (slurm.conf(5)).
const TTL: u64 = 60;

/// What is added to it: times are told in whole seconds.
const SLACK: Duration = Duration::from_secs(2);

/// The longest ttl= that is believed: a slip of the pen must not hold a rotation up for years.
const MAX_TTL: u64 = 86_400;

/// How long a credential is valid: the longest of slurm.conf's and slurmdbd.conf's.
pub(super) fn ttl(admin: &Admin) -> anyhow::Result<Duration> {
    let Some(slurm) = &admin.slurm else { return Ok(Duration::from_secs(TTL)) };
    let dbd = SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?;
    let of = |conf: &SlurmConf| {
        let ttl = Parameters::of(conf.get("AuthInfo")).get("ttl").and_then(|ttl| ttl.parse().ok());
        ttl.filter(|ttl| (1..=MAX_TTL).contains(ttl)).unwrap_or(TTL)
    };
    let longest = dbd.as_ref().map_or(0, of).max(of(slurm));
    Ok(Duration::from_secs(longest))
}

/// When the last credential ends that was signed before a phase was reached.
pub(super) fn credentials_end(admin: &Admin, done: UnixTime) -> anyhow::Result<UnixTime> {
    Ok(done.plus(ttl(admin)? + SLACK))
}

/// Refuses while credentials may be under way.
///
/// # Errors
/// Then.
pub(super) fn credentials_are_over(admin: &Admin, done: UnixTime) -> anyhow::Result<()> {
    let (end, now) = (credentials_end(admin, done)?, clock::now());
    if now >= end {
        return Ok(());
    }
    Err(Advice::new(
        format!("credentials that were signed with the old key are valid until {}", moment::shown(end, now)),
        "run this again then; slurm-pki auth-key rotate waits by itself",
    )
    .into())
}

/// Waits for that.
///
/// # Errors
/// When interrupted.
pub(super) fn wait_for_credentials(work: &Work<'_>, done: UnixTime) -> anyhow::Result<()> {
    let end = credentials_end(work.files.admin, done)?;
    let now = clock::now();
    if now >= end || work.files.global.dry_run {
        return Ok(());
    }
    interrupt::watch();
    report::done(
        work.files.global,
        &format!("waiting  for the last credential of the former key, {}", moment::relative(end, now)),
    );
    while clock::now() < end {
        if interrupt::came() {
            return Err(Advice::new("interrupted", "the same command goes on where this one ended").into());
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Refuses while a daemon has not loaded the list of this phase, be it that it came back since.
///
/// # Errors
/// Then, or when slurmctld does not tell.
pub(super) fn nobody_straggles(work: &Work<'_>, phase: Phase) -> anyhow::Result<()> {
    let stragglers = work.stragglers()?;
    if stragglers.is_empty() {
        return Ok(());
    }
    let shown = stragglers.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    Err(Advice::new(
        format!("{} daemons have come since and have not loaded the list: {shown}", stragglers.len()),
        format!("bring it to them: {}", phase.command()),
    )
    .into())
}

/// Says who may miss the new key.
///
/// # Errors
/// When slurmctld does not tell.
pub(super) fn list_absent(work: &Work<'_>) -> anyhow::Result<()> {
    let members = Members::of(work.files.admin)?;
    let absent = Absent::of(work.files.admin, &members)?;
    for away in absent.unnamed(&work.all_named(&members, &absent.all)?) {
        report::warning(&format!(
            "{} may miss the new key: {}; bring it there, and name it in --skip before drop",
            away.name, away.why
        ));
    }
    Ok(())
}

/// Refuses while somebody may come back who knows no other key, until that is named.
///
/// # Errors
/// Then, or when slurmctld does not tell.
pub(super) fn nobody_comes_back(work: &Work<'_>) -> anyhow::Result<()> {
    let members = Members::of(work.files.admin)?;
    let absent = Absent::of(work.files.admin, &members)?;
    let unnamed = absent.unnamed(&work.all_named(&members, &absent.all)?);
    if unnamed.is_empty() {
        return Ok(());
    }
    for away in &unnamed {
        report::warning(&format!("{}: {}", away.name, away.why));
    }
    let words = words(unnamed.iter().map(|away| away.name.as_str()));
    Err(Advice::new(
        format!("the key stays: these may come back with it alone: {words}"),
        format!("see that each has the new list (or none, where it is brought at its start); then add --skip {words}"),
    )
    .into())
}

/// Names as `--skip` takes them: an image's path has a word of its own.
fn words<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let (paths, names): (Vec<&str>, Vec<&str>) = names.partition(|name| name.contains('/'));
    let folded = hostlist::fold_texts(names);
    let all = (!folded.is_empty()).then_some(folded).into_iter().chain(paths.into_iter().map(str::to_owned));
    all.collect::<Vec<_>>().join(" --skip ")
}

/// Refuses while jobs have step managers that know no other key, unless `--yes`.
///
/// # Errors
/// Then, or when slurmctld does not tell.
pub(super) fn step_managers_are_gone(work: &Work<'_>, since: UnixTime) -> anyhow::Result<()> {
    let jobs = step_managers::begun_by(work.files.admin, since)?;
    if jobs.is_empty() {
        return Ok(());
    }
    let shown = jobs.iter().take(20).map(ToString::to_string).collect::<Vec<_>>().join(",");
    let more = if jobs.len() > 20 { format!(" and {} more", jobs.len() - 20) } else { String::new() };
    let what = format!("jobs with a step manager that began before all had the key: {shown}{more}");
    if work.files.global.yes {
        report::warning(&format!("{what}; their steps will fail"));
        return Ok(());
    }
    Err(Advice::new(what, "wait for their end, or say --yes: their steps will fail").into())
}
