//! NodeName lines of slurm.conf: which host a node is, and where its slurmd answers (slurm.conf(5)).

use pki::name::NodeName;

use crate::advice::{Advice, Advise as _};
use crate::hostlist;
use crate::slurm_conf::SlurmConf;
use crate::slurm_lines::Word;

/// Slurm's default for SlurmdPort.
const SLURMD_PORT: u16 = 6818;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeLine {
    /// NodeName.
    pub(crate) name: NodeName,
    /// NodeHostname: what the host calls itself.
    pub(crate) host: String,
    /// NodeAddr: where it is reached.
    pub(crate) address: String,
    /// Where its slurmd listens.
    pub(crate) port: u16,
    /// Whether it may be away for long: a cloud node, or one of the future.
    pub(crate) comes_and_goes: bool,
}

/// All nodes of a slurm.conf, in its order.
///
/// # Errors
/// When a line is not what slurm.conf(5) says.
pub(crate) fn all(conf: &SlurmConf) -> anyhow::Result<Vec<NodeLine>> {
    let port = conf.get("SlurmdPort").and_then(|port| port.parse().ok()).unwrap_or(SLURMD_PORT);
    let mut defaults = Keys { port: port.to_string(), ..Keys::default() };
    let mut nodes = Vec::new();
    for line in conf.node_lines() {
        let keys = Keys::of(line, &defaults);
        if keys.name.eq_ignore_ascii_case("DEFAULT") {
            defaults = Keys { name: String::new(), host: String::new(), address: String::new(), ..keys };
        } else {
            nodes.extend(keys.nodes()?);
        }
    }
    Ok(nodes)
}

/// The values of one line that matter here; empty: not given.
#[derive(Clone, Debug, Default)]
struct Keys {
    name: String,
    host: String,
    address: String,
    port: String,
    state: String,
}

impl Keys {
    fn of(line: &[Word], defaults: &Self) -> Self {
        let mut keys = defaults.clone();
        for word in line {
            let value = word.value.clone();
            match word.key.to_ascii_lowercase().as_str() {
                "nodename" => keys.name = value,
                "nodehostname" => keys.host = value,
                "nodeaddr" => keys.address = value,
                "port" => keys.port = value,
                "state" => keys.state = value,
                _ => {}
            }
        }
        keys
    }

    fn nodes(&self) -> anyhow::Result<Vec<NodeLine>> {
        let names = hostlist::nodes(std::slice::from_ref(&self.name)).advise()?;
        let hosts = one_each(self, &names, &self.host, ToString::to_string)?;
        let addresses = one_each(self, &names, &self.address, |_| String::new())?;
        let ports = one_each(self, &names, &self.port, |_| String::new())?;
        let comes_and_goes =
            ["CLOUD", "FUTURE"].iter().any(|state| self.state.to_ascii_uppercase().starts_with(state));
        let mut nodes = Vec::new();
        for (((name, host), address), port) in names.into_iter().zip(hosts).zip(addresses).zip(ports) {
            let address = if address.is_empty() { host.clone() } else { address };
            let port = port.parse().map_err(|_| wrong(self, &format!("{port:?} is not a port")))?;
            nodes.push(NodeLine { name, host, address, port, comes_and_goes });
        }
        Ok(nodes)
    }
}

/// A value for each node: one for all, one each, or none.
fn one_each(
    line: &Keys,
    names: &[NodeName],
    value: &str,
    default: impl Fn(&NodeName) -> String,
) -> anyhow::Result<Vec<String>> {
    if value.is_empty() {
        return Ok(names.iter().map(default).collect());
    }
    let texts = hostlist::texts(value).advise()?;
    match texts.as_slice() {
        [one] => Ok(vec![one.clone(); names.len()]),
        all if all.len() == names.len() => Ok(texts),
        all => Err(wrong(line, &format!("{} names, but {} of {value}", names.len(), all.len()))),
    }
}

fn wrong(line: &Keys, why: &str) -> anyhow::Error {
    Advice::new(
        format!("slurm.conf: NodeName={}: {why}", line.name),
        "mend that line; slurmctld would refuse it too",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn nodes(text: &str) -> anyhow::Result<Vec<NodeLine>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slurm.conf");
        fs::write(&path, text).unwrap();
        all(&SlurmConf::load_from(&path).unwrap().unwrap())
    }

    fn shown(text: &str) -> Vec<String> {
        let shown =
            |n: NodeLine| format!("{} {} {} {} {}", n.name, n.host, n.address, n.port, n.comes_and_goes);
        nodes(text).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn a_node_is_its_own_host_on_slurms_port_unless_the_line_says_otherwise() {
        assert_eq!(shown("NodeName=n[1-2] CPUs=1\n"), ["n1 n1 n1 6818 false", "n2 n2 n2 6818 false"]);
        assert_eq!(
            shown("SlurmdPort=7000\nnodename=n[1-2] NodeHostname=h NodeAddr=10.0.0.[1-2] Port=[7-8]\n"),
            ["n1 h 10.0.0.1 7 false", "n2 h 10.0.0.2 8 false"]
        );
        assert_eq!(shown("SlurmdPort=7000\nNodeName=c1 State=CLOUD\n"), ["c1 c1 c1 7000 true"]);
    }

    #[test]
    fn defaults_hold_from_their_line_on() {
        let text =
            "NodeName=a\nNodeName=DEFAULT Port=9 State=FUTURE\nNodeName=b\nNodeName=c Port=8 State=UNKNOWN\n";
        assert_eq!(shown(text), ["a a a 6818 false", "b b b 9 true", "c c c 8 false"]);
    }

    #[test]
    fn a_line_whose_lists_do_not_fit_is_refused() {
        for text in ["NodeName=n[1-3] NodeAddr=10.0.0.[1-2]\n", "NodeName=n1 Port=x\n", "NodeName=n[1\n"] {
            assert!(nodes(text).is_err(), "{text}");
        }
    }
}
