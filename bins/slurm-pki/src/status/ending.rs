//! What runs out, the first first, and what then is to be done.

use pki::time::UnixTime;
use serde::Serialize;

use super::{CaCertificate, CertificateState, Overview};
use crate::cert::facts::DaemonFacts;

/// Something that ends.
#[derive(Debug, Serialize)]
pub(crate) struct Ending {
    /// When.
    pub(crate) at: UnixTime,
    /// What.
    pub(crate) what: String,
    /// What is to be done about it.
    pub(crate) then: String,
}

pub(super) fn all(overview: &Overview) -> Vec<Ending> {
    let mut all = Vec::new();
    if let Some(ca) = overview.ca.known() {
        all.extend(ca.certificates.iter().map(of_ca));
    }
    all.extend(overview.daemons.iter().filter_map(of_daemon));
    all.extend(of_nodes(overview));
    all.extend(of_tokens(overview));
    all.extend(of_vault(overview));
    all.sort_by_key(|ending| ending.at);
    all
}

fn of_ca(ca: &CaCertificate) -> Ending {
    let then = match ca.in_use {
        true => "slurm-pki ca rollover begin, months before",
        false => "nothing: it is not in use",
    };
    let what = format!("CA: {} ({})", ca.subject, ca.kind);
    Ending { at: ca.not_after, what, then: then.into() }
}

fn of_daemon(facts: &DaemonFacts) -> Option<Ending> {
    let leaf = facts.leaf.as_ref()?;
    let due = facts.due.map(|due| format!(", from {due} on")).unwrap_or_default();
    let then = format!("slurm-pki cert renew{due}");
    Some(Ending { at: leaf.not_after, what: format!("{}: its certificate", facts.program), then })
}

fn of_nodes(overview: &Overview) -> Option<Ending> {
    let nodes = overview.nodes.known()?;
    let first = nodes.first_end.as_ref()?;
    let living = nodes.count(CertificateState::Ok) + nodes.count(CertificateState::Late);
    Some(Ending {
        at: first.time,
        what: format!("nodes: the first of {living} certificates ({})", first.node),
        then: "nothing: its daemon renews it".into(),
    })
}

fn of_vault(overview: &Overview) -> Option<Ending> {
    let at = overview.vault.known()?.token_ends?;
    let then = "slurm-pki vault renew, by its timer";
    Some(Ending { at, what: "vault: the programs' token".into(), then: then.into() })
}

fn of_tokens(overview: &Overview) -> Option<Ending> {
    let first = overview.tokens.known()?.first_end.as_ref()?;
    Some(Ending {
        at: first.time,
        what: format!("tokens: the first one ({})", first.node),
        then: format!("slurm-pki node token {}, if it is still to enrol", first.node),
    })
}
