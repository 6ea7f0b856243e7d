//! A compute node: its token, the certificate that its slurmd keeps, and what its next start will do.

mod renewals;
mod state;
mod token;

use super::finding::{Findings, Group};
use super::scene::Scene;

/// Looks at the node, where this is one.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    found.begin(Group::Node);
    renewals::look(scene, found);
    let Some(node) = &scene.node else {
        if scene.sackd {
            token::look(scene, found);
        } else if !scene.controller {
            found.not_looked_at(
                "a node's files: no token file, no slurmd that is enabled, and nothing in SlurmdSpoolDir; --node NAME names the node",
            );
        }
        return;
    };
    token::look(scene, found);
    state::look(scene, node, found);
}
