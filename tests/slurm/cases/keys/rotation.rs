//! The key of auth/slurm: taken over from slurm.key, rotated, given back, while job steps run all the time.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Case;
use super::hosts::{Hosts, READERS};
use crate::cluster::PATIENCE;
use crate::lab::User;
use crate::shell::{answer, outcome, said, wait_until};

pub(super) const CASES: &[Case] = &[
    ("auth-key: half of the daemons on slurm.key, half on its jwks, and steps run", half),
    ("auth-key: import, add, use and drop, and no step fails", rotation),
    ("auth-key: what was signed with the old key is refused afterwards", old_key),
    ("auth-key: abort after add and after use, and no step fails", abort),
];

/// As much as a phase may take here.
const LIMIT: Duration = Duration::from_secs(400);

/// Steps of a job of alice's on both nodes, and jobs of one step each from ctl1, as long as the value lives.
struct Steps<'a> {
    hosts: &'a Hosts<'a>,
}

/// What ran during a phase.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    started: usize,
    failed: usize,
}

/// A job whose script starts step after step, each on both of its nodes.
const JOB: &str = "\
#!/bin/sh
while [ ! -e /tmp/steps/end ]; do
    echo started >> /tmp/steps/job
    srun --overlap --ntasks=2 --ntasks-per-node=1 true 2>> /tmp/steps/job.log || echo failed >> /tmp/steps/job
done
";

impl<'a> Steps<'a> {
    fn begin(hosts: &'a Hosts<'a>) -> Result<Self> {
        let lab = hosts.lab;
        lab.folder("/tmp/steps", User::Alice)?;
        lab.script("/tmp/steps.sh", JOB)?;
        let words = ["--nodes=2", "--ntasks-per-node=1", "--output=/tmp/steps/output", "/tmp/steps.sh"];
        let mut sbatch = hosts.ctl1.command("sbatch", User::Alice);
        answer(sbatch.args(["--chdir=/tmp", "--job-name=steps"]).args(words))?;
        let steps = Self { hosts };
        wait_until("the job's first steps have run", PATIENCE, || Ok(steps.of_job()?.started > 2))
            .with_context(|| fs::read_to_string(lab.path("/tmp/steps/job.log")).unwrap_or_default())?;
        Ok(steps)
    }

    fn of_job(&self) -> Result<Count> {
        let path = self.hosts.lab.path("/tmp/steps/job");
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        let lines = |word| text.lines().filter(|line| *line == word).count();
        Ok(Count { started: lines("started"), failed: lines("failed") })
    }

    /// Does something, while jobs of one step are started one after the other; how many steps there were in all.
    fn while_running<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Count)> {
        let before = self.of_job()?;
        let (over, started) = (AtomicBool::new(false), AtomicUsize::new(0));
        let hosts = self.hosts;
        let (done, failed) = thread::scope(|scope| {
            let looping = scope.spawn(|| -> Result<Vec<String>> {
                let mut failed = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    started.fetch_add(1, Ordering::Relaxed);
                    let mut srun = hosts.ctl1.command("timeout", User::Alice);
                    let srun = outcome(srun.args([
                        "120",
                        "srun",
                        "--chdir=/tmp",
                        "--nodes=2",
                        "--ntasks=2",
                        "true",
                    ]))?;
                    if !srun.status.success() {
                        failed.push(said(&srun));
                    }
                }
                Ok(failed)
            });
            let done = work();
            over.store(true, Ordering::Relaxed);
            (done, looping.join())
        });
        let failed = failed.map_err(|_| anyhow::anyhow!("the loop of srun broke"))??;
        let after = self.of_job()?;
        let count = Count {
            started: started.into_inner() + after.started - before.started,
            failed: failed.len() + after.failed - before.failed,
        };
        let done = done.with_context(|| format!("{count:?} {failed:?}"))?;
        if count.failed > 0 {
            let log = fs::read_to_string(hosts.lab.path("/tmp/steps/job.log")).unwrap_or_default();
            bail!("{count:?}: {failed:?}\n{log}");
        }
        Ok((done, count))
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.hosts.lab.path("/tmp/steps/end"), "");
        let _ = self.hosts.ctl1.sh("scancel --name=steps");
    }
}

/// A phase, begun anew as long as it says that it is too early or not everywhere yet.
fn phase(hosts: &Hosts<'_>, words: &[&str]) -> Result<String> {
    let begun = Instant::now();
    loop {
        let words = [&["--yes", "auth-key"], words].concat();
        let output = outcome(&mut hosts.slurm_pki_command(&words))?;
        if output.status.success() {
            return Ok(said(&output));
        }
        let over = output.status.code() == Some(64) || begun.elapsed() > LIMIT;
        ensure!(!over, "slurm-pki {}: {}", words.join(" "), said(&output));
        thread::sleep(Duration::from_secs(5));
    }
}

/// The kids of a host's list, and the one that signs.
fn keys(hosts: &Hosts<'_>, host: &str) -> Result<(Vec<String>, String)> {
    let list: Value = serde_json::from_slice(&hosts.get(host, "slurm.jwks")?)?;
    let keys = list.get("keys").and_then(Value::as_array).context("keys")?;
    let kid = |key: &Value| key.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let default =
        keys.iter().find(|key| key.get("use").is_some_and(|is| is == "default")).or_else(|| keys.first());
    Ok((keys.iter().map(kid).collect(), default.map(kid).context("a key")?))
}

/// On all hosts the same list, with so many keys; the kid that signs.
fn expect_keys(hosts: &Hosts<'_>, number: usize) -> Result<String> {
    let here = hosts.get("ctl1", "slurm.jwks")?;
    for host in READERS {
        ensure!(hosts.get(host, "slurm.jwks")? == here, "{host} has another list");
    }
    let (kids, default) = keys(hosts, "ctl1")?;
    ensure!(kids.len() == number, "{kids:?}");
    Ok(default)
}

fn note(phase: &str, count: Count) -> String {
    format!(
        "auth-key {phase:12} job steps started {:4}, failed {}; hosts confirmed {}",
        count.started,
        count.failed,
        READERS.len()
    )
}

fn half(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let steps = Steps::begin(hosts)?;
    // The same bytes as a list's only key, on n1 and on slurmdbd's host; slurmctld and n2 stay on slurm.key.
    let key = data_encoding::BASE64.encode(&hosts.get("ctl1", "slurm.key")?);
    let list = format!(
        "{{\"keys\":[{{\"kid\":\"old\",\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"{key}\",\"use\":\"default\"}}]}}\n"
    );
    let ((), count) = steps.while_running(|| {
        hosts.put("n1", "slurm.jwks", list.as_bytes())?;
        hosts.put("dbd1", "slurm.jwks", list.as_bytes())?;
        hosts.n1.systemctl("reload", "slurmd")?;
        hosts.dbd1.systemctl("restart", "slurmdbd")?;
        thread::sleep(Duration::from_secs(8));
        hosts.wait_idle()
    })?;
    drop(steps);
    for host in ["n1", "dbd1"] {
        fs::remove_file(hosts.lab.path(&format!("/hosts/{host}/slurm.jwks")))?;
    }
    Ok(vec![note("half", count)])
}

fn rotation(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let steps = Steps::begin(hosts)?;
    let mut notes = Vec::new();
    let mut old = String::new();
    for (name, number) in [("import", 1), ("add", 2), ("use", 2), ("drop", 1)] {
        let (_, count) = steps.while_running(|| phase(hosts, &[name])).with_context(|| name.to_owned())?;
        let default = expect_keys(hosts, number).with_context(|| name.to_owned())?;
        match name {
            "import" => {
                old = default;
                fs::copy(hosts.lab.path("/hosts/ctl1/slurm.jwks"), hosts.lab.path("/tmp/old.jwks"))?;
            }
            "add" => ensure!(default == old, "add changed the key that signs"),
            _ => ensure!(default != old, "{name}: the old key signs"),
        }
        notes.push(note(name, count));
    }
    Ok(notes)
}

fn old_key(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    hosts.put("rest1", "old.jwks", &fs::read(hosts.lab.path("/tmp/old.jwks"))?)?;
    hosts.put("rest1", "new.jwks", &hosts.get("ctl1", "slurm.jwks")?)?;
    let ask = |list: &str| -> Result<bool> {
        // As a host would that has this list; root signs for itself where there is no socket.
        let mut scontrol = hosts.rest1.command("timeout", User::Root);
        scontrol
            .args(["30", "scontrol", "show", "nodes"])
            .env("SLURM_SACK_JWKS", format!("/etc/slurm/{list}"));
        Ok(outcome(&mut scontrol)?.status.success())
    };
    ensure!(ask("new.jwks")?, "the new key is refused");
    ensure!(!ask("old.jwks")?, "the old key is taken");
    Ok(Vec::new())
}

fn abort(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let steps = Steps::begin(hosts)?;
    let mut notes = Vec::new();
    let before = expect_keys(hosts, 1)?;
    for phases in [&["add"][..], &["add", "use"]] {
        for name in phases {
            let (_, count) = steps.while_running(|| phase(hosts, &[name]))?;
            notes.push(note(name, count));
        }
        let (_, count) = steps.while_running(|| phase(hosts, &["abort"]))?;
        ensure!(expect_keys(hosts, 1)? == before, "after abort another key signs");
        notes.push(note("abort", count));
    }
    Ok(notes)
}
