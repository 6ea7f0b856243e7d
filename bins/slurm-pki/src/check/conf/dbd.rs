//! slurmdbd.conf has a TLSType of its own, and both have to say the same.

use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use super::super::tls_files::slurmdbd_conf;
use super::SHOW;

/// Looks at it where it is.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let conf = match slurmdbd_conf(scene) {
        Ok(Some(conf)) => conf,
        Ok(None) => {
            let kind = scene.get("AccountingStorageType").unwrap_or_default();
            if kind.eq_ignore_ascii_case("accounting_storage/slurmdbd") {
                found.not_looked_at(
                    "slurmdbd.conf: it is not on this host; run slurm-pki check on slurmdbd's too",
                );
            }
            return;
        }
        Err(e) => return found.error(Severity::Unknown, "dbd-tls", &e),
    };
    let on = conf.get("TLSType").is_some_and(|kind| kind.eq_ignore_ascii_case("tls/s2n"));
    match (scene.tls_is_on(), on) {
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
