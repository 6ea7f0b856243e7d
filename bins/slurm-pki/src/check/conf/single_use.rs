//! single_use_tokens, where somebody asks with the same token again.

use rustix::fs::{StatFs, statfs};

use super::super::finding::Findings;
use super::super::scene::Scene;
use crate::parameters::Parameters;

/// Looks at sackd, and at slurmd's spool folder.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
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
