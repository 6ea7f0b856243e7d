//! slurmctld dies after a certificate was signed and before it was sent.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Case;
use crate::cluster::{Cluster, PATIENCE};
use crate::conf::Conf;
use crate::probe::Probe;
use crate::shell::wait_until;
use crate::site;

pub(super) const CASES: &[Case] =
    &[("slurmctld is killed between signing and answering; the same request is answered later", killed)];

const SCRIPT: &str = "/slurm-pki/sign_and_hold";
const HOLD: &str = "/tmp/hold";
const SIGNED: &str = "/tmp/hold/signed";

/// The node asks again soon.
pub(super) fn conf() -> Conf {
    Conf { sign_csr: SCRIPT, message_timeout: 5, ..Conf::default() }
}

/// Signs with our program, then holds the answer back as long as the folder is there.
const SIGN_AND_HOLD: &str = "\
#!/bin/sh
answer=$(/slurm-pki/bin/sign_csr \"$1\") || exit 1
if [ -d /tmp/hold ]; then
    : > /tmp/hold/signed
    while [ -d /tmp/hold ]; do sleep 0.1; done
fi
printf '%s\\n' \"$answer\"
";

fn killed(cluster: &mut Cluster<'_>) -> Result<()> {
    let lab = cluster.lab;
    lab.script(SCRIPT, SIGN_AND_HOLD)?;
    lab.folder(HOLD, crate::lab::User::Slurm)?;
    site::enrol(cluster, "once", &["--single-use"])?;
    let node = Probe::slurmd(lab).start(&["persist", "once"])?;
    wait_until("the certificate is signed", Duration::from_secs(30), || Ok(lab.path(SIGNED).exists()))?;
    ensure!(lab.ledger("once")?.len() == 1, "a certificate was signed and not recorded");
    if let Some(primary) = cluster.primary.take() {
        primary.kill();
    }
    fs::remove_dir_all(lab.path(HOLD))?;
    cluster.start_primary()?;
    let pair = wait_for(node)?;
    pair.expect_name("once")?;
    // The same request twice: two certificates for one key, under a single-use token within its window.
    let ledger = lab.ledger("once")?;
    let hash = pair.fingerprint()?;
    ensure!(ledger.len() == 2, "{} certificates, not 2: {ledger:?}", ledger.len());
    let same = ledger.iter().all(|line| line.get("spki_sha256").and_then(|it| it.as_str()) == Some(&hash));
    ensure!(same, "for more than one key: {ledger:?}");
    Ok(())
}

fn wait_for(node: crate::probe::Running) -> Result<crate::probe::Pair> {
    node.wait_at_most(PATIENCE)?.pair()
}
