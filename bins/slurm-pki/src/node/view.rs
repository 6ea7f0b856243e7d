//! What is known of a node, put together from store, token list, waiting secrets and ledger.

use std::collections::{BTreeMap, HashSet};

use pki::name::NodeName;
use pki::record::RecordId;
use pki::standing::{Held, Standing};
use pki::time::UnixTime;
use pki::token::TokenDigest;
use serde::Serialize;
use site::ledger::{Entry, Ledger};

use super::enrolment::{Enrolment, is_foreign};

/// A node as `node list` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct View {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) state: State,
    /// Whether a token of its enrols now.
    pub(crate) enrols: bool,
    /// Whether a key of its binds requests now, so that renewals go on.
    pub(crate) binds: bool,
    /// Whether the present token is for a single use.
    pub(crate) single_use: bool,
    /// When the present token ends.
    pub(crate) enrols_until: Option<UnixTime>,
    /// When the first certificate was issued under the present record.
    pub(crate) used: Option<UnixTime>,
    /// Whether a token that others made still counts: whoever sees it can bind too.
    pub(crate) foreign: bool,
    /// Whether a secret waits to be bundled.
    pub(crate) waiting: bool,
    /// Its records, oldest first.
    pub(crate) records: Vec<RecordView>,
    /// Its last certificate.
    pub(crate) last_certificate: Option<Entry>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It can enrol and renew.
    Enrolled,
    /// It can renew; its token enrols no more.
    Renews,
    /// A line of token_list enrols it.
    Listed,
    /// It has a certificate and no record: a static pair, or issued while `bind` asked for none.
    Unrecorded,
    /// It can do nothing.
    Removed,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Enrolled, Self::Renews, Self::Listed, Self::Unrecorded, Self::Removed];

    /// The word for it, the same in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Renews => "renews",
            Self::Listed => "listed",
            Self::Unrecorded => "unrecorded",
            Self::Removed => "removed",
        }
    }
}

/// One record and its mark.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecordView {
    /// Its id.
    pub(crate) id: RecordId,
    /// When the secret was made, or imported.
    pub(crate) created: UnixTime,
    /// Last second in which the token enrols.
    pub(crate) enrols_until: Option<UnixTime>,
    /// Whether the token is for a single use.
    pub(crate) single_use: bool,
    /// When both rights were taken away.
    pub(crate) withdrawn: Option<UnixTime>,
    /// Whether others made the token.
    pub(crate) foreign: bool,
    /// What `{ printf 'slurm-pki token v1\0'; get_node_token NODE; } | sha256sum` says on the node. Of a token of ours
    /// nobody can tell it from that; what others made might be guessed.
    pub(crate) token: Option<TokenDigest>,
    /// The first certificate of any kind.
    pub(crate) used: Option<UnixTime>,
    /// The first certificate that its key bound.
    pub(crate) bound: Option<UnixTime>,
    /// Whether its token enrols now.
    pub(crate) enrols: bool,
    /// Whether its key binds now.
    pub(crate) binds: bool,
}

impl View {
    /// A node with records.
    pub(crate) fn recorded(
        enrolment: &Enrolment,
        name: &NodeName,
        held: Vec<Held>,
        last: Option<Entry>,
    ) -> Self {
        let records = record_views(enrolment, held);
        let (enrols, binds) = (records.iter().any(|r| r.enrols), records.iter().any(|r| r.binds));
        let present = records.iter().rev().find(|record| record.binds).or(records.last());
        Self {
            name: name.to_string(),
            state: match (enrols, binds) {
                (true, _) => State::Enrolled,
                (false, true) => State::Renews,
                (false, false) => State::Removed,
            },
            enrols,
            binds,
            single_use: present.is_some_and(|record| record.single_use),
            enrols_until: present.and_then(|record| record.enrols_until),
            used: present.and_then(|record| record.used),
            foreign: records.iter().any(|record| record.foreign && record.binds),
            waiting: enrolment.outgoing.has(name),
            records,
            last_certificate: last,
        }
    }

    /// A node that has a line in token_list, and no records.
    pub(crate) fn listed(name: &NodeName, last: Option<Entry>) -> Self {
        Self {
            name: name.to_string(),
            state: State::Listed,
            enrols: true,
            binds: true,
            single_use: false,
            enrols_until: None,
            used: None,
            foreign: true,
            waiting: false,
            records: Vec::new(),
            last_certificate: last,
        }
    }

    /// A name that has a certificate, and nothing else.
    pub(crate) fn unrecorded(name: &NodeName, last: Entry) -> Self {
        let state = State::Unrecorded;
        Self { state, enrols: false, binds: false, foreign: false, ..Self::listed(name, Some(last)) }
    }
}

fn record_views(enrolment: &Enrolment, held: Vec<Held>) -> Vec<RecordView> {
    let standing = Standing::Recorded(held.clone());
    let (now, windows) = (enrolment.now, &enrolment.windows);
    let enrolling: HashSet<_> = standing.still_enrolling(now, windows).into_iter().collect();
    let binding: HashSet<_> =
        standing.binders(now, windows).into_iter().filter_map(|binder| binder.record).collect();
    held.into_iter()
        .map(|Held { record, mark }| RecordView {
            enrols: enrolling.contains(&record.id),
            binds: binding.contains(&record.id),
            foreign: is_foreign(&record),
            token: (!is_foreign(&record)).then_some(record.token),
            id: record.id,
            created: record.created,
            enrols_until: record.enrols_until,
            single_use: record.single_use,
            withdrawn: record.withdrawn,
            used: mark.map(|mark| mark.issued),
            bound: mark.and_then(|mark| mark.bound),
        })
        .collect()
}

/// The last certificates of many nodes: those that `last/` knows by one small file each, the others by
/// one reading of the ledger for all of them.
///
/// # Errors
/// When the ledger is there but cannot be read.
pub(crate) fn last_certificates(
    ledger: &Ledger,
    names: &[NodeName],
) -> anyhow::Result<BTreeMap<NodeName, Entry>> {
    use crate::advice::Advise as _;
    let mut last = BTreeMap::new();
    let mut unknown = BTreeMap::new();
    for name in names {
        match ledger.last_known(name.as_str()) {
            Some(entry) => drop(last.insert(name.clone(), entry)),
            None => drop(unknown.insert(name.as_str(), name)),
        }
    }
    if unknown.is_empty() {
        return Ok(last);
    }
    let read = ledger.entries(|entry| {
        if let Some(&name) = unknown.get(entry.node.as_str())
            && last.get(name).is_none_or(|known: &Entry| known.time <= entry.time)
        {
            last.insert(name.clone(), entry.clone());
        }
        false
    });
    match read {
        // No ledger: nothing was ever issued.
        Err(e) if e.is_not_found() => Ok(last),
        other => other.map(|_| last).advise(),
    }
}
