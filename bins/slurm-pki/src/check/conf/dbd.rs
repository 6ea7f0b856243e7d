//! slurmdbd.conf has TLS lines of its own, and both files have to say the same.

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::{SHOW, words};

/// Looks at it where it is.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if let Err(why) = &scene.dbd {
        return found.unknown("dbd-tls", why.clone(), "run this as root");
    }
    let Some(conf) = scene.dbd() else {
        let kind = scene.get("AccountingStorageType").unwrap_or_default();
        if kind.eq_ignore_ascii_case("accounting_storage/slurmdbd") {
            found.not_looked_at(
                "slurmdbd.conf: it is not on this host; run slurm-pki check on slurmdbd's too",
            );
        }
        return;
    };
    words::of_slurmdbd(conf, found);
    if scene.slurm_conf().is_none() {
        return;
    }
    match (scene.tls_is_on(), scene.dbd_tls_is_on()) {
        (true, false) => found.critical(
            "dbd-tls",
            "slurm.conf has TLSType=tls/s2n and slurmdbd.conf has not: slurmctld and slurmdbd do not meet",
            format!("write TLSType and TLSParameters in {}; {SHOW}", conf.path().display()),
        ),
        (false, true) => found.critical(
            "dbd-tls",
            "slurmdbd.conf has TLSType=tls/s2n and slurm.conf has not: slurmctld and slurmdbd do not meet",
            format!("take TLSType out of {}, or {SHOW} for slurm.conf", conf.path().display()),
        ),
        _ => found.ok("dbd-tls", "slurm.conf and slurmdbd.conf agree on TLSType"),
    }
}
