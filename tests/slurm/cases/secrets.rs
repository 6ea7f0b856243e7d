//! What no log may contain.

use std::fs;

use anyhow::{Result, ensure};

use crate::lab::{Lab, SYSLOG};

pub(super) const NAME: &str = "no token, no secret and no key in any log";

/// Looks through everything that Slurm and our programs in it wrote.
pub(super) fn nowhere_in_the_logs(lab: &Lab) -> Result<()> {
    let secrets = lab.secrets();
    ensure!(secrets.len() > 400, "only {} secrets were noted", secrets.len());
    let (mut logs, mut signed) = (0, 0);
    for file in fs::read_dir(lab.path("/var/log/slurm"))? {
        let path = file?.path();
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        ensure!(!text.contains("PRIVATE KEY"), "a key in {}", path.display());
        let leaked = secrets.iter().filter(|secret| text.contains(secret.as_str())).count();
        ensure!(leaked == 0, "{leaked} secrets in {}", path.display());
        signed += crate::log::lines_with(&text, "Successfully generated signed certificate");
        logs += 1;
    }
    // The logs are the right ones.
    ensure!(lab.text(SYSLOG)?.contains("validate_node_token"), "syslog heard of no refusal");
    ensure!(logs > 200 && signed > 200, "{logs} logs with {signed} certificates");
    Ok(())
}
