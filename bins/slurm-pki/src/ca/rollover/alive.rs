//! Certificates that have not ended, by the ledger: it says who was issued what. (Slurm's TLSCertLastRenewal follows a
//! name that any peer with a certificate chooses: slurm-contract.md 1.5.)

use std::collections::BTreeMap;

use pki::name::NodeName;
use pki::time::UnixTime;
use serde::Serialize;
use site::ledger::{Entry, Ledger};

use crate::admin::Admin;
use crate::advice::Advise as _;

/// A name with a certificate of one CA that has not ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Holder {
    /// Node or daemon.
    pub(super) name: String,
    /// When the last such certificate ends.
    pub(super) until: UnixTime,
    /// Whether a later one came from another CA.
    pub(super) has_newer: bool,
}

/// Everybody who holds a certificate of `issuer`, in the order of their names.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn holders(admin: &Admin, issuer: &str, now: UnixTime) -> anyhow::Result<Vec<Holder>> {
    let ledger = Ledger::of(&admin.controller);
    let counts = |entry: &Entry| entry.not_after > now && !is_ours_alone(&entry.node);
    let mut holders: BTreeMap<String, Holder> = BTreeMap::new();
    // Oldest first: the last line of a name says what it was given last.
    for entry in ledger.entries(counts).advise()? {
        match holders.get_mut(&entry.node) {
            Some(holder) => {
                holder.has_newer = entry.issuer != issuer;
                if !holder.has_newer {
                    holder.until = holder.until.max(entry.not_after);
                }
            }
            None if entry.issuer == issuer => {
                let name = entry.node;
                holders.insert(name.clone(), Holder { name, until: entry.not_after, has_newer: false });
            }
            None => {}
        }
    }
    Ok(holders.into_values().collect())
}

/// Certificates of rehearsals and proofs are nobody's.
fn is_ours_alone(name: &str) -> bool {
    name == super::proof::NAME || NodeName::parse(name.as_bytes()).is_ok_and(|name| name.is_rehearsal())
}
