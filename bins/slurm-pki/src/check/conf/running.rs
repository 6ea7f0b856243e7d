//! Whether slurmctld runs with what slurm.conf says now.

use super::super::finding::Findings;
use super::super::running::Running;
use super::super::scene::Scene;
use crate::slurm_conf::SlurmConf;

/// What matters here, as both print it. CertgenType and CertgenParameters are not among them: commands use certgen and
/// slurmctld does not, and a running one shows neither (seen with 26.05.5).
const KEYS: [&str; 5] = ["TLSType", "TLSParameters", "CertmgrType", "CertmgrParameters", "DebugFlags"];

/// Compares.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    match (&scene.running, scene.slurm_conf()) {
        (Running::NotAsked(why), _) => found.not_looked_at(format!("what slurmctld runs with: {why}")),
        (Running::Failed(why), _) => found.unknown(
            "running",
            format!("what slurmctld runs with: {why}"),
            "see that slurmctld runs and answers: scontrol ping",
        ),
        (Running::Values(_), Some(conf)) => compare(&scene.running, conf, found),
        (Running::Values(_), None) => {}
    }
}

fn compare(running: &Running, conf: &SlurmConf, found: &mut Findings) {
    let differs = |key: &&str| match running.told(key) {
        None => false,
        // Slurm fills in a default of its own where there is no value.
        Some(value) => conf.get(key).is_some_and(|ours| !same(value, ours)) || is_left_over(key, value, conf),
    };
    let differing: Vec<&str> = KEYS.into_iter().filter(differs).collect();
    if differing.is_empty() {
        return found.ok("running", "slurmctld runs with what slurm.conf says");
    }
    // A flag is set and taken away without a restart.
    let only_flags = differing == ["DebugFlags"];
    let running_has = |key: &&str| format!("{key}={}", running.get(key).unwrap_or("(null)"));
    let shown = differing.iter().map(running_has).collect::<Vec<_>>().join(" ");
    found.warning(
        "running",
        format!("slurmctld runs with other values than {}: {shown}", conf.path().display()),
        if only_flags {
            "scontrol setdebugflags -FLAG takes one away, +FLAG sets one; or write them in slurm.conf"
        } else {
            "systemctl restart slurmctld, when slurm.conf is meant; then the slurmds. (scontrol reconfigure restarts all \
             of them at once.)"
        },
    );
}

/// Set in what runs and not in the file. TLSType has a default where it is off.
fn is_left_over(key: &str, value: Option<&str>, conf: &SlurmConf) -> bool {
    conf.get(key).is_none() && value.is_some_and(|value| value != "tls/none")
}

/// Flags in any order, anything else letter by letter.
fn same(running: Option<&str>, file: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text.split(',').map(str::to_ascii_lowercase).collect();
        words.sort();
        words
    };
    running.is_some_and(|running| running == file || words(running) == words(file))
}
