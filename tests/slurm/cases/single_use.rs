//! Tokens that enrol once: by our records, and by Slurm's own parameter.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::Case;
use super::certtoken::matches;
use super::enrolment::{enrols, signed, validated};
use crate::cluster::Cluster;
use crate::log::expect;
use crate::probe::Probe;
use crate::site;

pub(super) const OURS: &[Case] = &[
    ("a single-use token of ours works again within replay_window", within_the_window),
    ("a single-use token of ours is refused after it", after_the_window),
];

pub(super) const SLURMS: &[Case] =
    &[("single_use_tokens: slurmctld forgets CertToken after the certificate", slurms)];

fn within_the_window(cluster: &mut Cluster<'_>) -> Result<()> {
    site::enrol(cluster, "cloud1", &["--single-use"])?;
    enrols(cluster, "cloud1")?;
    enrols(cluster, "cloud1")?;
    Ok(())
}

/// The mark of the first use is moved back in time; nobody waits an hour.
fn after_the_window(cluster: &mut Cluster<'_>) -> Result<()> {
    let lab = cluster.lab;
    let marks = fs::read_dir(lab.path("/var/lib/slurm-pki/tokens"))?.flatten().map(|entry| entry.path());
    let mark = marks.filter(|path| path.extension().is_some_and(|end| end == "used"));
    let mut mark = mark
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cloud1.")));
    let mark = mark.next().context("no mark of the first use")?;
    let used = fs::read_to_string(&mark)?;
    let earlier = used.split_whitespace().map(|time| Ok((time.parse::<i64>()? - 7200).to_string()));
    fs::write(&mark, earlier.collect::<Result<Vec<_>>>()?.join(" "))?;
    let (log, before) = (cluster.log_from_now()?, lab.ledger("cloud1")?.len());
    Probe::slurmd(lab).run(&["enrol", "cloud1"])?.expect_refused()?;
    expect(
        &log.text(),
        &[("validate_node_token: error:", 1), (&signed("cloud1"), 0), (&validated("cloud1"), 0)],
    )?;
    ensure!(lab.ledger("cloud1")?.len() == before, "something was issued");
    Ok(())
}

fn slurms(cluster: &mut Cluster<'_>) -> Result<()> {
    let token = site::token(cluster.lab, "n6")?;
    cluster.scontrol_reads(&format!("update nodename=n6 certtoken={token}"))?;
    let log = cluster.log_from_now()?;
    Probe::slurmd(cluster.lab).run(&["enrol", "n6"])?.pair()?;
    let reset = "Token for node 'n6' has been reset following successful certificate signing";
    expect(&log.text(), &[(&matches("n6"), 1), (&signed("n6"), 1), (reset, 1)])?;
    let shown = cluster.node("n6")?;
    ensure!(!shown.contains("TLSCertTokenSet=Yes"), "it is still set: {shown}");
    // From now on our record decides, and it knows this token.
    enrols(cluster, "n6")?;
    Ok(())
}
