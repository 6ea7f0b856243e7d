//! Who is restarted when: what others need comes first, one after the other where there is one of its kind at work, many
//! at a time where there are many.

use site::config::Daemon;

use crate::cert::target::{Place, Target};
use crate::members::is_this_host;
use crate::slurm_conf::SlurmConf;

/// So many nodes or login hosts at a time: if a restart goes wrong, it goes wrong on no more than these.
const AT_A_TIME: usize = 32;

/// The place in the order: slurmdbd, the controllers that stand by, the primary, slurmrestd, slurmd, sackd.
pub(super) fn rank(slurm: Option<&SlurmConf>, target: &Target) -> (u8, usize) {
    let daemon = match target.daemon {
        Daemon::Dbd => 0,
        Daemon::Ctld => 1,
        Daemon::Restd => 2,
        Daemon::Slurmd => 3,
        Daemon::Sackd => 4,
    };
    let controllers = slurm.map(SlurmConf::controllers).unwrap_or_default();
    let behind = controllers.iter().rev().position(|named| is_at(target, named)).unwrap_or_default();
    (daemon, if target.daemon == Daemon::Ctld { behind } else { 0 })
}

/// Whether it is the slurmctld of the first SlurmctldHost: those that stand by load nothing at `scontrol reconfigure`
/// (slurm-contract.md 3.5).
pub(super) fn is_primary(slurm: Option<&SlurmConf>, target: &Target) -> bool {
    let first = slurm.and_then(|slurm| slurm.controllers().first());
    target.daemon == Daemon::Ctld && first.is_some_and(|named| is_at(target, named))
}

fn is_at(target: &Target, named: &String) -> bool {
    match &target.place {
        Place::Here => is_this_host(named),
        Place::On(host) => named == host,
    }
}

/// Those that are restarted together, in an order by [`rank`].
pub(super) fn batches<T>(ordered: &[T], target: impl Fn(&T) -> &Target) -> Vec<&[T]> {
    let same = |one: &T, other: &T| target(one).daemon == target(other).daemon;
    let kinds = ordered.chunk_by(same);
    kinds
        .flat_map(|kind| {
            let many = kind.first().is_some_and(|one| is_many(target(one).daemon));
            kind.chunks(if many { AT_A_TIME } else { 1 })
        })
        .collect()
}

/// Whether nobody is restarted any more after a batch in which so many went wrong. A node or login host may fail alone, and
/// one that lies about what it serves is not to hold up all others; where most of them fail it is not theirs.
pub(super) fn ends_it(batch: &[&Target], went_wrong: usize) -> bool {
    if batch.first().is_some_and(|one| is_many(one.daemon)) {
        went_wrong > 1 && went_wrong * 2 > batch.len()
    } else {
        went_wrong > 0
    }
}

fn is_many(daemon: Daemon) -> bool {
    matches!(daemon, Daemon::Slurmd | Daemon::Sackd)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use site::config::{ConfigFile, ControllerConfig, DaemonConfig};

    use super::*;

    fn target(daemon: Daemon, host: &str) -> Target {
        let config = ConfigFile::parse(Path::new("t"), b"").unwrap();
        let controller = ControllerConfig::read(&config).unwrap();
        let config = DaemonConfig::read(&config, &controller, daemon).unwrap();
        Target { daemon, place: Place::On(host.to_owned()), config, nodes: Vec::new() }
    }

    #[test]
    fn one_node_holds_up_no_other_and_one_controller_all() {
        let nodes: Vec<Target> = (0..3).map(|n| target(Daemon::Slurmd, &format!("n{n}"))).collect();
        let nodes: Vec<&Target> = nodes.iter().collect();
        assert_eq!([0, 1, 2, 3].map(|wrong| ends_it(&nodes, wrong)), [false, false, true, true]);
        assert!(!ends_it(nodes.get(..1).unwrap(), 1));
        for daemon in [Daemon::Ctld, Daemon::Dbd, Daemon::Restd] {
            assert!(ends_it(&[&target(daemon, "h1")], 1));
        }
    }

    #[test]
    fn the_primary_comes_after_those_that_stand_by_and_nodes_come_many_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slurm.conf");
        fs::write(&path, "SlurmctldHost=h1\nSlurmctldHost=h2\nSlurmctldHost=h3\n").unwrap();
        let slurm = SlurmConf::load_from(&path).unwrap();
        let mut targets: Vec<Target> = (0..40).map(|n| target(Daemon::Slurmd, &format!("n{n}"))).collect();
        targets.extend([target(Daemon::Restd, "r1"), target(Daemon::Sackd, "l1")]);
        targets.extend(["h1", "h2", "h3"].map(|host| target(Daemon::Ctld, host)));
        targets.push(target(Daemon::Dbd, "d1"));
        targets.sort_by_key(|target| rank(slurm.as_ref(), target));
        let sizes: Vec<(String, usize)> = batches(&targets, |target| target)
            .iter()
            .map(|batch| (batch.first().unwrap().place.host(), batch.len()))
            .collect();
        let expected =
            [("d1", 1), ("h3", 1), ("h2", 1), ("h1", 1), ("r1", 1), ("n0", 32), ("n32", 8), ("l1", 1)];
        assert_eq!(sizes, expected.map(|(host, size)| (host.to_owned(), size)));
        let primary: Vec<_> = targets.iter().filter(|target| is_primary(slurm.as_ref(), target)).collect();
        assert!(matches!(primary.as_slice(), [one] if one.place.host() == "h1"));
    }
}
