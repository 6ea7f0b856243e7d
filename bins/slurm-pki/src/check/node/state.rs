//! certmgr_state: what slurmd keeps over a restart. It is taken while it is younger than a renewal period, without a look
//! at its dates or its CA (docs/slurm-contract.md 2).

use std::time::Duration;

use pki::certmgr_state::{CertmgrState, MAX_STATE};
use pki::explain::Explain as _;
use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM};
use pki::name::NodeName;
use pki::x509::X509;
use site::file;

use super::super::conf::period_in_minutes;
use super::super::expiry;
use super::super::finding::Findings;
use super::super::scene::Scene;
use super::super::tls_files;
use crate::moment;
use crate::renewal_period::PER_LIFE;

/// How slurmd is made to ask for a new one.
fn ask_anew(scene: &Scene, node: &NodeName) -> String {
    let state = scene.spool_dir(node).join("certmgr_state");
    format!(
        "on a controller: slurm-pki node reissue {node}; or here: systemctl stop slurmd && rm {} && systemctl start slurmd",
        state.display()
    )
}

/// Looks at the state of this node's slurmd.
pub(super) fn look(scene: &Scene, node: &NodeName, found: &mut Findings) {
    if !scene.certmgr_is_on() {
        return;
    }
    let (path, anew) = (scene.spool_dir(node).join("certmgr_state"), ask_anew(scene, node));
    let shown = path.display();
    let bytes = match file::read_with_metadata(&path, MAX_STATE) {
        Ok((bytes, seen)) => {
            mode(&path, &seen, &anew, found);
            bytes
        }
        Err(e) if e.is_not_found() => {
            return found
                .ok("state", format!("there is no {shown}: slurmd asks slurmctld at its next start"));
        }
        Err(e) => return found.unknown("state", e.to_string(), "run this as root"),
    };
    match CertmgrState::parse(bytes.expose()) {
        Ok(state) => certificate(scene, &state, &anew, found),
        Err(e) => found.warning("state", format!("{shown} is no state of slurmd's: {e}"), e.hint()),
    }
}

fn mode(path: &std::path::Path, seen: &std::fs::Metadata, anew: &str, found: &mut Findings) {
    use std::os::unix::fs::MetadataExt as _;
    let mode = seen.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let what = format!("{} has mode {mode:04o}, and slurmd's private key is in it", path.display());
        found.critical("state-mode", what, format!("chmod 0600 {}; then {anew}", path.display()));
    }
}

fn certificate(scene: &Scene, state: &CertmgrState, anew: &str, found: &mut Findings) {
    let Some(leaf) = state.chain.first() else { return };
    let used = next_start(scene, state, leaf, anew, found);
    if let Err(e) = &state.loads {
        let what = format!("slurmd crashes when it loads its certificate again: {e}");
        found.critical("state-loads", what, anew);
    }
    let what = format!("this node's certificate {} by {}", leaf.facts().subject, leaf.facts().issuer);
    outlives(scene, leaf, found);
    let fix = if used { anew } else { "restart slurmd: it asks for a new one" };
    expiry::look(found, "state-expiry", &what, leaf, &scene.thresholds, scene.now, fix);
    peers(scene, &state.chain, anew, found);
}

/// A certificate has to outlive some renewals that fail, whatever config the controller has.
fn outlives(scene: &Scene, leaf: &X509, found: &mut Findings) {
    let Some(minutes) = period_in_minutes(scene) else { return };
    let life = expiry::life(leaf);
    let what = format!(
        "this node's certificate lives {}, and it renews every {minutes} minutes",
        moment::span(life)
    );
    if life.as_secs() / minutes.saturating_mul(60) < PER_LIFE {
        found.warning(
            "period-validity",
            format!("{what}: less than {PER_LIFE} periods, so an outage becomes an expiry"),
            "a longer validity in [controller] of the controllers' config, or a shorter certificate_renewal_period",
        );
    } else {
        found.ok("period-validity", what);
    }
}

/// Whether the next start takes it.
fn next_start(scene: &Scene, state: &CertmgrState, leaf: &X509, anew: &str, found: &mut Findings) -> bool {
    let period = Duration::from_secs(period_in_minutes(scene).unwrap_or(1440) * 60);
    let due = state.renewed.plus(period);
    let renewed = format!("renewed {}", moment::shown(state.renewed, scene.now));
    if state.renewed > scene.now {
        found.warning("state-age", format!("{renewed}: in the future"), "set the clock right");
        return true;
    }
    if scene.now < due {
        let what = format!("{renewed}: the next start of slurmd takes it and asks nobody");
        if scene.now >= leaf.facts().not_after {
            let what = format!("{what}, though it has expired: slurmd starts, and no peer accepts it");
            found.critical("state-age", what, anew);
        } else {
            found.ok("state-age", what);
        }
        return true;
    }
    let asks = "the next start of slurmd asks slurmctld with its token";
    if scene.now < due.plus(period / 2) {
        found.ok("state-age", format!("{renewed}: {asks}"));
    } else {
        let what = format!(
            "{renewed}, over {} ago, the renewal period: slurmd does not run or cannot renew; {asks}",
            moment::span(period)
        );
        found.warning(
            "state-age",
            what,
            "see slurmd's log with DebugFlags=AuditTLS; on the controller: slurm-pki rehearse",
        );
    }
    false
}

/// Whether slurmctld takes it at the next renewal: a client certificate that is sent has to be good.
fn peers(scene: &Scene, chain: &[X509], anew: &str, found: &mut Findings) {
    let Ok((bundle, _)) = file::read_with_metadata(&tls_files::ca_cert(scene), MAX_BUNDLE_PEM) else {
        return;
    };
    let Ok(anchors) = loads_in_s2n::trust_bundle(bundle.expose()) else { return };
    match loads_in_s2n::accepted_by_peers(chain, &anchors, scene.now) {
        Ok(()) => found.ok("state-accepted", "peers accept this node's certificate"),
        Err(loads_in_s2n::Unloadable::OutsideLife(_)) => {}
        Err(e) => {
            let what = format!("peers refuse this node's certificate: {e}");
            found.critical("state-accepted", what, anew);
        }
    }
}
