//! Whether the cluster stands still: neither TLS nor auth/slurm can be turned on or off host by host, because a slurmctld
//! with it refuses every peer without it (docs/slurm-contract.md 3, 5).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::subject::Subject;
use crate::admin::Admin;
use crate::advice::Advice;
use crate::fleet::{Fleet, Job};
use crate::global::Global;
use crate::members::{Members, is_this_host};
use crate::{hostlist, report, slurm_command, timed};

/// Slurm's daemons, and the one that stands for a job's step.
const DAEMONS: [&str; 6] = ["slurmctld", "slurmdbd", "slurmrestd", "slurmd", "sackd", "slurmstepd"];

/// The same for a shell on another host: a line for each that is up.
pub(super) const WHO_IS_UP: &str = r#"
for file in /proc/[0-9]*/comm; do
    name=
    { read -r name <"$file"; } 2>/dev/null || true
    case $name in slurmctld|slurmdbd|slurmrestd|slurmd|sackd|slurmstepd) say "$name is up" ;; esac
done
"#;

/// Longer than MessageTimeout.
const PATIENCE: Duration = Duration::from_secs(15);

/// As many job ids as anybody has; more count as many.
const ROOM: usize = 1024 * 1024;

/// Refuses while a daemon runs on this host, or slurmctld answers from wherever it runs.
///
/// # Errors
/// Then.
pub(super) fn must_stand_still(global: &Global, subject: Subject) -> anyhow::Result<()> {
    let running = running_here();
    if !running.is_empty() {
        let names: Vec<&str> = running.iter().copied().collect();
        return Err(refused(subject, &format!("{} of this host is up", names.join(", "))));
    }
    let waits = format!("asking slurmctld for jobs, for {} s at most", PATIENCE.as_secs());
    let bar = report::waiting(global, waits);
    let jobs = jobs();
    bar.finish_and_clear();
    match jobs {
        Jobs::Answered(0) => Err(refused(subject, "slurmctld answers: it is up on another host")),
        Jobs::Answered(count) => Err(refused(subject, &format!("slurmctld answers, and has {count} jobs"))),
        Jobs::NoAnswer => {
            report::warning(
                "not checked: jobs on other hosts (slurmctld does not answer, as it should not now)",
            );
            Ok(())
        }
        Jobs::NotAsked(why) => {
            report::warning(&format!(
                "not checked: jobs, and a slurmctld on another host (squeue cannot be run: {why})"
            ));
            Ok(())
        }
    }
}

/// Asks every other host that slurm.conf and `[fleet]` name. One that is not reached is told and holds nothing up: the way
/// back is taken when things are not well.
///
/// # Errors
/// When a daemon is up on one of them, or nobody knows the hosts.
pub(super) fn must_stand_still_elsewhere(
    global: &Global,
    admin: &Admin,
    subject: Subject,
) -> anyhow::Result<()> {
    let members = Members::of(admin)?;
    let others = members.all().iter().filter(|member| !is_this_host(&member.host));
    let job = |host: &str| Job { host: host.to_owned(), script: WHO_IS_UP.to_owned() };
    let jobs = others.map(|member| job(&member.host)).collect();
    let outcomes = Fleet::of(admin)?.run(global, "asking hosts", jobs);
    outcomes.report();
    let silent = outcomes.failed();
    if !silent.is_empty() {
        let hosts = hostlist::fold_texts(silent.iter().map(String::as_str));
        report::warning(&format!("not checked: whether a Slurm daemon is up on {hosts}"));
    }
    let is_up = |said: &Result<Vec<String>, String>| said.as_ref().is_ok_and(|said| !said.is_empty());
    let up: Vec<&str> = outcomes.iter().filter(|(_, said)| is_up(said)).map(|(host, _)| host).collect();
    if up.is_empty() {
        return Ok(());
    }
    Err(refused(subject, &format!("Slurm's daemons are up on {}", hostlist::fold_texts(up))))
}

fn refused(subject: Subject, what: &str) -> anyhow::Error {
    Advice::new(
        format!(
            "{what}: {subject} cannot be turned on or off while Slurm runs, because daemons with and without it do not talk"
        ),
        "drain the nodes, wait for the jobs, stop every slurmd, sackd, slurmrestd, slurmctld and slurmdbd on all \
         hosts, and run this again; or write the new files beside the old for later: --prepare",
    )
    .into()
}

/// The daemons that run on this host, as far as /proc shows.
fn running_here() -> BTreeSet<&'static str> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let processes = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_process));
    processes.filter_map(|entry| daemon(&entry.path())).collect()
}

/// By the program that runs, or by its name where only that can be seen. What has ended and waits for its parent has
/// neither memory nor program.
fn daemon(process: &Path) -> Option<&'static str> {
    let exe = fs::read_link(process.join("exe")).ok();
    let exe = exe.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let field = |key: &str| status.lines().find_map(|line| Some(line.strip_prefix(key)?.trim()));
    if field("State:").is_some_and(|state| state.starts_with(['Z', 'X'])) {
        return None;
    }
    // A program that was replaced by a newer package has " (deleted)" behind its name.
    let exe = exe.as_deref().map(|name| name.trim_end_matches(" (deleted)"));
    DAEMONS.into_iter().find(|daemon| exe == Some(*daemon) || field("Name:") == Some(*daemon))
}

/// What squeue says.
enum Jobs {
    Answered(usize),
    NoAnswer,
    NotAsked(String),
}

fn jobs() -> Jobs {
    let mut squeue = slurm_command::new("squeue");
    squeue.args(["--noheader", "--format=%A"]);
    match timed::run(&mut squeue, PATIENCE, ROOM) {
        Err(e) => Jobs::NotAsked(e.to_string().split(" (os").next().unwrap_or_default().to_lowercase()),
        Ok(ended) if ended.succeeded() => {
            let lines = ended.output.expose().split(|byte| *byte == b'\n');
            // What it says about itself on stderr is no job.
            let is_job = |line: &&[u8]| line.trim_ascii().first().is_some_and(u8::is_ascii_digit);
            Jobs::Answered(lines.filter(is_job).count())
        }
        Ok(_) => Jobs::NoAnswer,
    }
}
