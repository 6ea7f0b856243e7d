//! Which nodes are late with their renewals: slurmctld's word and the ledger's, brought together.

use std::time::Duration;

use pki::time::UnixTime;
use site::config::{Daemon, DaemonConfig};
use site::ledger::Ledger;

use super::renewals::{Issued, Shown};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::node::view::last_certificates;

/// The names of those that are, by `scontrol show nodes --json` ([`Shown::late`]).
///
/// # Errors
/// When the JSON is something else, or the ledger cannot be read.
pub(crate) fn late(
    admin: &Admin,
    json: &[u8],
    period: Duration,
    now: UnixTime,
) -> anyhow::Result<Vec<String>> {
    let shown = Shown::parse(json).map_err(|e| anyhow::anyhow!("scontrol's JSON: {e}"))?;
    let last = last_certificates(&Ledger::of(&admin.controller), &shown.answering())?;
    let slurmd = DaemonConfig::read(&admin.config, &admin.controller, Daemon::Slurmd).advise()?;
    let issued = Issued { last, static_pairs: slurmd.configured };
    Ok(shown.late(&issued, period, now).into_iter().map(str::to_owned).collect())
}
