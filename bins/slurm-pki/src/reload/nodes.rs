//! Nodes as slurmctld knows them: since when each slurmd runs, and whether a step could start there.

use std::collections::BTreeMap;

use crate::node::scontrol;
use crate::shown_node::ShownNode;

/// States of a node that nobody can expect to reload anything (scontrol(1)).
const AWAY: [&str; 6] =
    ["FUTURE", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP", "REBOOT_ISSUED", "DYNAMIC_FUTURE"];

/// States of a node that slurmctld does not hear of.
const DOWN: [&str; 4] = ["DOWN", "NOT_RESPONDING", "UNKNOWN", "ERROR"];

/// States of a node where no step can start just now.
const CLOSED: [&str; 9] = [
    "ALLOCATED",
    "DRAIN",
    "DRAINING",
    "DRAINED",
    "COMPLETING",
    "MAINTENANCE",
    "RESERVED",
    "PLANNED",
    "REBOOT_REQUESTED",
];

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node(ShownNode);

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes(BTreeMap<String, Node>);

impl Nodes {
    /// Asks slurmctld.
    ///
    /// # Errors
    /// Why it does not tell.
    pub(super) fn ask() -> Result<Self, String> {
        Ok(Self::of(scontrol::shown_nodes().map_err(|e| e.to_string())?))
    }

    fn of(nodes: Vec<ShownNode>) -> Self {
        Self(nodes.into_iter().map(|node| (node.name.clone(), Node(node))).collect())
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.0.get(name)
    }
}

impl Node {
    /// When its slurmd started, in seconds of its own clock, as it last registered.
    pub(super) fn started(&self) -> Option<i64> {
        self.0.slurmd_start_time.positive()
    }

    /// Its states in one word.
    pub(super) fn states(&self) -> String {
        self.0.state.joined()
    }

    pub(super) fn is_away(&self) -> bool {
        self.0.state.has_any(&AWAY)
    }

    pub(super) fn is_down(&self) -> bool {
        self.0.state.has_any(&DOWN)
    }

    /// Whether a step has to wait there, for CPUs or for an admin.
    pub(super) fn is_busy(&self) -> bool {
        self.0.state.has_any(&CLOSED) || self.0.alloc_idle_cpus == Some(0)
    }

    /// A partition that it is in; empty: none.
    pub(super) fn partition(&self) -> &str {
        self.0.partitions.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_judged_by_its_flags() {
        let json = r#"{"nodes":[
            {"name":"n1","state":["IDLE"],"alloc_idle_cpus":4,"partitions":["main","long"],
             "slurmd_start_time":{"set":true,"infinite":false,"number":1795647256}},
            {"name":"n2","state":["IDLE","POWERED_DOWN","CLOUD"],"slurmd_start_time":{"set":false,"number":0}},
            {"name":"n3","state":["MIXED"],"alloc_idle_cpus":0,"slurmd_start_time":7},
            {"name":"n4","state":["IDLE","DRAIN","NOT_RESPONDING"]}
        ],"meta":{}}"#;
        let nodes = Nodes::of(ShownNode::parse_all(json.as_bytes()).unwrap());
        let of = |name| nodes.get(name).unwrap();
        let n1 = of("n1");
        assert_eq!(
            (n1.started(), n1.is_away(), n1.is_down(), n1.is_busy()),
            (Some(1_795_647_256), false, false, false)
        );
        assert_eq!(n1.partition(), "main");
        assert_eq!((of("n2").started(), of("n2").is_away(), of("n2").partition()), (None, true, ""));
        assert_eq!((of("n3").started(), of("n3").is_busy()), (Some(7), true));
        assert!(of("n4").is_down() && of("n4").is_busy());
        assert!(nodes.get("n5").is_none());
    }
}
