//! slurm.conf, slurmdbd.conf, and what slurmctld runs with: every trap in them that a file can show.

mod certgen;
mod dbd;
mod misplaced;
mod period;
mod plugins;
mod programs;
mod running;
mod scripts;
mod single_use;
mod tls;
mod version;
mod words;

use super::finding::Findings;
use super::running::Running;
use super::scene::Scene;

pub(super) use period::minutes as period_in_minutes;

/// What the fixes of this group have in common.
const SHOW: &str = "slurm-pki conf show prints the right lines";

/// Looks at all of it.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    match (scene.slurm_conf(), &scene.running) {
        (None, Running::Values(_)) => {
            found.not_looked_at(
                "slurm.conf: there is none here; what slurmctld runs with was looked at instead",
            );
        }
        (None, _) if scene.dbd().is_some() => {
            found.not_looked_at("slurm.conf: there is none here, only slurmdbd's own file");
            return dbd::look(scene, found);
        }
        (None, _) => {
            return found.unknown(
                "slurm-conf",
                "there is no slurm.conf here, and slurmctld could not be asked",
                "name it in SLURM_CONF; on a configless node: SLURM_CONF=SPOOL/conf-cache/slurm.conf",
            );
        }
        (Some(conf), _) => found.ok("slurm-conf", format!("{} is read", conf.path().display())),
    }
    if let Err(why) = &scene.members {
        found.unknown("slurm-hosts", why.clone(), "mend that line: which host runs what is not known here");
    }
    misplaced::look(scene, found);
    tls::look(scene, found);
    dbd::look(scene, found);
    period::look(scene, found);
    words::look(scene, found);
    scripts::look(scene, found);
    programs::look(scene, found);
    certgen::look(scene, found);
    single_use::look(scene, found);
    plugins::look(scene, found);
    version::look(scene, found);
    running::look(scene, found);
}
