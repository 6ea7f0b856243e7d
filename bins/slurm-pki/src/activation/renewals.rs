//! Whether nodes renew their certificates as they should: those that answer by slurmctld's word, when they did by the
//! ledger's.
//!
//! slurmctld notes a renewal under the name that the request gives, and over mTLS any node may give another's
//! (slurm-contract.md 1.5). The ledger has the name that was signed: what slurmctld remembers counts only of nodes whose last
//! certificate, bound to their own secret, the ledger does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use pki::name::NodeName;
use pki::time::UnixTime;
use site::ledger::Entry;

use crate::shown_node::ShownNode;

/// States in which nobody can expect a node to renew anything (scontrol(1)).
const AWAY: [&str; 7] =
    ["NOT_RESPONDING", "DOWN", "UNKNOWN", "FUTURE", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP"];

/// All nodes, as slurmctld shows them.
#[derive(Debug)]
pub(crate) struct Shown(pub(crate) Vec<ShownNode>);

/// What the ledger says of nodes.
#[derive(Default)]
pub(crate) struct Issued {
    /// The last certificate of each.
    pub(crate) last: BTreeMap<NodeName, Entry>,
    /// Whether some nodes have static pairs, which the ledger tells apart from unbound certificates by nothing.
    pub(crate) static_pairs: bool,
}

impl Shown {
    /// The nodes that are there.
    pub(crate) fn answering(&self) -> Vec<NodeName> {
        let answering = self.0.iter().filter(|node| !node.state.has_any(&AWAY));
        answering.filter_map(|node| NodeName::parse(node.name.as_bytes()).ok()).collect()
    }

    /// The nodes that answer and have not renewed for longer than the period (and a twentieth: a renewal that failed is tried
    /// again after MessageTimeout). Those that never renewed have static pairs, or slurmctld forgot them.
    pub(crate) fn late(&self, issued: &Issued, period: Duration, now: UnixTime) -> Vec<&str> {
        let oldest = now.minus(period + period / 20);
        let is_late = |node: &&ShownNode| {
            let renewed =
                issued.renewed(&node.name, node.tls_cert_last_renewal.positive().map(UnixTime), now);
            !node.state.has_any(&AWAY) && renewed.is_some_and(|renewed| renewed < oldest)
        };
        self.0.iter().filter(is_late).map(|node| node.name.as_str()).collect()
    }
}

impl Issued {
    /// Takes what is newer.
    pub(crate) fn learn(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let Ok(name) = NodeName::parse(entry.node.as_bytes()) else { continue };
            if self.last.get(&name).is_none_or(|known| known.time < entry.time) {
                self.last.insert(name, entry);
            }
        }
    }

    /// When a node renewed last, as far as it is to be judged by that. `remembered`: what slurmctld says.
    fn renewed(&self, node: &str, remembered: Option<UnixTime>, now: UnixTime) -> Option<UnixTime> {
        let name = NodeName::parse(node.as_bytes()).ok();
        match name.and_then(|name| self.last.get(&name)) {
            // What has ended is not what it answers with.
            Some(last) if last.record.is_some() && last.not_after > now => Some(last.time),
            Some(last) if last.record.is_none() && self.static_pairs => None,
            _ => remembered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// As Slurm 26.05 prints a node, shortened.
    fn node(name: &str, state: &str, renewed: &str) -> String {
        format!(
            r#"{{"name":"{name}","cert_flags":[],"state":{state},"tls_cert_last_renewal":{renewed},"cpus":4}}"#
        )
    }

    fn late(nodes: &[String]) -> Vec<String> {
        late_by(&Issued::default(), nodes)
    }

    fn late_by(issued: &Issued, nodes: &[String]) -> Vec<String> {
        let json = format!(r#"{{"nodes":[{}],"last_update":{{}}, "meta":{{}}}}"#, nodes.join(","));
        let shown = Shown(ShownNode::parse_all(json.as_bytes()).unwrap());
        shown.late(issued, DAY, NOW).into_iter().map(str::to_owned).collect()
    }

    /// What the ledger has of a node: issued so long ago, bound to its secret or not, good for so long from now on.
    fn issued(node: &str, seconds_ago: u64, bound: bool, ends_in: i64) -> (NodeName, Entry) {
        let time = NOW.minus(Duration::from_secs(seconds_ago));
        let entry = Entry {
            v: 1,
            time,
            node: node.to_owned(),
            serial: String::new(),
            spki_sha256: String::new(),
            not_before: time,
            not_after: UnixTime(NOW.0 + ends_in),
            issuer: String::new(),
            record: bound.then(|| pki::record::RecordId::new([7; 8])),
        };
        (NodeName::parse(node.as_bytes()).unwrap(), entry)
    }

    #[test]
    fn what_was_signed_for_a_node_counts_and_not_the_name_that_another_gave_to_slurmctld() {
        let fresh = renewed(60);
        let nodes = ["n1", "n2", "n3", "n4"].map(|name| node(name, r#"["IDLE"]"#, &fresh));
        let last = [
            issued("n1", 80_000, true, 600_000),
            issued("n2", 100_000, true, 500_000),
            // No word of ours on what it has.
            issued("n3", 700_000, true, -1),
            issued("n4", 100_000, false, 500_000),
        ];
        let mut by = Issued { last: last.into(), static_pairs: false };
        assert_eq!(late_by(&by, &nodes), ["n2"]);
        let old = nodes.map(|node| node.replace(&fresh, &renewed(100_000)));
        assert_eq!(late_by(&by, &old), ["n2", "n3", "n4"]);
        // A static pair is never renewed, whatever slurmctld was told of its node.
        by.static_pairs = true;
        assert_eq!(late_by(&by, &old), ["n2", "n3"]);
    }

    fn renewed(seconds_ago: i64) -> String {
        format!(r#"{{"set":true,"infinite":false,"number":{}}}"#, NOW.0 - seconds_ago)
    }

    #[test]
    fn a_node_that_answers_and_has_not_renewed_for_a_period_is_late() {
        let nodes = [
            node("n1", r#"["IDLE"]"#, &renewed(80_000)),
            node("n2", r#"["ALLOCATED","DRAIN"]"#, &renewed(100_000)),
            node("n3", r#"["IDLE"]"#, &renewed(87_000)),
            node("n4", r#"["MIXED"]"#, &(NOW.0 - 100_000).to_string()),
        ];
        assert_eq!(late(&nodes), ["n2", "n4"]);
    }

    #[test]
    fn nodes_that_are_away_or_never_renewed_are_not_judged() {
        let old = renewed(1_000_000);
        let nodes = [
            node("n1", r#"["DOWN","NOT_RESPONDING"]"#, &old),
            node("n2", r#"["IDLE","POWERED_DOWN","CLOUD"]"#, &old),
            node("n3", r#""IDLE*""#, &old),
            node("n4", r#"["IDLE"]"#, r#"{"set":false,"infinite":false,"number":0}"#),
            node("n5", r#"["IDLE"]"#, "0"),
            r#"{"name":"n6","state":["IDLE"]}"#.to_owned(),
        ];
        assert_eq!(late(&nodes), [""; 0]);
    }
}
