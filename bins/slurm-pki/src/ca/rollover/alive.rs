//! Certificates that have not ended, by the ledger: it says who was issued what. (Slurm's TLSCertLastRenewal follows a
//! name that any peer with a certificate chooses: slurm-contract.md 1.5.)

use std::collections::{BTreeMap, BTreeSet};

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

/// Names with a certificate of either CA that has not ended, in lower case.
#[derive(Debug)]
pub(super) struct Alive(BTreeSet<String>);

impl Alive {
    /// By the ledger.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(admin: &Admin, now: UnixTime) -> anyhow::Result<Self> {
        let counts = |entry: &Entry| entry.not_after > now && !is_ours_alone(&entry.node);
        let entries = Ledger::of(&admin.controller).entries(counts).advise()?;
        Ok(Self::from_names(entries.iter().map(|entry| entry.node.as_str())))
    }

    fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = BTreeSet::new();
        for name in names {
            let name = name.to_ascii_lowercase();
            all.insert(first_label(&name).to_owned());
            all.insert(name);
        }
        Self(all)
    }

    /// Whether a node has one, under its name, or under that with a domain behind it. (Not the other way round: who has one
    /// for n1 would have one for every n1.x.)
    pub(super) fn has(&self, node: &str) -> bool {
        self.0.contains(&node.to_ascii_lowercase())
    }
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Certificates of rehearsals and proofs are nobody's.
fn is_ours_alone(name: &str) -> bool {
    name == super::proof::NAME || NodeName::parse(name.as_bytes()).is_ok_and(|name| name.is_rehearsal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_counts_for_its_name_with_or_without_a_domain_and_for_none_below_it() {
        let alive = Alive::from_names(["n1", "d1.example.org", "D2"]);
        for name in ["n1", "N1", "d1", "d1.example.org", "d2"] {
            assert!(alive.has(name), "{name}");
        }
        for name in ["n1.x", "n10", "d1.example.com", ""] {
            assert!(!alive.has(name), "{name}");
        }
    }
}
