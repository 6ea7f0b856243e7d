//! single_use_tokens, where somebody asks with the same token again.

use pki::name::NodeName;
use rustix::fs::{StatFs, statfs};
use site::config::Place;

use super::super::finding::Findings;
use super::super::scene::Scene;
use crate::members::Role;
use crate::parameters::Parameters;

/// Looks at sackd, and at slurmd's spool folder.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    records_of_sackd(scene, found);
    if !Parameters::of(scene.get("CertmgrParameters")).has("single_use_tokens") {
        return;
    }
    let mut all_well = true;
    if let Some(sackd) = sackd(scene) {
        all_well = false;
        found.critical(
            "single-use-sackd",
            format!("single_use_tokens, and sackd {sackd}: it asks with its token at every restart, and is refused"),
            "take single_use_tokens out of CertmgrParameters; node add --single-use does it for single nodes",
        );
    }
    if let Some(node) = &scene.node {
        let spool = scene.spool_dir(node);
        if statfs(&spool).is_ok_and(|fs| is_in_memory(&fs)) {
            all_well = false;
            found.critical(
                "single-use-tmpfs",
                format!(
                    "single_use_tokens, and SlurmdSpoolDir {} is in memory: after a reboot slurmd has no certificate \
                     and its token is gone",
                    spool.display()
                ),
                "put SlurmdSpoolDir on a disk, or give the node a fresh token at each boot",
            );
        }
    }
    if all_well {
        found.ok("single-use", "single_use_tokens: nobody is known here who asks twice");
    }
}

/// `node add --single-use` and its like do to one host what single_use_tokens does to all.
fn records_of_sackd(scene: &Scene, found: &mut Findings) {
    let Ok(members) = scene.members.as_ref() else { return };
    if !scene.controller || scene.admin.controller.store == Place::Vault {
        return;
    }
    let Ok(store) = scene.admin.store() else { return };
    // A host that runs slurmd too may have a record of slurmd's.
    let login = members.with(Role::Sackd).filter(|member| member.nodes.is_empty());
    for name in login.filter_map(|member| NodeName::parse(member.host.as_bytes()).ok()) {
        let Ok(Some(file)) = store.records(&name) else { continue };
        // The host has the newest one's token, or will have.
        if !file.records.iter().max_by_key(|record| record.created).is_some_and(|record| record.single_use) {
            continue;
        }
        found.critical(
            "single-use-sackd",
            format!("the token of {name} is for a single use, and sackd asks with it at every start"),
            format!("slurm-pki node token {name}, then slurm-pki node push {name}"),
        );
    }
}

fn sackd(scene: &Scene) -> Option<String> {
    let listed = scene.admin.config.sections().find(|(name, _)| *name == "fleet");
    let hosts = listed.and_then(|(_, keys)| keys.get("sackd")?.as_str()).filter(|hosts| !hosts.is_empty());
    if let Some(hosts) = hosts {
        return Some(format!("runs on {hosts}"));
    }
    scene.sackd.then(|| "runs on this host".to_owned())
}

fn is_in_memory(fs: &StatFs) -> bool {
    // TMPFS_MAGIC and RAMFS_MAGIC (statfs(2)).
    [0x0102_1994, 0x8584_58f6].contains(&fs.f_type)
}
