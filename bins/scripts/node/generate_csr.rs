//! `generate_csr_script`: makes this node's request, bound to its secret.

use std::process::ExitCode;

use contract::Output;
use site::config::{ConfigFile, NodeConfig};
use site::node::Node;
use site::{clock, node_keys};

fn main() -> ExitCode {
    contract::run("generate_csr", |arguments| {
        let name = arguments.one("node's name")?;
        let config = NodeConfig::read(&ConfigFile::load()?)?;
        let node = Node::find(name, &config)?;
        let key = node_keys::for_request(&node.name, &config)?;
        let public = key.public()?;
        let binding = node.secret.binding_key().bind(&node.name, clock::now(), public.spki());
        let request = pki::csr::write(&key, &node.name, Some(&binding))?;
        Ok(Output::Public(request))
    })
}
