//! Nodes' tokens: which wait, which end, which are weaker than ours.

use std::time::Duration;

use pki::time::UnixTime;
use serde::Serialize;

use super::nodes::At;
use crate::hostlist::fold_texts;
use crate::node::census::Census;
use crate::node::view::{State, View};

/// So long before its end a token that was not used yet is worth a word.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// The tokens of a site.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tokens {
    /// Secrets that wait to be bundled or pushed.
    pub(crate) waiting: Group,
    /// Tokens for a single use that were not used yet.
    pub(crate) single_use: Group,
    /// Tokens that others made: whoever sees one can get certificates too.
    pub(crate) foreign: Group,
    /// Tokens that end within a week.
    pub(crate) ending: Group,
    /// The first of those.
    pub(crate) first_end: Option<At>,
    /// Tokens of token_list that enrol any name without records.
    pub(crate) bare: usize,
}

/// Some nodes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Group {
    /// How many.
    pub(crate) count: usize,
    /// Which, as a hostlist.
    pub(crate) nodes: String,
}

impl Group {
    fn of(views: &[&View], belongs: impl Fn(&View) -> bool) -> Self {
        let names: Vec<&str> =
            views.iter().filter(|view| belongs(view)).map(|view| view.name.as_str()).collect();
        Self { count: names.len(), nodes: fold_texts(names) }
    }
}

impl Tokens {
    pub(super) fn of(census: &Census, now: UnixTime) -> Self {
        let views: Vec<&View> = census.views.iter().filter(|view| view.state != State::Removed).collect();
        let end_of = |view: &View| view.enrols_until.filter(|_| view.enrols);
        let soon = |view: &View| end_of(view).is_some_and(|end| end <= now.plus(SOON));
        let first = views.iter().filter_map(|view| Some((end_of(view)?, view))).min_by_key(|(end, _)| *end);
        Self {
            waiting: Group::of(&views, |view| view.waiting),
            single_use: Group::of(&views, |view| view.single_use && view.used.is_none()),
            foreign: Group::of(&views, |view| view.foreign),
            ending: Group::of(&views, soon),
            first_end: first.map(|(time, view)| At { node: view.name.clone(), time }),
            bare: census.bare_tokens,
        }
    }
}
