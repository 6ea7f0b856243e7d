//! Folders whose bytes travel: whoever is root on a server or on another client reads what mode 0700 keeps from users
//! here.

use std::path::Path;

use crate::report;

/// File systems by the number that statfs(2) gives (linux/magic.h, and those of their makers).
const NETWORK: [(u64, &str); 9] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x00c3_6400, "Ceph"),
    (0x1983_0326, "BeeGFS"),
    (0x0102_1997, "9P"),
    (0xaad7_aaea, "PanFS"),
];

/// Warns of a folder that is not on this host's disk or in its memory.
pub(super) fn warn(out: &Path) {
    // Where it is yet to be made, the one that it will be in.
    let there = out.ancestors().find_map(|folder| rustix::fs::statfs(folder).ok());
    let Some(number) = there.and_then(|found| u64::try_from(found.f_type).ok()) else { return };
    if let Some(name) = name_of(number) {
        report::warning(&format!(
            "{} is on {name}: its server, and root on any host that mounts it, can read the secrets; a folder below \
             /run or /root is better, or delete them there soon",
            out.display()
        ));
    }
}

fn name_of(number: u64) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == number & 0xffff_ffff).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_and_memory_are_no_network() {
        // ext4, xfs, btrfs, tmpfs, overlayfs.
        for number in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(name_of(number), None);
        }
        assert_eq!(name_of(0x6969), Some("NFS"));
    }
}
