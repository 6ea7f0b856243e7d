//! All nodes at once: those with records, those that token_list names, and names that only the ledger knows.

use std::collections::BTreeSet;
use std::time::Duration;

use pki::name::NodeName;
use site::ledger::{Entry, Ledger};
use site::token_list;

use super::enrolment::Enrolment;
use super::view::{View, last_certificates};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::hostlist;
use crate::report;

/// A name without a record is forgotten so long after its last certificate ended: nobody takes it out of the
/// ledger.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Every node there is.
#[derive(Debug)]
pub(crate) struct Census {
    /// In natural order.
    pub(crate) views: Vec<View>,
    /// Tokens of token_list that enrol any name without records.
    pub(crate) bare_tokens: usize,
    /// Nodes whose records cannot be used, each with the reason.
    pub(crate) unusable: Vec<(NodeName, String)>,
}

/// What token_list has.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The names in it, sorted.
    pub(super) names: Vec<NodeName>,
    /// Tokens without a name.
    pub(super) bare: usize,
}

impl Listed {
    /// Reads it, where the config names one that is there.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let Some(list) = admin.controller.token_list.as_ref().filter(|list| list.exists()) else {
            return Ok(Self::default());
        };
        let lines = token_list::entries(list).advise()?;
        let bare = lines.iter().filter(|(name, _)| name.is_none()).count();
        let mut names: Vec<_> =
            lines.into_iter().filter_map(|(name, _)| name).filter(|name| !name.is_reserved()).collect();
        names.sort();
        names.dedup();
        Ok(Self { names, bare })
    }
}

impl Census {
    /// Looks at all of them: two small files per node, and the ledger only where those are not enough.
    ///
    /// # Errors
    /// When store, token_list or ledger cannot be read.
    pub(crate) fn take(global: &Global, admin: &Admin) -> anyhow::Result<Self> {
        let enrolment = Enrolment::of(admin)?;
        let listed = Listed::of(admin)?;
        let ledger = Ledger::of(&admin.controller);
        let issued = ledger.last_names().advise()?;
        let names = names(&enrolment, &listed, issued.as_deref().unwrap_or_default())?;

        let bar = report::progress(global, names.len(), "reading records");
        let mut census = Self { views: Vec::new(), bare_tokens: listed.bare, unusable: Vec::new() };
        for name in &names {
            bar.inc(1);
            let last = ledger.last_known(name.as_str());
            match enrolment.store.held(name) {
                Ok(Some(held)) => census.views.push(View::recorded(&enrolment, name, held, last)),
                Ok(None) if listed.names.binary_search(name).is_ok() => {
                    census.views.push(View::listed(name, last));
                }
                Ok(None) => census.add_unrecorded(&enrolment, name, last),
                Err(e) => census.unusable.push((name.clone(), e.to_string())),
            }
        }
        bar.finish_and_clear();
        census.complete(&ledger, issued.is_some())?;
        Ok(census)
    }

    fn add_unrecorded(&mut self, enrolment: &Enrolment, name: &NodeName, last: Option<Entry>) {
        if let Some(last) = last.filter(|last| last.not_after.plus(REMEMBERED) > enrolment.now) {
            self.views.push(View::unrecorded(name, last));
        }
    }

    /// Reads the ledger for nodes that got a certificate, by their marks, and have no file in `last/`; without that
    /// folder for every node that may have got one.
    fn complete(&mut self, ledger: &Ledger, has_last: bool) -> anyhow::Result<()> {
        let lost = |view: &&mut View| {
            let was_issued = view.records.iter().any(|record| record.used.is_some());
            view.last_certificate.is_none() && (was_issued || !has_last)
        };
        let mut lost: Vec<_> = self.views.iter_mut().filter(lost).collect();
        let names: Vec<_> =
            lost.iter().filter_map(|view| NodeName::parse(view.name.as_bytes()).ok()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut found = last_certificates(ledger, &names)?;
        for (view, name) in lost.iter_mut().zip(&names) {
            view.last_certificate = found.remove(name);
        }
        Ok(())
    }
}

fn names(enrolment: &Enrolment, listed: &Listed, issued: &[String]) -> anyhow::Result<Vec<NodeName>> {
    let recorded = enrolment.store.names().advise()?;
    let issued = issued.iter().filter_map(|name| NodeName::parse(name.as_bytes()).ok());
    let all: BTreeSet<_> = recorded.into_iter().chain(listed.names.iter().cloned()).chain(issued).collect();
    // The rehearsal's and the daemons' are no nodes of the cluster.
    let mut names: Vec<_> = all.into_iter().filter(|name| !name.is_reserved()).collect();
    hostlist::sort(&mut names);
    Ok(names)
}
