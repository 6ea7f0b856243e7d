//! Whether nodes that answer renew, by the ledger and slurmctld: asked on a controller.

use std::time::Duration;

use super::super::conf::period_in_minutes;
use super::super::finding::Findings;
use super::super::running::Running;
use super::super::scene::Scene;
use crate::activation::late;
use crate::hostlist;
use crate::node::scontrol;

/// Looks at all nodes that answer.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let Some(minutes) = period_in_minutes(scene).filter(|_| scene.controller) else { return };
    if !matches!(scene.running, Running::Values(_)) {
        return found.not_looked_at("whether nodes renew: slurmctld was not asked, or did not answer");
    }
    let period = Duration::from_secs(minutes * 60);
    let nodes = scontrol::shown_nodes_within(scene.patience);
    let late = match nodes.and_then(|nodes| late(&scene.admin, nodes, period, scene.now)) {
        Ok(late) => late,
        Err(why) => return found.not_looked_at(format!("whether nodes renew: {why}")),
    };
    match late.as_slice() {
        [] => {
            found.ok("nodes-late", format!("no node that answers is late with its renewal ({minutes} min)"));
        }
        late => {
            let names = hostlist::fold_texts(late.iter().map(String::as_str));
            found.warning(
                "nodes-late",
                format!("{} nodes answer and have not renewed for over {minutes} min: {names}", late.len()),
                format!(
                    "here: slurm-pki rehearse; there: slurm-pki check, and slurmd's log; then slurm-pki node reissue \
                     '{names}'"
                ),
            );
        }
    }
}
