//! The config itself: read by SlurmUser's programs, by the nodes', and by every user's certgen.

use std::time::Duration;

use super::super::access::{READ, Who};
use super::super::finding::Findings;
use super::super::scene::Scene;
use crate::admin::owner_name;
use crate::moment;

/// Clocks of hosts differ by so much before anybody notices.
const SKEW: Duration = Duration::from_secs(60);

/// Looks at who can read it, and at values that are allowed and unwise.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let path = scene.admin.config.path();
    let shown = path.display();
    if !path.exists() {
        found.ok("config", format!("there is no {shown}: all defaults"));
    } else if let Some(user) = scene.slurm_user.filter(|user| Who::user(*user).reaches(path, READ).is_err()) {
        found.critical(
            "config",
            format!("{} cannot read {shown}: slurmctld's programs refuse everything", owner_name(user)),
            format!("chmod 0644 {shown}; there are no secrets in it"),
        );
    } else if Who::Everybody.reaches(path, READ).is_err() {
        found.warning(
            "config",
            format!("users cannot read {shown}: their certgen takes its defaults instead of [client]"),
            format!("chmod 0644 {shown}; there are no secrets in it"),
        );
    } else {
        found.ok("config", format!("{shown} has no unknown key, and everybody can read it"));
    }
    if scene.controller {
        values(scene, found);
    }
}

fn values(scene: &Scene, found: &mut Findings) {
    let config = &scene.admin.controller;
    if config.backdate < SKEW {
        found.warning(
            "backdate",
            format!(
                "backdate is {}: a host whose clock is behind refuses fresh certificates",
                moment::span(config.backdate)
            ),
            "set backdate = \"5m\" in [controller]",
        );
    } else {
        found.ok(
            "backdate",
            format!("certificates begin {} before they are made", moment::span(config.backdate)),
        );
    }
    if config.ledger_required {
        found.ok("ledger-required", "nothing is issued that is not recorded");
    } else {
        found.warning(
            "ledger-required",
            "ledger_required = false: certificates can go out that no ledger knows, and no rollover counts",
            "set ledger_required = true in [controller]",
        );
    }
}
