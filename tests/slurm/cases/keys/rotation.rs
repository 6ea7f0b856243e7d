//! The key of auth/slurm: taken over from slurm.key, rotated, given back, while job steps run all the time.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cases::hosts::{Case, Hosts, READERS};
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

/// How many start one job of a step after the other. A step whose creation meets slurmctld in the moment in which it starts
/// itself anew is not lost, but srun asks again only after some two minutes; the others go on.
const LOOPS: usize = 3;

/// Longer than srun waits until it asks again.
const ONE_STEP: &str = "400";

/// What ran.
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

/// Steps of a job of alice's on both nodes, and jobs of one step each from ctl1.
struct Steps<'a> {
    hosts: &'a Hosts<'a>,
    over: AtomicBool,
    started: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

/// Does something while steps run all the time; none of them may fail, and all have ended at its end.
fn while_steps_run<T>(hosts: &Hosts<'_>, work: impl FnOnce(&Steps<'_>) -> Result<T>) -> Result<T> {
    let (over, started) = (AtomicBool::new(false), AtomicUsize::new(0));
    let steps = Steps { hosts, over, started, failed: Mutex::default() };
    steps.begin_job()?;
    let done = thread::scope(|scope| {
        for _ in 0..LOOPS {
            scope.spawn(|| steps.run());
        }
        let done = steps.begun().and_then(|()| work(&steps));
        steps.over.store(true, Ordering::Relaxed);
        let ended = fs::write(hosts.lab.path("/tmp/steps/end"), "").map_err(anyhow::Error::from);
        let ended = ended.and_then(|()| {
            wait_until("alice's job ends", LIMIT, || Ok(hosts.ctl1.sh("squeue -h --name=steps")?.is_empty()))
        });
        done.and_then(|done| ended.map(|()| done))
    });
    let count = steps.count()?;
    let log = fs::read_to_string(hosts.lab.path("/tmp/steps/job.log")).unwrap_or_default();
    let failed = steps.failed.lock().map(|failed| failed.join("\n")).unwrap_or_default();
    let done = done.with_context(|| format!("{count:?}\n{failed}{log}"))?;
    ensure!(count.failed == 0, "{count:?}\n{failed}{log}");
    Ok(done)
}

impl Steps<'_> {
    fn begin_job(&self) -> Result<()> {
        let lab = self.hosts.lab;
        lab.folder("/tmp/steps", User::Alice)?;
        lab.script("/tmp/steps.sh", JOB)?;
        let words = ["--nodes=2", "--ntasks-per-node=1", "--output=/tmp/steps/output", "/tmp/steps.sh"];
        let mut sbatch = self.hosts.ctl1.command("sbatch", User::Alice);
        answer(sbatch.args(["--chdir=/tmp", "--job-name=steps"]).args(words)).map(drop)
    }

    fn begun(&self) -> Result<()> {
        wait_until("the job's first steps have run", PATIENCE, || Ok(self.of_job()?.started > 2))
    }

    fn run(&self) {
        while !self.over.load(Ordering::Relaxed) {
            self.started.fetch_add(1, Ordering::Relaxed);
            let mut srun = self.hosts.ctl1.command("timeout", User::Alice);
            srun.args([ONE_STEP, "srun", "--chdir=/tmp", "--nodes=2", "--ntasks=2", "true"]);
            let failed = match outcome(&mut srun) {
                Ok(ended) if ended.status.success() => continue,
                Ok(ended) => said(&ended),
                Err(why) => format!("{why:#}"),
            };
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(failed);
        }
    }

    fn of_job(&self) -> Result<Count> {
        let path = self.hosts.lab.path("/tmp/steps/job");
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        let lines = |word| text.lines().filter(|line| *line == word).count();
        Ok(Count { started: lines("started"), failed: lines("failed") })
    }

    fn count(&self) -> Result<Count> {
        let job = self.of_job()?;
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(Count { started: job.started + self.started.load(Ordering::Relaxed), failed: job.failed + failed })
    }

    /// A part of the work, and the steps that were started and that failed meanwhile.
    fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Count)> {
        let before = self.count()?;
        let done = work()?;
        let after = self.count()?;
        let count = Count { started: after.started - before.started, failed: after.failed - before.failed };
        Ok((done, count))
    }
}

/// What a refusal says that is meant: nobody else is asked twice.
const TOO_EARLY: &str = "credentials that were signed with the old key are valid until";

/// What a phase says at its end, before how many daemons have shown that they loaded the list.
const LOADED: &str = "loaded   by ";

/// A phase, asked for again only where it says that credentials of the old key are still under way: how many daemons it
/// confirmed.
fn phase(hosts: &Hosts<'_>, words: &[&str]) -> Result<usize> {
    let begun = Instant::now();
    let words = [&["--yes", "auth-key"], words].concat();
    loop {
        let output = outcome(&mut hosts.slurm_pki_command(&words))?;
        let said = said(&output);
        if output.status.success() {
            let loaded =
                said.lines().filter_map(|line| line.strip_prefix(LOADED)?.split(' ').next()).next_back();
            return loaded.and_then(|number| number.parse().ok()).with_context(|| said.clone());
        }
        let is_meant = said.contains(TOO_EARLY) && begun.elapsed() < LIMIT;
        ensure!(is_meant, "slurm-pki {}: {said}", words.join(" "));
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
    format!("auth-key {phase:12} job steps started {:4}, failed {}", count.started, count.failed)
}

/// The same with the daemons that a phase confirmed, which are all that there are.
fn reached(phase: &str, count: Count, daemons: usize) -> Result<String> {
    ensure!(daemons == READERS.len(), "{phase} confirmed {daemons} daemons");
    Ok(format!("{}; daemons confirmed {daemons} of {}", note(phase, count), READERS.len()))
}

fn half(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let hosts = &*hosts;
    // The same bytes as a list's only key, on n1 and on slurmdbd's host; slurmctld and n2 stay on slurm.key.
    let key = data_encoding::BASE64.encode(&hosts.get("ctl1", "slurm.key")?);
    let list = format!(
        "{{\"keys\":[{{\"kid\":\"old\",\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"{key}\",\"use\":\"default\"}}]}}\n"
    );
    let change = || -> Result<()> {
        hosts.put("n1", "slurm.jwks", list.as_bytes())?;
        hosts.put("dbd1", "slurm.jwks", list.as_bytes())?;
        hosts.n1.systemctl("reload", "slurmd")?;
        hosts.dbd1.systemctl("restart", "slurmdbd")?;
        thread::sleep(Duration::from_secs(8));
        hosts.wait_idle()
    };
    let ((), count) = while_steps_run(hosts, |steps| steps.during(change))?;
    for host in ["n1", "dbd1"] {
        fs::remove_file(hosts.lab.path(&format!("/hosts/{host}/slurm.jwks")))?;
    }
    Ok(vec![note("half", count)])
}

fn rotation(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let hosts = &*hosts;
    while_steps_run(hosts, |steps| {
        let mut notes = Vec::new();
        let mut old = String::new();
        for (name, number) in [("import", 1), ("add", 2), ("use", 2), ("drop", 1)] {
            let (daemons, count) = steps.during(|| phase(hosts, &[name])).with_context(|| name.to_owned())?;
            let default = expect_keys(hosts, number).with_context(|| name.to_owned())?;
            match name {
                "import" => {
                    old = default;
                    fs::copy(hosts.lab.path("/hosts/ctl1/slurm.jwks"), hosts.lab.path("/tmp/old.jwks"))?;
                }
                "add" => ensure!(default == old, "add changed the key that signs"),
                _ => ensure!(default != old, "{name}: the old key signs"),
            }
            notes.push(reached(name, count, daemons)?);
        }
        Ok(notes)
    })
}

/// A login host that has this list: its sackd signs for the command.
const SACKD: &str = "\
RUNTIME_DIRECTORY=/run/slurm sackd -D --jwks-file=/etc/slurm/LIST > /tmp/sackd.log 2>&1 &
n=0
until [ -S /run/slurm/sack.socket ] || [ $n -gt 600 ]; do n=$((n + 1)); sleep 0.05; done
timeout 30 scontrol show nodes 2>&1
code=$?
kill $!
wait $! 2> /dev/null
rm -f /run/slurm/sack.socket
exit $code
";

fn old_key(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    hosts.put("rest1", "old.jwks", &fs::read(hosts.lab.path("/tmp/old.jwks"))?)?;
    hosts.put("rest1", "new.jwks", &hosts.get("ctl1", "slurm.jwks")?)?;
    let ask = |list: &str| -> Result<bool> {
        let script = SACKD.replace("LIST", list);
        let output = outcome(hosts.rest1.command("sh", User::Root).args(["-c", &script]))?;
        let said = said(&output);
        ensure!(output.status.success() || said.contains("Protocol authentication error"), "{said}");
        Ok(output.status.success())
    };
    ensure!(ask("new.jwks")?, "the new key is refused");
    ensure!(!ask("old.jwks")?, "the old key is taken");
    Ok(Vec::new())
}

fn abort(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let hosts = &*hosts;
    let before = expect_keys(hosts, 1)?;
    while_steps_run(hosts, |steps| {
        let mut notes = Vec::new();
        for phases in [&["add", "abort"][..], &["add", "use", "abort"]] {
            for name in phases {
                let (daemons, count) =
                    steps.during(|| phase(hosts, &[name])).with_context(|| (*name).to_owned())?;
                notes.push(reached(name, count, daemons)?);
            }
            ensure!(expect_keys(hosts, 1)? == before, "after abort another key signs");
        }
        Ok(notes)
    })
}
