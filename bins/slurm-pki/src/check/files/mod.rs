//! Owner, mode and contents of what daemons load, and of what the programs read and write.

mod config;
mod ledger;
mod pairs;
mod records;
mod served;
mod state;

use super::finding::{Findings, Group};
use super::scene::Scene;

/// Looks at all that is on this host.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    found.begin(Group::Files);
    config::look(scene, found);
    pairs::look(scene, found);
    served::look(scene, found);
    if scene.controller {
        state::look(scene, found);
        records::look(scene, found);
        ledger::look(scene, found);
    }
}
