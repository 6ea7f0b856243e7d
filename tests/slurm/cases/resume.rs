//! Cloud nodes that slurmctld starts: the sample ResumeProgram, `slurm-pki resume-hook` in it, and CertToken.

use std::fs;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use pki::token::NodeSecret;

use super::Case;
use super::certtoken::matches;
use super::enrolment::{ASKED, signed};
use crate::cluster::{Cluster, PATIENCE};
use crate::conf::{Conf, RESUME};
use crate::lab::{Lab, User};
use crate::log::expect;
use crate::probe::Probe;
use crate::shell::wait_until;

pub(super) const CASES: &[Case] = &[
    ("slurmctld starts cloud nodes: each has user-data, and CertToken is the token in it", started),
    ("a started cloud node enrols by CertToken, and nobody else is asked", enrols),
    ("a cloud node that may not start is given up at once", given_up),
];

/// Two that start, and one that was never enrolled.
const STARTED: [&str; 2] = ["c201", "c202"];
const STRANGER: &str = "c203";

const CONFIG: &str = "/etc/slurm/slurm-pki.toml";

/// Where the launcher notes what it was given.
const CLOUD: &str = "/var/lib/cloud-of-the-suite";

/// As the launcher of a site: the cloud keeps the user-data.
const LAUNCHER: &str = "#!/bin/sh\nset -eu\numask 077\ncp \"$2\" /var/lib/cloud-of-the-suite/\"$1\"\n";

pub(super) fn conf() -> Conf {
    Conf { resume: true, ..Conf::default() }
}

fn started(cluster: &mut Cluster<'_>) -> Result<()> {
    let lab = cluster.lab;
    install(lab)?;
    // Without its programs at its start slurmctld starts no node.
    if let Some(primary) = cluster.primary.take() {
        primary.stop()?;
    }
    cluster.start_primary()?;
    cluster.slurm_pki(&["node", "add", "c[201-202]"])?;
    let text = fs::read_to_string(lab.path(CONFIG))? + "\n[resume]\ncerttoken = true\n";
    fs::write(lab.path(CONFIG), text)?;
    // slurmctld takes power actions a moment after it began to answer.
    let mut last = None;
    wait_until("nodes may be started", PATIENCE, || {
        let update = &["update", "nodename=c[201-203]", "state=power_up"];
        last = cluster.slurm("scontrol", update).err();
        Ok(last.is_none())
    })
    .with_context(|| format!("{last:?}"))?;
    let given = |node: &str| lab.path(&format!("{CLOUD}/{node}"));
    wait_until("the launcher is called", PATIENCE, || Ok(STARTED.iter().all(|node| given(node).exists())))
        .with_context(|| cluster.primary().map_or_else(|_| String::new(), |one| one.log.text()))
        .with_context(|| lab.text(crate::lab::SYSLOG).unwrap_or_default())?;
    for node in STARTED {
        let shown = cluster.node(node)?;
        ensure!(shown.contains("TLSCertTokenSet=Yes"), "scontrol does not show it: {shown}");
        bring(lab, node)?;
    }
    Ok(())
}

/// The sample, with the paths of this root, and a launcher.
fn install(lab: &Lab) -> Result<()> {
    let sample = lab.text("/slurm-pki/packaging/resume/resume")?;
    let text = sample
        .replace("slurm_pki=slurm-pki\n", "slurm_pki=/slurm-pki/bin/slurm-pki\n")
        .replace("launcher=/etc/slurm/launch\n", "launcher=/slurm-pki/launch\n");
    ensure!(text.contains("/slurm-pki/bin/slurm-pki") && text.contains("/slurm-pki/launch"), "{sample}");
    lab.script(RESUME, &text)?;
    lab.script("/slurm-pki/launch", LAUNCHER)?;
    lab.folder(CLOUD, User::Slurm)
}

/// What cloud-init does on the node: the token file, from the user-data.
fn bring(lab: &Lab, node: &str) -> Result<()> {
    let user_data = lab.text(&format!("{CLOUD}/{node}"))?;
    let path = format!("/etc/slurm/certmgr/{node}_token.txt");
    let (_, after) = user_data.split_once(&format!("path: \"{path}\"")).context("no token in it")?;
    let content = after.lines().find_map(|line| line.trim().strip_prefix("content: "));
    let file = BASE64.decode(content.context("no content")?.as_bytes())?;
    lab.secret_file(&path, &file, User::Root)?;
    let secret = NodeSecret::from_token_file(&file).map_err(|e| anyhow::anyhow!("{path}: {e}"))?;
    lab.keep_secret(String::from_utf8(secret.token().secret().expose().to_vec())?);
    let file = String::from_utf8(file)?;
    lab.keep_secret(file.rsplit(':').next().unwrap_or(&file));
    Ok(())
}

fn enrols(cluster: &mut Cluster<'_>) -> Result<()> {
    for node in STARTED {
        let log = cluster.log_from_now()?;
        Probe::slurmd(cluster.lab).run(&["enrol", node])?.pair()?.expect_name(node)?;
        expect(&log.text(), &[(&matches(node), 1), (&signed(node), 1), (ASKED, 0)])?;
    }
    Ok(())
}

fn given_up(cluster: &mut Cluster<'_>) -> Result<()> {
    let lab = cluster.lab;
    ensure!(!lab.path(&format!("{CLOUD}/{STRANGER}")).exists(), "it was started");
    wait_until("it is powered down", PATIENCE, || {
        let shown = cluster.node(STRANGER)?;
        Ok(shown.contains("resume failed") && !shown.contains("POWERING_UP"))
    })
    .with_context(|| cluster.node(STRANGER).unwrap_or_default())?;
    let said = lab.text(crate::lab::SYSLOG)?;
    ensure!(said.contains("c203: not enrolled"), "{said}");
    ensure!(said.contains("c203: no bundle"), "{said}");
    let left = fs::read_dir(lab.path("/var/lib/slurm-pki/resume"))?.flatten();
    let left: Vec<_> = left.filter(|one| one.path().extension().is_some_and(|end| end == "yaml")).collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
