//! Nodes as slurmctld knows them: which are powered down, and where those answer that are in no file (dynamic nodes).

use std::collections::BTreeMap;

use crate::node::scontrol;
use crate::shown_node::ShownNode;

/// States of a node that nobody is behind: it loads its image's bundle when it comes (scontrol(1)). While it is powered up or
/// down, its slurmd may run.
const OFF: [&str; 2] = ["FUTURE", "POWERED_DOWN"];

/// All of them, by name.
#[derive(Debug)]
pub(super) struct KnownNodes(BTreeMap<String, ShownNode>);

impl KnownNodes {
    /// Asks slurmctld.
    ///
    /// # Errors
    /// When it does not tell.
    pub(super) fn ask() -> anyhow::Result<Self> {
        Ok(Self(
            scontrol::shown_nodes_and_future()?.into_iter().map(|node| (node.name.clone(), node)).collect(),
        ))
    }

    /// Whether slurmctld itself says that nobody is there; of a node that it does not know it says nothing.
    pub(super) fn is_off(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|node| node.state.has_any(&OFF))
    }

    /// By their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &ShownNode)> {
        self.0.iter()
    }
}
