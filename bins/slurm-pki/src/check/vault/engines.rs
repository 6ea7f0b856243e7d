//! What is mounted, of which kind and version, and whether anybody writes down what is asked.

use std::time::Duration;

use signer::of_vault;
use vault::sys::{self, Mount};

use super::super::finding::Findings;
use super::{Look, told};

/// The server's own limit of a certificate's life, where the mount has none.
const DEFAULT_MAX_TTL: Duration = Duration::from_secs(768 * 3600);

/// Looks at both engines and the audit devices.
pub(super) fn look(look: &Look<'_>, found: &mut Findings) {
    let (signs, keeps) = (look.signs, look.keeps);
    let config = &look.config;
    if signs && let Some(mount) = mount(look, &config.pki_mount, "pki", found) {
        let max =
            if mount.max_lease_ttl == 0 { DEFAULT_MAX_TTL } else { Duration::from_secs(mount.max_lease_ttl) };
        let validity = look.scene.admin.controller.validity;
        if max < validity {
            let (max, validity) = (crate::moment::span(max), crate::moment::span(validity));
            let what = format!("{} signs for {max} at most, and validity is {validity}", config.pki_mount);
            let fix = format!("vault secrets tune -max-lease-ttl={}s {}", secs(look), config.pki_mount);
            found.critical("vault-mount", what, fix);
        }
    }
    if keeps && let Some(mount) = mount(look, &config.kv_mount, "kv", found) {
        let version = if mount.version.as_deref() == Some("2") { 2 } else { 1 };
        if version == config.kv_version {
            found.ok("vault-kv-version", format!("{} is version {version}", config.kv_mount));
        } else {
            let what =
                format!("{} is version {version}, and kv_version is {}", config.kv_mount, config.kv_version);
            found.critical("vault-kv-version", what, format!("set kv_version = {version} in [vault]"));
        }
        if config.kv_plain {
            let what =
                "nodes' tokens lie in Vault in clear (kv_plain): the programs' login can enrol as any node";
            found.warning(
                "vault-kv-plain",
                what,
                "slurm-pki node import --from-vault turns them into records",
            );
        }
    }
    audit(look, found);
}

fn secs(look: &Look<'_>) -> u64 {
    look.scene.admin.controller.validity.as_secs()
}

fn mount(look: &Look<'_>, path: &str, kind: &str, found: &mut Findings) -> Option<Mount> {
    let path = path.trim_matches('/');
    let mount = look.programs.as_ref().map(|client| sys::mount_at(client, path));
    let mount = match mount {
        Some(Ok(mount)) => mount,
        Some(Err(e)) if !e.is_denied() => {
            found.critical_error("vault-mount", &of_vault(e));
            return None;
        }
        // No such mount, or none that the programs may do anything at.
        _ => {
            let admin = look.admin(found)?;
            let all = told(found, "vault-mount", "what is mounted", sys::mounts(admin))?;
            let Some(mount) = all.get(&format!("{path}/")) else {
                let what = format!("nothing is mounted at {path}");
                found.critical(
                    "vault-mount",
                    what,
                    "slurm-pki vault setup mounts it; or see [vault] and namespace",
                );
                return None;
            };
            mount.clone()
        }
    };
    // KV's older name stays with old mounts.
    if mount.kind == kind || (kind == "kv" && mount.kind == "generic") {
        found.ok("vault-mount", format!("{path} is an engine of the kind {kind}"));
        return Some(mount);
    }
    let what = format!("{path} is an engine of the kind {}, not {kind}", mount.kind);
    found.critical("vault-mount", what, "see pki_mount and kv_mount in [vault]");
    None
}

fn audit(look: &Look<'_>, found: &mut Findings) {
    let Some(admin) = look.admin(found) else { return };
    let Some(devices) = told(found, "vault-audit", "audit devices", sys::audit_devices(admin)) else {
        return;
    };
    if devices.is_empty() {
        let what = "Vault has no audit device: nobody can tell later who asked for what";
        found.warning("vault-audit", what, "vault audit enable file file_path=/var/log/vault_audit.log");
    } else {
        found.ok("vault-audit", format!("audit devices: {}", devices.join(", ")));
    }
}
