//! Nodes by what they may do, and by what their certificates are like.

use std::collections::BTreeMap;
use std::time::Duration;

use pki::name::NodeName;
use pki::time::UnixTime;
use serde::Serialize;

use crate::admin::Admin;
use crate::hostlist::fold_texts;
use crate::node::census::Census;
use crate::node::view::{State, View};
use crate::renewal_period::{self, RenewalPeriod};

/// A node that missed two renewals, and some minutes, is down or refused.
const MISSED: u64 = 2;
const SOME_MINUTES: Duration = Duration::from_secs(15 * 60);

/// The nodes of a site.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Nodes {
    /// How many there are, removed ones not counted.
    pub(crate) total: usize,
    /// By what they may do.
    pub(crate) states: BTreeMap<State, usize>,
    /// By what their certificates are like, removed nodes not counted.
    pub(crate) certificates: BTreeMap<CertificateState, usize>,
    /// The last certificate that was issued to a node.
    pub(crate) last_renewal: Option<At>,
    /// Of the nodes with a living certificate the one that got it first.
    pub(crate) oldest_renewal: Option<At>,
    /// Of all living certificates the first one to end.
    pub(crate) first_end: Option<At>,
    /// Nodes whose certificate is over, as a hostlist.
    pub(crate) expired: String,
    /// Nodes that never got a certificate, as a hostlist.
    pub(crate) never: String,
    /// Nodes that missed renewals and live on what they have, as a hostlist.
    pub(crate) late: String,
    /// Nodes whose records cannot be used, as a hostlist.
    pub(crate) unusable: String,
    /// How many of those there are.
    pub(crate) unusable_count: usize,
    /// Why the first of those cannot.
    pub(crate) unusable_why: Option<String>,
    /// When the certificate of each node ends.
    #[serde(skip)]
    pub(crate) ends: Vec<At>,
}

/// What a node's last certificate is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CertificateState {
    /// Living, and renewed in time.
    Ok,
    /// Living, and not renewed in time.
    Late,
    /// Over.
    Expired,
    /// None was ever issued.
    Never,
}

impl CertificateState {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Late, Self::Expired, Self::Never];

    /// The word for it, the same in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Late => "late",
            Self::Expired => "expired",
            Self::Never => "never",
        }
    }
}

/// Something about a node that has a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct At {
    /// The node.
    pub(crate) node: String,
    /// The time.
    pub(crate) time: UnixTime,
}

impl Nodes {
    pub(super) fn of(admin: &Admin, census: &Census, now: UnixTime) -> Self {
        let period = renewal_period(admin);
        let mut nodes = Self::default();
        let mut by_state: BTreeMap<CertificateState, Vec<&str>> = BTreeMap::new();
        for view in &census.views {
            *nodes.states.entry(view.state).or_default() += 1;
            if view.state != State::Removed {
                let state = certificate_state(view, period, now);
                by_state.entry(state).or_default().push(&view.name);
                nodes.note(view, state);
            }
        }
        nodes.total = by_state.values().map(Vec::len).sum::<usize>() + census.unusable.len();
        let fold = |state| fold_texts(by_state.get(&state).into_iter().flatten().copied());
        nodes.expired = fold(CertificateState::Expired);
        nodes.never = fold(CertificateState::Never);
        nodes.late = fold(CertificateState::Late);
        nodes.certificates = by_state.iter().map(|(state, names)| (*state, names.len())).collect();
        nodes.unusable = fold_texts(census.unusable.iter().map(|(name, _)| NodeName::as_str(name)));
        nodes.unusable_count = census.unusable.len();
        nodes.unusable_why = census.unusable.first().map(|(_, why)| why.clone());
        nodes
    }

    /// How many nodes have such a certificate.
    pub(crate) fn count(&self, state: CertificateState) -> usize {
        self.certificates.get(&state).copied().unwrap_or_default()
    }

    fn note(&mut self, view: &View, state: CertificateState) {
        let Some(last) = &view.last_certificate else { return };
        let at = |time| At { node: view.name.clone(), time };
        keep(&mut self.last_renewal, at(last.time), |new, old| new > old);
        self.ends.push(at(last.not_after));
        if matches!(state, CertificateState::Ok | CertificateState::Late) {
            keep(&mut self.oldest_renewal, at(last.time), |new, old| new < old);
            keep(&mut self.first_end, at(last.not_after), |new, old| new < old);
        }
    }
}

fn keep(kept: &mut Option<At>, new: At, goes_before: fn(UnixTime, UnixTime) -> bool) {
    if kept.as_ref().is_none_or(|old| goes_before(new.time, old.time)) {
        *kept = Some(new);
    }
}

fn certificate_state(view: &View, period: Duration, now: UnixTime) -> CertificateState {
    match &view.last_certificate {
        None => CertificateState::Never,
        Some(last) if last.not_after <= now => CertificateState::Expired,
        // A static pair is not renewed by its node.
        Some(last) if view.state != State::Unrecorded && is_late(last.time, period, now) => {
            CertificateState::Late
        }
        Some(_) => CertificateState::Ok,
    }
}

fn is_late(issued: UnixTime, period: Duration, now: UnixTime) -> bool {
    let patience = period.saturating_mul(u32::try_from(MISSED).unwrap_or(2)).saturating_add(SOME_MINUTES);
    issued.plus(patience) < now
}

/// How often a node renews; a period that has no meaning is another command's to complain of.
fn renewal_period(admin: &Admin) -> Duration {
    let parameters = admin.slurm.as_ref().and_then(|slurm| slurm.get("CertmgrParameters"));
    let usual = || Duration::from_secs(renewal_period::DEFAULT * 60);
    RenewalPeriod::of(parameters).length().unwrap_or_else(usual)
}
