//! The request that a node of ours sends, made without running a program.

use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use pki::token::NodeSecret;

use crate::site::now;

/// A request for a new key, bound to the node's secret right now.
///
/// # Panics
/// When `node` is no legal name.
#[must_use]
pub fn bound_request(secret: &NodeSecret, node: &str) -> String {
    let name = NodeName::parse(node.as_bytes()).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let binding = secret.binding_key().bind(&name, now(), key.public().unwrap().spki());
    pki::csr::write(&key, &name, Some(&binding)).unwrap()
}
