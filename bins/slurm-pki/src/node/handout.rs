//! Which secret a node is handed: the one that waits for it, else a new one beside the old.

use pki::name::NodeName;
use pki::token::NodeSecret;
use site::Error;

use super::enrolment::{Enrolment, Given};
use super::outgoing::record_of;
use super::refused::Refused;
use super::token::successor;
use crate::global::Global;
use crate::hostlist::fold;
use crate::report;

/// The secrets of some nodes.
#[derive(Debug, Default)]
pub(super) struct Handout {
    /// They wait already.
    pub(super) ready: Vec<(NodeName, NodeSecret)>,
    /// They are to be made.
    pub(super) new: Vec<Given>,
}

impl Handout {
    /// Adds a node, or its name to those that were refused.
    pub(super) fn add(&mut self, enrolment: &Enrolment, name: &NodeName, refused: &mut Refused) {
        match waiting(enrolment, name) {
            Ok(Some(secret)) => self.ready.push((name.clone(), secret)),
            Ok(None) => match successor(enrolment, name, false) {
                Ok(Some(given)) => self.new.push(given),
                Ok(None) => refused.add(name, "not enrolled", "enrol it with node add"),
                Err(e) => refused.add_error(name, &e),
            },
            Err(e) => refused.add_error(name, &e),
        }
    }

    /// The nodes that get a new secret.
    pub(super) fn made(&self) -> Vec<NodeName> {
        self.new.iter().map(|one| one.name.clone()).collect()
    }

    /// Says which nodes get a new secret.
    pub(super) fn say(&self, global: &Global) {
        if !self.new.is_empty() {
            let verb = if global.dry_run { "would be made" } else { "is made" };
            let names = fold(&self.made());
            let text = format!("no secret waits for {names}: a new one {verb}, beside the old one");
            report::done(global, &text);
        }
    }
}

/// The secret that waits for a node and has a record that counts.
fn waiting(enrolment: &Enrolment, name: &NodeName) -> Result<Option<NodeSecret>, Error> {
    let held = enrolment.store.held(name)?.unwrap_or_default();
    let Some(secret) = enrolment.outgoing.waiting(name)? else { return Ok(None) };
    let records: Vec<_> = held.into_iter().map(|one| one.record).collect();
    let counts = record_of(&secret, &records).is_some_and(|record| record.withdrawn.is_none());
    Ok(counts.then_some(secret))
}
