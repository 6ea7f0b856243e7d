//! A node as `scontrol show nodes --json` shows it: one reading for all who judge nodes by it.

use serde::Deserialize;

use crate::slurm_number::SlurmNumber;

/// What matters here of one node. What is not printed is empty.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ShownNode {
    pub(crate) name: String,
    /// NodeAddr.
    #[serde(default)]
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) state: States,
    #[serde(default)]
    pub(crate) alloc_idle_cpus: Option<i64>,
    #[serde(default)]
    pub(crate) partitions: Vec<String>,
    #[serde(default)]
    pub(crate) slurmd_start_time: SlurmNumber,
    #[serde(default)]
    pub(crate) tls_cert_last_renewal: SlurmNumber,
}

/// The words of scontrol(1) for a node's state, as they were printed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Printed")]
pub(crate) struct States(Vec<String>);

/// A list of flags; a single word in older forms of the JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Printed {
    Flags(Vec<String>),
    Word(String),
}

impl ShownNode {
    /// All nodes of an answer.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn parse_all(json: &[u8]) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        struct Answer {
            nodes: Vec<ShownNode>,
        }
        serde_json::from_slice(json).map(|answer: Answer| answer.nodes).map_err(|e| e.to_string())
    }
}

impl States {
    /// Whether one of these is among them.
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        self.0.iter().any(|state| names.iter().any(|name| name.eq_ignore_ascii_case(state)))
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All in one word.
    pub(crate) fn joined(&self) -> String {
        self.0.join("+")
    }
}

impl From<Printed> for States {
    fn from(printed: Printed) -> Self {
        match printed {
            Printed::Flags(flags) => Self(flags),
            Printed::Word(word) => {
                let mut states: Vec<String> =
                    word.split('+').map(|state| state.trim_end_matches('*').to_owned()).collect();
                // `*` is how the short form says that it does not respond.
                if word.contains('*') {
                    states.push("NOT_RESPONDING".into());
                }
                Self(states)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_in_each_form_that_slurm_prints() {
        let json = r#"{"nodes":[
            {"name":"n1","address":"10.0.0.1","port":6818,"state":["IDLE","DRAIN"],"alloc_idle_cpus":4,"cpus":4,
             "partitions":["main"],"slurmd_start_time":{"set":true,"infinite":false,"number":7},
             "tls_cert_last_renewal":8},
            {"name":"n2","state":"MIXED*+CLOUD"},
            {"name":"n3"}
        ],"meta":{}}"#;
        let nodes = ShownNode::parse_all(json.as_bytes()).unwrap();
        let [n1, n2, n3] = nodes.as_slice() else { panic!("{nodes:?}") };
        assert_eq!((n1.name.as_str(), n1.address.as_str(), n1.port), ("n1", "10.0.0.1", 6818));
        assert_eq!((n1.alloc_idle_cpus, n1.partitions.as_slice()), (Some(4), ["main".to_owned()].as_slice()));
        assert_eq!(
            (n1.slurmd_start_time.positive(), n1.tls_cert_last_renewal.positive()),
            (Some(7), Some(8))
        );
        assert!(n1.state.has_any(&["drain"]) && !n1.state.has_any(&["NOT_RESPONDING"]));
        assert!(n2.state.has_any(&["MIXED"]) && n2.state.has_any(&["CLOUD"]));
        assert!(n2.state.has_any(&["NOT_RESPONDING"]));
        assert_eq!((n1.state.joined().as_str(), n3.state.is_empty()), ("IDLE+DRAIN", true));
        for other in
            ["{}", "[]", "", r#"{"nodes":[{"state":["IDLE"]}]}"#, r#"{"nodes":[{"name":"n1","state":7}]}"#]
        {
            assert!(ShownNode::parse_all(other.as_bytes()).is_err(), "{other}");
        }
    }
}
