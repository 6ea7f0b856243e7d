//! With a Slurm that has tls/s2n: its own daemons and commands, everything over TLS.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Case;
use super::enrolment::{ASKED, ON_THE_NODE, signed};
use super::refusals::{not_signed, not_validated};
use super::renewal::OVER_MTLS;
use super::{hosts, rollover, tls_on_hosts};
use crate::cluster::{Cluster, PATIENCE};
use crate::conf::Conf;
use crate::daemon::Daemon;
use crate::lab::{Lab, User};
use crate::log::{Log, expect, lines_with};
use crate::shell::{answer, wait_until};
use crate::site;
use crate::table::Table;

/// Debian's packages are without it.
const PLUGIN: &str = "tls_s2n.so";

const SCRIPT: &str = "/slurm-pki/sign_or_refuse";
const REFUSE: &str = "/tmp/refuse";

/// Signs with our program, unless it is told to refuse.
const SIGN_OR_REFUSE: &str = "\
#!/bin/sh
if [ -e /tmp/refuse ]; then
    echo 'sign_csr: error: told to refuse'
    exit 1
fi
exec /slurm-pki/bin/sign_csr \"$1\"
";

/// In slurm.conf the period of renewals is a minute.
const TWO_PERIODS: Duration = Duration::from_secs(150);

const CASES: &[Case] = &[
    ("TLS: two slurmd's enrol and serve", slurmds),
    ("TLS: srun on both", srun),
    ("TLS: client commands of an ordinary user, through our keygen and certgen", client_commands),
    ("TLS: sackd on a login host enrols, and a command there works", sackd),
    ("TLS: slurmd renews over mTLS, without token, and serves on", renewal),
    ("TLS: a restarted slurmd takes its certmgr_state and asks nobody", restart),
    ("TLS: without its certmgr_state slurmd enrols again", without_state),
    ("TLS: a removed node is refused, and its slurmd ends", refusal),
    ("TLS: a signer that refuses during a reconfigure ends slurmd; a start afterwards enrols", reconfigure),
];

/// Everything over TLS.
const CONF: Conf = Conf { tls: true, message_timeout: 10, ..Conf::PLAIN };

/// Where this Slurm has it; a line that says so where it has not.
pub(super) fn run(table: &mut Table, lab: &Lab) {
    if !lab.has_plugin(PLUGIN) {
        table.note(format!(
            "not run, since this Slurm has no {PLUGIN} (SLURM_PREFIX=DIR names one that has, SLURM_TLS_S2N=FILE one for this):"
        ));
        let names = CASES.iter().chain(rollover::CASES).map(|(name, _)| *name);
        names
            .chain(tls_on_hosts::cases().iter().map(|(name, _)| *name))
            .for_each(|name| table.note(format!("  {name}")));
        return;
    }
    table.run("TLS: a signer that can be told to refuse", || lab.script(SCRIPT, SIGN_OR_REFUSE));
    super::group(table, lab, &Conf { sign_csr: SCRIPT, ..CONF }, &[CASES, rollover::CASES].concat());
    hosts::group(table, lab, &tls_on_hosts::cases());
}

/// A change of the CA on a cluster that has just begun.
pub(super) fn rollover_alone(table: &mut Table, lab: &Lab) {
    let begin: &[Case] = CASES.get(..1).unwrap_or_default();
    super::group(table, lab, &CONF, &[begin, rollover::CASES].concat());
}

fn slurmds(cluster: &mut Cluster<'_>) -> Result<()> {
    let log = cluster.log_from_now()?;
    cluster.start_nodes(&["n1", "n2"])?;
    for node in ["n1", "n2"] {
        expect(&cluster.slurmd(node)?.log.text(), &ON_THE_NODE)?;
        expect(&log.text(), &[(&signed(node), 1)])?;
    }
    expect(&log.text(), &[(ASKED, 2), (OVER_MTLS, 0)])
}

fn srun(cluster: &mut Cluster<'_>) -> Result<()> {
    let answer = cluster.slurm("srun", &["--nodes=2", "--ntasks=2", "hostname"])?;
    let mut hosts: Vec<_> = answer.lines().collect();
    hosts.sort_unstable();
    ensure!(hosts == ["n1", "n2"], "srun: {answer}");
    Ok(())
}

fn client_commands(cluster: &mut Cluster<'_>) -> Result<()> {
    ensure!(cluster.slurm_for_anybody("sinfo", &[])?.contains("main"), "sinfo shows no partition");
    ensure!(cluster.slurm_for_anybody("squeue", &[])?.contains("JOBID"), "squeue has no heading");
    Ok(())
}

fn sackd(cluster: &mut Cluster<'_>) -> Result<()> {
    let environment = [("RUNTIME_DIRECTORY", "/run/slurm")];
    let sackd = Daemon::start_with(cluster.lab, "login1", "sackd", User::Slurm, &["-v"], &environment)?;
    let [_, _, (key, _)] = ON_THE_NODE;
    wait_for_line(&sackd.log, key, 1, PATIENCE)?;
    expect(&sackd.log.text(), &ON_THE_NODE)?;
    let mut sinfo = sackd.beside(&cluster.lab.slurm("sinfo", User::Ordinary));
    ensure!(answer(&mut sinfo)?.contains("main"), "sinfo on the login host shows no partition");
    // The next one comes under a name that is none, and without a token.
    wait_for_line(&sackd.log, key, 2, TWO_PERIODS)?;
    expect(&sackd.log.text(), &[ON_THE_NODE[0]])
}

fn renewal(cluster: &mut Cluster<'_>) -> Result<()> {
    let (log, before) = (cluster.log_from_now()?, cluster.lab.ledger("n1")?.len());
    let slurmd = cluster.slurmd("n1")?.log.later();
    let [(token, _), (request, _), (key, _)] = ON_THE_NODE;
    wait_for_line(&slurmd, key, 1, TWO_PERIODS)?;
    ensure!(lines_with(&slurmd.text(), request) >= 1, "{}", slurmd.text());
    expect(&slurmd.text(), &[(token, 0)])?;
    expect(&log.text(), &[(ASKED, 0)])?;
    ensure!(lines_with(&log.text(), OVER_MTLS) >= 1, "{}", log.text());
    ensure!(cluster.lab.ledger("n1")?.len() > before, "not recorded");
    srun(cluster)
}

fn restart(cluster: &mut Cluster<'_>) -> Result<()> {
    // Fresh: one that is older than a period would not be taken.
    without_state(cluster)?;
    stop(cluster, "n1")?;
    cluster.start_nodes(&["n1"])?;
    let [(token, _), (request, _), _] = ON_THE_NODE;
    expect(&cluster.slurmd("n1")?.log.text(), &[(token, 0), (request, 0)])
}

fn without_state(cluster: &mut Cluster<'_>) -> Result<()> {
    stop(cluster, "n1")?;
    forget(cluster.lab, "n1")?;
    cluster.start_nodes(&["n1"])?;
    expect(&cluster.slurmd("n1")?.log.text(), &ON_THE_NODE)
}

fn refusal(cluster: &mut Cluster<'_>) -> Result<()> {
    stop(cluster, "n2")?;
    forget(cluster.lab, "n2")?;
    cluster.slurm_pki(&["node", "remove", "n2", "--yes"])?;
    let log = cluster.log_from_now()?;
    let mut slurmd = Daemon::start(cluster.lab, "n2", "slurmd", User::Root, &[])?;
    wait_until("slurmd on n2 ends", PATIENCE, || Ok(slurmd.ended()?.is_some()))?;
    expect(&log.text(), &[(&not_validated("n2"), 1), (&signed("n2"), 0)])?;
    // Back in: a new secret, and a start that goes well.
    site::enrol(cluster, "n2", &[])?;
    cluster.start_nodes(&["n2"])
}

/// slurmd tells its old self that it has started before it has a certificate: nobody is left to resume.
fn reconfigure(cluster: &mut Cluster<'_>) -> Result<()> {
    forget(cluster.lab, "n1")?;
    fs::write(cluster.lab.path(REFUSE), "")?;
    let (log, slurmd) = (cluster.log_from_now()?, cluster.slurmd("n1")?.log.later());
    cluster.slurm("scontrol", &["reconfigure"])?;
    wait_for_line(&slurmd, "fatal:", 1, PATIENCE)?;
    ensure!(lines_with(&log.text(), &not_signed("n1")) >= 1, "{}", log.text());
    fs::remove_file(cluster.lab.path(REFUSE))?;
    if let Some(slurmd) = cluster.nodes.remove("n1") {
        slurmd.kill();
    }
    cluster.start_nodes(&["n1"])
}

fn stop(cluster: &mut Cluster<'_>, node: &str) -> Result<()> {
    cluster.nodes.remove(node).with_context(|| format!("slurmd on {node} is not running"))?.stop()
}

/// Removes the pair that slurmd keeps over a restart.
fn forget(lab: &Lab, node: &str) -> Result<()> {
    let path = lab.path(&format!("/var/spool/slurmd-{node}/certmgr_state"));
    fs::remove_file(&path).with_context(|| path.display().to_string())
}

fn wait_for_line(log: &Log, words: &str, times: usize, limit: Duration) -> Result<()> {
    let waited = wait_until(words, limit, || Ok(lines_with(&log.text(), words) >= times));
    if let Err(failure) = waited {
        bail!("{failure:#}:\n{}", log.text());
    }
    Ok(())
}
