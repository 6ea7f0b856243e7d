//! The host around Slurm: its clock, who sees arguments, what its units say.

mod audit;
mod clock;
mod proc;
mod units;

use super::finding::{Findings, Group};
use super::scene::Scene;

pub(super) use units::is_enabled;

/// Looks at all of it.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    found.begin(Group::Host);
    clock::look(scene, found);
    proc::look(scene, found);
    audit::look(scene, found);
    units::look(scene, found);
}
