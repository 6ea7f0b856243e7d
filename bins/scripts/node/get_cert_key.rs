//! `get_node_cert_key_script`: prints the private key of the calling daemon's latest request.

use std::process::ExitCode;

use contract::Output;
use site::config::{ConfigFile, NodeConfig};
use site::node::Node;
use site::node_keys;

fn main() -> ExitCode {
    contract::run("get_cert_key", |arguments| {
        let name = arguments.one("node's name")?;
        let config = NodeConfig::read(&ConfigFile::load()?)?;
        let node = Node::find(name, &config)?;
        Ok(Output::Secret(node_keys::answer(&node.name, &config)?))
    })
}
