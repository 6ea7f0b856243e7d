//! Nodes as slurmctld knows them: which are powered down, and where those answer that are in no file (dynamic nodes).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::node::scontrol;

/// States of a node that nobody is behind: it loads its image's bundle when it comes (scontrol(1)). While it is powered up or
/// down, its slurmd may run.
const OFF: [&str; 2] = ["FUTURE", "POWERED_DOWN"];

/// What matters here of one node.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Known {
    name: String,
    /// NodeAddr.
    #[serde(default)]
    pub(super) address: String,
    #[serde(default)]
    pub(super) port: u16,
    #[serde(default)]
    state: Vec<String>,
}

/// All of them, by name.
#[derive(Debug)]
pub(super) struct KnownNodes(BTreeMap<String, Known>);

impl KnownNodes {
    /// Asks slurmctld.
    ///
    /// # Errors
    /// When it does not tell.
    pub(super) fn ask() -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Answer {
            nodes: Vec<Known>,
        }
        let answer: Answer = serde_json::from_slice(&scontrol::shown_nodes_and_future()?)?;
        Ok(Self(answer.nodes.into_iter().map(|node| (node.name.clone(), node)).collect()))
    }

    /// Whether slurmctld itself says that nobody is there; of a node that it does not know it says nothing.
    pub(super) fn is_off(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Known::is_off)
    }

    /// By their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.0.iter()
    }
}

impl Known {
    fn is_off(&self) -> bool {
        self.state.iter().any(|is| OFF.iter().any(|off| off.eq_ignore_ascii_case(is)))
    }
}
