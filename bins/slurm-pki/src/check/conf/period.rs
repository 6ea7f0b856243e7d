//! certificate_renewal_period: minutes, as atoi() reads them, and how it fits the certificates' life.

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;
use crate::moment;
use crate::parameters::Parameters;
use crate::programs::{SIGN_CSR, is_ours};
use crate::renewal_period::{PER_LIFE, RenewalPeriod};

/// The period that nodes renew at, in minutes; `None` where they do not, or Slurm refuses it.
pub(in super::super) fn minutes(scene: &Scene) -> Option<u64> {
    RenewalPeriod::of(scene.get("CertmgrParameters")).in_minutes().filter(|_| scene.certmgr_is_on())
}

/// Looks at the period.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if scene.get("CertmgrType").is_none() {
        return;
    }
    let given = RenewalPeriod::of(scene.get("CertmgrParameters"));
    if let Some(text) = given.text {
        let fix = format!("give minutes without a unit (1440 is a day); {SHOW}");
        match given.minutes {
            ..0 => {
                let what = format!("certificate_renewal_period={text} is negative: certmgr does not start");
                return found.critical("period", what, fix);
            }
            0 => {
                let what =
                    format!("certificate_renewal_period={text} is 0 minutes: nodes renew without a pause");
                return found.critical("period", what, fix);
            }
            minutes if given.has_more => {
                let what = format!(
                    "certificate_renewal_period={text} is read as {minutes} min: a unit does not count"
                );
                return found.critical("period", what, fix);
            }
            _ => {}
        }
    }
    let Some(minutes) = minutes(scene) else { return };
    match Parameters::of(scene.get("CertmgrParameters")).get("sign_csr_script") {
        // A node's config need not say how long certificates live: the one that it has does (node/state.rs).
        _ if !scene.controller => found.ok("period", format!("nodes renew every {minutes} minutes")),
        Some(sign) if !is_ours(sign, SIGN_CSR) => {
            found.ok("period", format!("nodes renew every {minutes} minutes"));
            let why = format!("sign_csr_script={sign} is not slurm-pki's");
            found.not_looked_at(format!("whether nodes' certificates outlive {PER_LIFE} renewals: {why}"));
        }
        _ => against_validity(scene, minutes, found),
    }
}

fn against_validity(scene: &Scene, minutes: u64, found: &mut Findings) {
    let validity = scene.admin.controller.validity;
    let periods = validity.as_secs() / minutes.saturating_mul(60);
    let life = moment::span(validity);
    let what = format!("nodes renew every {minutes} minutes, their certificates live {life}");
    let most = (validity.as_secs() / 60 / PER_LIFE).max(1);
    let fix = format!("certificate_renewal_period={most} at most, or a longer validity in [controller]");
    match periods {
        0 => found.critical("period-validity", format!("{what}: they expire before they are renewed"), fix),
        1..PER_LIFE => {
            let what = format!("{what}: less than {PER_LIFE} periods, so an outage becomes an expiry");
            found.warning("period-validity", what, fix);
        }
        _ => found.ok("period", what),
    }
}
