//! With a Slurm that has tls/s2n: renewal and a change of the CA on running daemons, with srun in a loop.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Case;
use crate::cluster::Cluster;
use crate::lab::{Lab, User};
use crate::log::{Log, lines_with};
use crate::shell::{outcome, said, wait_until};

pub(super) const CASES: &[Case] = &[
    ("TLS: a renewed pair of slurmctld is served after a restart, and cert activate sees it", renewed),
    ("TLS: a new CA from begin to finish with srun in a loop, and no step fails", rolled_over),
];

const CONFIG: &str = "/etc/slurm/slurm-pki.toml";

/// All hosts share this root, so that a tool for other hosts has only to run here.
const FLEET: &str = "
[fleet]
copy = [\"sh\", \"-c\", \"cp \\\"$1\\\" \\\"$2\\\"\", \"{host}\", \"{from}\", \"{to}\"]
run = [\"sh\", \"-c\", \"eval \\\"$1\\\"\", \"{host}\", \"{command}\"]
";

/// These are in slurm.conf and nowhere else.
const DEAD: &str = "n[3-9]";

/// A step whose creation meets slurmctld in the moment of its restart is not lost, but srun asks again only after some two
/// minutes.
const ONE_STEP: &str = "400";

/// The period of renewals is a minute.
const THREE_PERIODS: Duration = Duration::from_secs(200);

fn renewed(cluster: &mut Cluster<'_>) -> Result<()> {
    cluster.slurm_pki(&["cert", "renew", "--only", "ctld", "--force"])?;
    restart(cluster)?;
    let said = said(&cluster.slurm_pki_outcome(&["cert", "activate", "ctld"])?);
    ensure!(said.contains("slurmctld") && !said.contains("error:"), "{said}");
    let list = cluster.slurm_pki(&["cert", "list"])?;
    ensure!(list.contains("ctld"), "{list}");
    Ok(())
}

fn rolled_over(cluster: &mut Cluster<'_>) -> Result<()> {
    prepare(cluster)?;
    let logs = logs(cluster).map(|log| log.later());
    let steps = Loop::start(cluster)?;
    cluster.slurm_pki(&["ca", "rollover", "begin", "--skip", DEAD])?;
    restart(cluster)?;
    each_renews(cluster, "n1", "n2", |_| true)?;
    cluster.slurm_pki(&["ca", "rollover", "switch", "--yes"])?;
    restart(cluster)?;
    let old = issuer(cluster.lab, "n1")?;
    each_renews(cluster, "n1", "n2", |issuer| issuer != old)?;
    cluster.slurm_pki(&["ca", "rollover", "finish", "--skip", DEAD, "--yes"])?;
    restart(cluster)?;
    each_renews(cluster, "n1", "n2", |issuer| issuer != old)?;
    let (taken, failures) = steps.stop()?;
    ensure!(failures.is_empty(), "{} of {taken} steps failed: {}", failures.len(), failures.join("\n"));
    ensure!(taken > 10, "only {taken} steps in all that time");
    // Whatever else an ended connection leaves in a log: nobody's certificate was refused.
    let refused = logs.map(|log| lines_with(&log.text(), "S2N_ERR_CERT"));
    ensure!(refused == [0; 3], "certificates were refused, in the logs of slurmctld, n1 and n2: {refused:?}");
    Ok(())
}

/// slurmctld's, and those of both slurmd.
fn logs(cluster: &Cluster<'_>) -> [Log; 3] {
    ["slurmctld.ctl1", "slurmd.n1", "slurmd.n2"]
        .map(|name| Log::of(cluster.lab.path(&format!("/var/log/slurm/{name}.log"))))
}

/// What earlier cases have issued, under names that nobody has any more, is put aside with its ledger.
fn prepare(cluster: &mut Cluster<'_>) -> Result<()> {
    let lab = cluster.lab;
    let config = lab.text(CONFIG)?;
    if !config.contains("[fleet]") {
        fs::write(lab.path(CONFIG), config + FLEET)?;
    }
    let ledger = lab.path("/var/lib/slurm-pki/ledger");
    fs::rename(&ledger, ledger.with_extension("before"))?;
    cluster.slurm_pki(&["init"])?;
    each_renews(cluster, "n1", "n2", |_| true)
}

/// A restart is what loads slurmctld's pair and bundle.
fn restart(cluster: &mut Cluster<'_>) -> Result<()> {
    cluster.primary.take().context("slurmctld is not running")?.stop()?;
    cluster.start_primary()
}

/// Waits until both have a certificate later than now, by an issuer of that kind.
fn each_renews(cluster: &Cluster<'_>, one: &str, other: &str, by: impl Fn(&str) -> bool) -> Result<()> {
    for node in [one, other] {
        let before = cluster.lab.ledger(node)?.len();
        wait_until(&format!("{node} renews"), THREE_PERIODS, || {
            Ok(cluster.lab.ledger(node)?.len() > before && by(&issuer(cluster.lab, node)?))
        })?;
    }
    Ok(())
}

fn issuer(lab: &Lab, node: &str) -> Result<String> {
    let ledger = lab.ledger(node)?;
    let last = ledger.last().with_context(|| format!("nothing was issued to {node}"))?;
    Ok(last.get("issuer").and_then(|issuer| issuer.as_str()).unwrap_or_default().to_owned())
}

/// Job steps, one after the other, from n1: its host stays while slurmctld's comes and goes.
struct Loop {
    stopped: Arc<AtomicBool>,
    failures: Arc<Mutex<Vec<String>>>,
    worker: JoinHandle<usize>,
}

impl Loop {
    fn start(cluster: &Cluster<'_>) -> Result<Self> {
        let mut srun = cluster.lab.slurm("srun", User::Root);
        srun.args(["--nodes=2", "--ntasks=2", "true"]);
        let srun = cluster.slurmd("n1")?.beside(&srun);
        let logs = logs(cluster);
        let (stopped, failures) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (until, failed) = (stopped.clone(), failures.clone());
        let worker = thread::spawn(move || {
            let mut taken = 0;
            while !until.load(Ordering::Relaxed) {
                taken += 1;
                let from_here = logs.each_ref().map(Log::later);
                if let Err(failure) = step(&srun)
                    && let Ok(mut failed) = failed.lock()
                {
                    let meanwhile = from_here.map(|log| log.text()).join("\n");
                    failed.push(format!("{failure:#}\nmeanwhile:\n{meanwhile}"));
                }
            }
            taken
        });
        Ok(Self { stopped, failures, worker })
    }

    fn stop(self) -> Result<(usize, Vec<String>)> {
        self.stopped.store(true, Ordering::Relaxed);
        let Ok(taken) = self.worker.join() else { bail!("the loop of job steps panicked") };
        let failures = self.failures.lock().map(|failures| failures.clone()).unwrap_or_default();
        Ok((taken, failures))
    }
}

/// The command once more: one that was started cannot be started again from another thread.
fn step(srun: &Command) -> Result<()> {
    let mut again = Command::new("timeout");
    again.arg(ONE_STEP).arg(srun.get_program()).args(srun.get_args()).env_clear().current_dir("/");
    again.envs(srun.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = outcome(&mut again)?;
    ensure!(output.status.success(), "{}: {}", output.status, said(&output));
    Ok(())
}
