//! `get_node_token_script`: prints the token that enrols this node, without a newline.

use std::process::ExitCode;

use contract::Output;
use site::config::{ConfigFile, NodeConfig};
use site::node::Node;

fn main() -> ExitCode {
    contract::run("get_node_token", |arguments| {
        let name = arguments.one("node's name")?;
        let config = NodeConfig::read(&ConfigFile::load()?)?;
        let node = Node::find(name, &config)?;
        Ok(Output::Secret(node.secret.token().into_secret()))
    })
}
