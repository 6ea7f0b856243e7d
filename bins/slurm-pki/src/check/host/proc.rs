//! Who sees arguments on the head node: slurmctld passes tokens and requests in them (docs/slurm-contract.md 3.5).

use std::fs;

use super::super::finding::Findings;
use super::super::scene::Scene;

/// Looks at how /proc is mounted.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if !scene.controller {
        return;
    }
    let mounts = match fs::read_to_string(scene.host.at("/proc/mounts")) {
        Ok(mounts) => mounts,
        Err(e) => {
            return found.unknown("hidepid", format!("/proc/mounts: {e}"), "mount | grep ' /proc ' by hand");
        }
    };
    if hides(&mounts) {
        return found.ok("hidepid", "/proc shows users only their own processes");
    }
    found.warning(
        "hidepid",
        "/proc shows every user the arguments of slurmctld's programs: a token can be read for some milliseconds",
        "mount -o remount,hidepid=invisible /proc, and in /etc/fstab: proc /proc proc defaults,hidepid=invisible 0 0 \
         (monitoring agents then need gid=)",
    );
}

/// The last mount on /proc counts.
fn hides(mounts: &str) -> bool {
    let options = mounts.lines().rev().find_map(|line| {
        let mut words = line.split(' ');
        let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
        (at == "/proc" && kind == "proc").then(|| words.next().unwrap_or_default())
    });
    let hiding = [
        "hidepid=1",
        "hidepid=2",
        "hidepid=4",
        "hidepid=noaccess",
        "hidepid=invisible",
        "hidepid=ptraceable",
    ];
    options.is_some_and(|options| options.split(',').any(|option| hiding.contains(&option)))
}

#[cfg(test)]
mod tests {
    use super::hides;

    #[test]
    fn only_a_hiding_mount_of_proc_hides() {
        assert!(hides("proc /proc proc rw,nosuid,hidepid=invisible 0 0\n"));
        assert!(hides("proc /proc proc rw,hidepid=2,gid=9 0 0\n"));
        assert!(!hides("proc /proc proc rw,nosuid,hidepid=off 0 0\n"));
        assert!(!hides("proc /mnt/proc proc rw,hidepid=2 0 0\nproc /proc proc rw 0 0\n"));
        assert!(!hides(""));
    }
}
