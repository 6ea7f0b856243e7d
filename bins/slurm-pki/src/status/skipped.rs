//! Hosts that a command left out because they were dead.

use std::collections::BTreeMap;

use pki::time::UnixTime;
use serde::Serialize;

use crate::admin::Admin;
use crate::fleet::{Missed, Skips};
use crate::hostlist::fold_texts;

/// Hosts that miss the same.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    /// What they miss.
    pub(crate) missed: String,
    /// Which, as a hostlist.
    pub(crate) hosts: String,
    /// How many.
    pub(crate) count: usize,
    /// Since when the first of them does.
    pub(crate) since: UnixTime,
}

pub(super) fn of(admin: &Admin) -> anyhow::Result<Vec<Skipped>> {
    let skips = Skips::load(admin)?;
    let mut by_missed: BTreeMap<Vec<Missed>, Vec<(&str, UnixTime)>> = BTreeMap::new();
    for (host, skipped) in skips.hosts() {
        let since = skipped.values().min().copied().unwrap_or(UnixTime(0));
        by_missed.entry(skipped.keys().copied().collect()).or_default().push((host, since));
    }
    let all = by_missed.into_iter().map(|(missed, hosts)| Skipped {
        missed: missed.into_iter().map(Missed::words).collect::<Vec<_>>().join(", "),
        count: hosts.len(),
        since: hosts.iter().map(|(_, since)| *since).min().unwrap_or(UnixTime(0)),
        hosts: fold_texts(hosts.into_iter().map(|(host, _)| host)),
    });
    Ok(all.collect())
}
