//! Nodes that a command could not do its work for, gathered by reason.

use std::collections::BTreeMap;

use pki::explain::Explain;
use pki::name::NodeName;

use crate::advice::Advice;
use crate::hostlist::fold;
use crate::report;

/// Reasons, and the nodes that each of them holds for.
#[derive(Debug, Default)]
pub(crate) struct Refused(BTreeMap<(String, String), Vec<NodeName>>);

impl Refused {
    /// Notes a node, with the reason and what to do about it.
    pub(crate) fn add(&mut self, name: &NodeName, why: &str, hint: &str) {
        self.0.entry((why.to_owned(), hint.to_owned())).or_default().push(name.clone());
    }

    /// Notes a node whose files cannot be used.
    pub(crate) fn add_error(&mut self, name: &NodeName, e: &impl Explain) {
        self.add(name, &e.to_string(), &e.hint());
    }

    /// Every node that was refused, with the reason.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeName, &str)> {
        self.0.iter().flat_map(|((why, _), names)| names.iter().map(|name| (name, why.as_str())))
    }

    /// Names every reason, and fails when there is any. `done` is what the others are: "added".
    ///
    /// # Errors
    /// When a node was refused: the others are done all the same.
    pub(crate) fn into_result(self, of: usize, done: &str) -> anyhow::Result<()> {
        let count: usize = self.0.values().map(Vec::len).sum();
        for ((why, hint), names) in &self.0 {
            report::warning(&format!("{}: {why}; {hint}", fold(names)));
        }
        match count {
            0 => Ok(()),
            _ => Err(Advice::new(
                format!("{count} of {of} nodes were not {done}"),
                "the warnings above name them and say what to do; the others are done",
            )
            .into()),
        }
    }
}
