//! What has to hold before anything is restarted: Slurm has no old process to fall back to, and a node that cannot renew
//! is lost at its next start (slurm-contract.md 3.5).
//!
//! It is about certmgr: where nodes have static pairs, nobody asks slurmctld for a certificate.

use pki::name::NodeName;
use pki::time::UnixTime;

use super::late::late;
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::hostlist;
use crate::node::scontrol;
use crate::renewal_period::RenewalPeriod;
use crate::{rehearse, report};

/// Nothing, when things may be restarted. `useless`: whether slurmctld is to be restarted and is down already, or serves
/// what no peer accepts; then nobody can ask it about the nodes, and they cannot renew before it is back. A rehearsal leaves a
/// mark: `--dry-run` does without.
///
/// # Errors
/// When a node would get no certificate, when nodes do not renew, or when that cannot be told.
pub(crate) fn pass(global: &Global, admin: &Admin, useless: bool, now: UnixTime) -> anyhow::Result<()> {
    pass_without(global, admin, useless, now, &[])
}

/// The same where these nodes are not asked about: they are restarted because they do not renew.
///
/// # Errors
/// As [`pass`].
pub(crate) fn pass_without(
    global: &Global,
    admin: &Admin,
    useless: bool,
    now: UnixTime,
    not_these: &[NodeName],
) -> anyhow::Result<()> {
    let Some(slurm) = admin.slurm.as_ref().filter(|slurm| slurm.get("CertmgrType").is_some()) else {
        return Ok(());
    };
    if global.dry_run {
        report::line("would rehearse first, as slurm-pki rehearse does");
    } else {
        rehearse::of_controller(admin)?;
    }
    match nodes_renew(admin, slurm.get("CertmgrParameters"), now, not_these) {
        Err(Refusal::NotAsked(why)) if useless => {
            report::warning(&format!("slurmctld is out of reach, so nobody can tell whether nodes renew: {why}"));
            Ok(())
        }
        Err(Refusal::Late(nodes)) if useless => {
            report::warning(&format!("slurmctld is out of reach, so these nodes could not renew: {nodes}"));
            Ok(())
        }
        Err(Refusal::NotAsked(why)) => Err(Advice::new(
            format!("nothing is restarted: whether nodes renew their certificates cannot be told: {why}"),
            "see that scontrol show nodes --json works on this host as root or SlurmUser, and run this again",
        )
        .into()),
        Err(Refusal::Late(nodes)) => Err(Advice::new(
            format!("nothing is restarted: nodes answer, but have not renewed within the period: {nodes}"),
            "see slurmd's log there for certmgr's errors, and run slurm-pki rehearse here; a node that must not \
             hold this up is taken out by scontrol update nodename=NODE state=down reason=certificate",
        )
        .into()),
        Ok(()) => Ok(()),
    }
}

enum Refusal {
    NotAsked(String),
    Late(String),
}

fn nodes_renew(
    admin: &Admin,
    certmgr_parameters: Option<&str>,
    now: UnixTime,
    not_these: &[NodeName],
) -> Result<(), Refusal> {
    let period = RenewalPeriod::of(certmgr_parameters);
    let text = period.text.unwrap_or_default();
    let meaningless = || format!("certificate_renewal_period={text} is not a number of minutes above 0");
    let period = period.length().ok_or_else(|| Refusal::NotAsked(meaningless()))?;
    let late = scontrol::shown_nodes().and_then(|nodes| late(admin, nodes, period, now));
    let mut late = late.map_err(|e| Refusal::NotAsked(e.to_string()))?;
    late.retain(|late| !not_these.iter().any(|name| name.as_str() == late));
    match late.as_slice() {
        [] => Ok(()),
        late => Err(Refusal::Late(hostlist::fold_texts(late.iter().map(String::as_str)))),
    }
}
