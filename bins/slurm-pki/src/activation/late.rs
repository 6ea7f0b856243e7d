//! Which nodes are late with their renewals: slurmctld's word and the ledger's, brought together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pki::time::UnixTime;
use site::config::Daemon;
use site::ledger::Ledger;

use super::renewals::{Issued, Shown};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::cert::target::config_of;
use crate::node::view::last_certificates;
use crate::parameters::Parameters;
use crate::programs::{SIGN_CSR, is_ours};
use crate::shown_node::ShownNode;

/// The names of those that are, of all nodes as slurmctld shows them ([`Shown::late`]).
///
/// The files of last certificates are not synced: what they say against a node is looked up in the ledger itself.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) fn late(
    admin: &Admin,
    nodes: Vec<ShownNode>,
    period: Duration,
    now: UnixTime,
) -> anyhow::Result<Vec<String>> {
    let shown = Shown(nodes);
    let ledger = Ledger::of(&admin.controller);
    let slurmd = config_of(admin, Daemon::Slurmd)?;
    let last = if signs(admin) { last_certificates(&ledger, &shown.answering())? } else { BTreeMap::new() };
    let mut issued = Issued { last, static_pairs: slurmd.configured };
    let doubted: BTreeSet<String> = shown.late(&issued, period, now).into_iter().map(str::to_owned).collect();
    if !doubted.is_empty() && !issued.last.is_empty() {
        issued.learn(ledger.entries(|entry| doubted.contains(&entry.node)).advise()?);
    }
    Ok(shown.late(&issued, period, now).into_iter().map(str::to_owned).collect())
}

/// Whether what slurmctld runs to sign is ours, as far as slurm.conf tells: another's work stands in no ledger.
pub(crate) fn signs(admin: &Admin) -> bool {
    let parameters = admin.slurm.as_ref().and_then(|slurm| slurm.get("CertmgrParameters"));
    Parameters::of(parameters).get("sign_csr_script").is_none_or(|script| is_ours(script, SIGN_CSR))
}
