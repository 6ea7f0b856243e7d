//! The two engines: where they are mounted, and how long the PKI engine lets things live.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use signer::{kv, of_vault, pki_engine};
use site::config::{Daemon, DaemonConfig};
use vault::sys::{self, Mount};

use super::work::{Work, seconds};
use super::{Kind, Scene};
use crate::advice::{Advice, Advise as _};
use crate::vault::commands::VaultCommand;

/// Which engines were there before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mounted {
    pub(super) pki: bool,
    pub(super) kv: bool,
}

/// Mounts what is missing.
///
/// # Errors
/// When something else is mounted there, or the token may not.
pub(super) fn complete(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<Mounted> {
    let there = sys::mounts(work.client()).map_err(of_vault).advise()?;
    let mut mounted = Mounted { pki: false, kv: false };
    if scene.uses.signer {
        let path = pki_engine(scene.config).advise()?.mount.to_string();
        let is = at(&there, &path, "pki")?;
        mounted.pki = is.is_some();
        pki(scene, work, &path, is)?;
    }
    if scene.uses.store {
        let path = kv(scene.config).advise()?.mount.to_string();
        let is = at(&there, &path, "kv")?;
        mounted.kv = is.is_some();
        key_value(scene, work, &path, is)?;
    }
    Ok(mounted)
}

fn at<'m>(there: &'m BTreeMap<String, Mount>, path: &str, kind: &str) -> anyhow::Result<Option<&'m Mount>> {
    match there.get(&format!("{path}/")) {
        Some(mount) if mount.kind == kind => Ok(Some(mount)),
        Some(mount) => Err(Advice::new(
            format!("at {path} in Vault is an engine of the type {}, not {kind}", mount.kind),
            "name another path in pki_mount or kv_mount of [vault]",
        )
        .into()),
        None => Ok(None),
    }
}

fn pki(scene: &Scene<'_>, work: &Work<'_>, path: &str, there: Option<&Mount>) -> anyhow::Result<()> {
    let wanted = longest(scene)?;
    let flag = format!("-max-lease-ttl={}s", wanted.as_secs());
    let what = format!("PKI engine at {path}");
    let Some(mount) = there else {
        let body =
            json!({ "type": "pki", "description": "Slurm", "config": { "max_lease_ttl": seconds(wanted) } });
        let command = VaultCommand::new(&[
            "secrets",
            "enable",
            &format!("-path={path}"),
            "-description=Slurm",
            &flag,
            "pki",
        ]);
        return work.change(&format!("made     {what}"), &command, |client| sys::mount(client, path, &body));
    };
    // One that allows more, or leaves it to the server, may serve others too: it is only ever raised, unless asked for.
    let enough = match scene.options.mount_max_ttl {
        Some(asked) => mount.max_lease_ttl == asked.as_secs(),
        None => mount.max_lease_ttl >= wanted.as_secs(),
    };
    if enough {
        work.there(&what);
        return Ok(());
    }
    let said = format!("changed  {what}: max_lease_ttl {} -> {}", mount.max_lease_ttl, wanted.as_secs());
    let command = VaultCommand::new(&["secrets", "tune", &flag, &format!("{path}/")]);
    let body = json!({ "max_lease_ttl": seconds(wanted) });
    work.change(&said, &command, |client| sys::tune(client, path, &body))
}

/// As asked for; else what the certificates need, and the CA where it is made there.
fn longest(scene: &Scene<'_>) -> anyhow::Result<Duration> {
    let leaves = scene.admin.controller.validity.max(daemons_life(scene)?);
    match scene.options.mount_max_ttl {
        Some(asked) if asked < leaves => Err(super::usage(
            "--mount-max-ttl is shorter than validity of [controller] or [daemons]: no such certificate could be signed",
            "raise it, or lower validity",
        )),
        Some(asked) => Ok(asked),
        None if scene.options.ca == Some(Kind::Root) => Ok(leaves.max(scene.options.likeness.ttl)),
        None => Ok(leaves),
    }
}

/// The longest life of a daemon's pair.
pub(super) fn daemons_life(scene: &Scene<'_>) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    for daemon in Daemon::ALL {
        let config = DaemonConfig::read(&scene.admin.config, &scene.admin.controller, daemon).advise()?;
        longest = longest.max(config.validity);
    }
    Ok(longest)
}

fn key_value(scene: &Scene<'_>, work: &Work<'_>, path: &str, there: Option<&Mount>) -> anyhow::Result<()> {
    let version = scene.config.kv_version.to_string();
    let what = format!("KV engine at {path}");
    let Some(mount) = there else {
        let body: Value = json!({ "type": "kv", "description": "Slurm", "options": { "version": version } });
        let command = VaultCommand::new(&[
            "secrets",
            "enable",
            &format!("-path={path}"),
            "-description=Slurm",
            &format!("-version={version}"),
            "kv",
        ]);
        return work.change(&format!("made     {what}"), &command, |client| sys::mount(client, path, &body));
    };
    // Without options it is of version 1.
    let is = mount.version.as_deref().unwrap_or("1");
    if is != version {
        return Err(Advice::new(
            format!("the KV engine at {path} has version {is}, and [vault] says kv_version = {version}"),
            "set kv_version to what is there, or name another path in kv_mount",
        )
        .into());
    }
    work.there(&what);
    Ok(())
}
