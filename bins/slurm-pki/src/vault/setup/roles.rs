//! The two roles of the PKI engine, with exactly the names that they are for.

use std::collections::BTreeSet;
use std::time::Instant;

use pki::key::KeyKind;
use pki::name::NodeName;
use serde_json::json;
use signer::{of_vault, pki_engine};
use site::config::{Daemon, Place};

use super::engines::{Mounted, daemons_life};
use super::work::{Left, Work};
use super::{Kind, PATIENCE, Scene};
use crate::advice::Advise as _;
use crate::cert::host_names;
use crate::members::{Members, Role as Part};
use crate::report;
use crate::vault::names::{Enrolled, enrolled as enrolled_names, refuse_too_many};
use crate::vault::role::{NAMES, Settings, domains_of, names_in, settings};

/// Makes the roles, or sets them right.
///
/// # Errors
/// Whatever went wrong.
pub(super) fn complete(scene: &Scene<'_>, work: &Work<'_>, mounted: Mounted) -> anyhow::Result<()> {
    // node add and remove write the same names under the same lock.
    let store = scene.admin.store()?;
    // Before init made its folder nobody can have enrolled anything.
    let none = work.only_says() || !store.folder().exists();
    let lock = if none { None } else { Some(store.lock().advise()?) };
    nodes(scene, work, mounted)?;
    drop(lock);
    daemons(scene, work, mounted)
}

fn nodes(scene: &Scene<'_>, work: &Work<'_>, mounted: Mounted) -> anyhow::Result<()> {
    let controller = &scene.admin.controller;
    let names = domains_of(controller, &enrolled(scene, work, mounted)?);
    refuse_too_many(&names)?;
    let mut wanted = settings(controller, controller.validity, &controller.allowed_keys);
    wanted.insert(NAMES.into(), json!(names));
    write(scene, work, mounted, &scene.config.role, wanted)
}

/// Read anew, one by one: what the role says now may be wrong.
fn enrolled(scene: &Scene<'_>, work: &Work<'_>, mounted: Mounted) -> anyhow::Result<Vec<NodeName>> {
    // An engine that was mounted a moment ago holds none, and one of version 2 needs a while before it answers.
    let has_records = scene.admin.controller.store == Place::Local || mounted.kv;
    let store = has_records.then(|| scene.admin.store()).transpose()?;
    let Enrolled { names, any } = enrolled_names(work.global(), scene.admin, store.as_ref())?;
    // That may have been thousands.
    work.client().give_until(Instant::now() + PATIENCE);
    if any {
        report::warning(
            "token_list has bare tokens, which enrol nodes of any name: those get no certificate from Vault before node \
             import --for gives them a name",
        );
    }
    Ok(names)
}

/// The names of the daemons and their hosts, and those that are there already: somebody asked for them with `--host`.
fn daemons(scene: &Scene<'_>, work: &Work<'_>, mounted: Mounted) -> anyhow::Result<()> {
    let admin = scene.admin;
    let mut names: BTreeSet<String> = BTreeSet::new();
    for daemon in [Daemon::Ctld, Daemon::Dbd, Daemon::Restd] {
        names.insert(daemon.program().to_owned());
        names.extend(host_names(admin, daemon, &scene.options.hosts)?);
    }
    let members = Members::of(admin)?;
    for part in [Part::Ctld, Part::Dbd, Part::Restd] {
        names.extend(members.with(part).map(|member| member.host.clone()));
    }
    if let Some(there) = there(scene, work, mounted, &scene.config.daemon_role)? {
        names.extend(names_in(&there));
    }
    // Our own keys: never RSA (static pairs of a site may be).
    let kinds = [KeyKind::P256, KeyKind::P384];
    let mut wanted = settings(&admin.controller, daemons_life(scene)?, &kinds);
    wanted.insert(NAMES.into(), json!(names));
    write(scene, work, mounted, &scene.config.daemon_role, wanted)
}

fn there(
    scene: &Scene<'_>,
    work: &Work<'_>,
    mounted: Mounted,
    role: &str,
) -> anyhow::Result<Option<Settings>> {
    if !mounted.pki {
        return Ok(None);
    }
    pki_engine(scene.config).advise()?.role(work.client(), role).map_err(of_vault).advise()
}

fn write(
    scene: &Scene<'_>,
    work: &Work<'_>,
    mounted: Mounted,
    role: &str,
    mut wanted: Settings,
) -> anyhow::Result<()> {
    let there = there(scene, work, mounted, role)?;
    match (&scene.options.likeness.issuer_name, scene.options.ca, &there) {
        (Some(name), Some(Kind::Existing), _) => {
            wanted.insert("issuer_ref".into(), json!(name));
        }
        // Whatever a role that is there signs with, it goes on with.
        (_, _, Some(_)) => {}
        // The engine's default issuer, so that a rollover changes it in one place.
        (_, _, None) => {
            wanted.insert("issuer_ref".into(), json!("default"));
        }
    }
    let path = format!("{}/roles/{role}", pki_engine(scene.config).advise()?.mount);
    work.settings(&format!("role {role}"), &path, there.as_ref(), &wanted, Left::Reset)
}
