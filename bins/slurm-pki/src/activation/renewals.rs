//! Whether nodes renew their certificates as they should, by what slurmctld remembers of each.

use std::time::Duration;

use pki::time::UnixTime;
use serde::Deserialize;

use crate::slurm_number::SlurmNumber;

/// States in which nobody can expect a node to renew anything (scontrol(1)).
const AWAY: [&str; 7] =
    ["NOT_RESPONDING", "DOWN", "UNKNOWN", "FUTURE", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP"];

/// The part of `scontrol show nodes --json` that matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Shown {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    tls_cert_last_renewal: SlurmNumber,
}

/// A list of flags; a single word in older forms of the JSON.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum State {
    Flags(Vec<String>),
    Word(String),
}

impl Default for State {
    fn default() -> Self {
        Self::Flags(Vec::new())
    }
}

impl Shown {
    /// Reads it.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|e| e.to_string())
    }

    /// The nodes that answer and have not renewed for longer than the period (and a twentieth: a renewal that failed is
    /// tried again after MessageTimeout). Those that never renewed have static pairs, or slurmctld forgot them.
    pub(crate) fn late(&self, period: Duration, now: UnixTime) -> Vec<&str> {
        let oldest = now.minus(period + period / 20);
        let is_late = |node: &&Node| {
            let renewed = node.tls_cert_last_renewal.positive().map(UnixTime);
            !node.state.is_away() && renewed.is_some_and(|renewed| renewed < oldest)
        };
        self.nodes.iter().filter(is_late).map(|node| node.name.as_str()).collect()
    }
}

impl State {
    fn is_away(&self) -> bool {
        let is_away = |flag: &str| AWAY.iter().any(|away| away.eq_ignore_ascii_case(flag));
        match self {
            Self::Flags(flags) => flags.iter().any(|flag| is_away(flag)),
            // `*` is how the short form says that it does not respond.
            Self::Word(word) => word.ends_with('*') || word.split('+').any(is_away),
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
        let json = format!(r#"{{"nodes":[{}],"last_update":{{}}, "meta":{{}}}}"#, nodes.join(","));
        let shown = Shown::parse(json.as_bytes()).unwrap();
        shown.late(DAY, NOW).into_iter().map(str::to_owned).collect()
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
        assert!(Shown::parse(b"{}").is_err());
    }
}
