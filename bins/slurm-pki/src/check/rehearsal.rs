//! What slurmd and slurmctld would get from the programs now: `slurm-pki rehearse` on this host.

use super::finding::{Findings, Group, Severity};
use super::scene::Scene;
use crate::admin::caller;
use crate::rehearse;

/// Rehearses whatever this host has a part in.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    found.begin(Group::Rehearsal);
    if scene.token.is_none() && !scene.controller {
        return found.not_looked_at("a rehearsal: neither token file nor CA key are here");
    }
    let slurm_user = scene.slurm_user.map(|owner| owner.uid);
    if caller().uid != 0 && (scene.token.is_some() || Some(caller().uid) != slurm_user) {
        let fix = "run this as root, or leave it out with --no-rehearsal";
        return found.unknown("rehearsal", "only root can rehearse what this host's daemons get", fix);
    }
    for program in rehearse::foreign_here(scene.slurm_conf()) {
        found.not_looked_at(format!("a rehearsal of {program}: it is not slurm-pki's"));
    }
    match rehearse::on_this_host(&scene.admin, scene.token.as_ref(), scene.controller) {
        Err(e) => found.error(Severity::Unknown, "rehearsal", &e),
        Ok(checks) => {
            for check in checks.all() {
                let said = check.detail.lines().next().unwrap_or_default();
                let what = format!("{}: {}: {said}", check.part, check.what);
                if check.passed {
                    found.ok("rehearsal", what);
                } else {
                    found.critical(
                        "rehearsal",
                        what,
                        "slurm-pki rehearse shows the whole; nothing may be restarted before",
                    );
                }
            }
        }
    }
}
