//! What is refused, with everything left as it was.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::thread::sleep;
use std::time::Duration;

use pki::ca::{CaCertificates, LocalCa, NewCa};
use pki::key::PrivateKey;
use pki::profile::Serial;
use pki::x509::X509;
use rustix::fs::{FlockOperation, flock};
use support::programs::program;
use support::site::{new_ca, now};

use crate::cluster::{Cluster, accepted, words};
use crate::scratch::caller;

const DAY: Duration = Duration::from_secs(86_400);

/// Puts another CA in the place of the site's.
fn put_ca(cluster: &mut Cluster, begins: pki::time::UnixTime, ends: pki::time::UnixTime) {
    let (cert, key) = new_ca("c1 Slurm CA", begins, ends);
    fs::write(cluster.site.path("ca_cert.pem"), &cert).unwrap();
    let path = cluster.site.path("state/ca/ca_key.pem");
    let is = fs::metadata(&path).unwrap();
    fs::write(&path, key).unwrap();
    fs::set_permissions(&path, is.permissions()).unwrap();
    cluster.old = cert;
}

#[track_caller]
fn refused_and_nothing_changed(cluster: &Cluster, step: &str, part: &str) {
    let before = cluster.site.everything();
    let said = cluster.refused(step);
    assert!(said.contains(part), "{step}: {said}");
    let after = cluster.site.everything();
    let but_lock = |files: Vec<(std::path::PathBuf, Vec<u8>)>| {
        files.into_iter().filter(|(path, _)| !path.ends_with("rollover.lock")).collect::<Vec<_>>()
    };
    assert_eq!(but_lock(after), but_lock(before), "{step}");
}

#[test]
fn steps_out_of_order_are_refused() {
    let cluster = Cluster::new();
    for step in ["switch", "finish --yes", "abort"] {
        refused_and_nothing_changed(&cluster, step, "no CA rollover is under way");
    }
    cluster.rollover("begin --no-push");
    refused_and_nothing_changed(&cluster, "finish --yes", "first: slurm-pki ca rollover switch");
    refused_and_nothing_changed(&cluster, "begin --no-push --common-name X", "abort makes room");
    cluster.rollover("switch");
    refused_and_nothing_changed(&cluster, "begin --no-push", "under way (switched");
    let state = cluster.site.read("state/ca/rollover.json");
    let put = |phase: &str| {
        fs::write(cluster.site.path("state/ca/rollover.json"), state.replace("switched", phase)).unwrap();
    };
    put("finishing");
    refused_and_nothing_changed(&cluster, "abort", "slurm-pki ca rollover finish");
    refused_and_nothing_changed(&cluster, "switch", "slurm-pki ca rollover finish");
    put("aborting");
    refused_and_nothing_changed(&cluster, "finish --yes", "slurm-pki ca rollover abort");
    put("somewhere");
    refused_and_nothing_changed(&cluster, "switch", "rollover.json");
}

#[test]
fn a_second_begin_that_asks_for_another_ca_is_refused_and_the_same_one_goes_on() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push --lifetime 15y --key-type p384");
    let before = cluster.site.everything();
    for step in ["begin --no-push", "begin --no-push --lifetime 15y --key-type p384"] {
        cluster.rollover(step);
        assert_eq!(cluster.site.everything(), before, "{step}");
    }
    // The defaults too, where they are asked for.
    for other in ["--lifetime 5y", "--lifetime 10y", "--key-type p256"] {
        refused_and_nothing_changed(&cluster, &format!("begin --no-push {other}"), "to another new CA");
    }
    cluster.rollover("abort --no-push");
    cluster.rollover("begin --no-push");
    cluster.rollover("begin --no-push --lifetime 10y --key-type p256");
    refused_and_nothing_changed(&cluster, "begin --no-push --key-type p384", "to another new CA");
}

/// Without it there is nobody to ask, and nobody would have shown anything.
#[test]
fn finish_without_a_slurm_conf_drops_nothing() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    fs::rename(cluster.site.path("slurm.conf"), cluster.site.path("moved.conf")).unwrap();
    refused_and_nothing_changed(&cluster, "finish --no-push --yes", "there is no slurm.conf here");
}

/// It came back from a backup: what is signed now, the old root alone stands behind.
#[test]
fn finish_drops_nothing_where_this_host_signs_with_the_old_key_again() {
    let cluster = Cluster::new();
    let key = cluster.site.path("state/ca/ca_key.pem");
    let old = fs::read(&key).unwrap();
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let new = fs::read(&key).unwrap();
    assert!(old != new);
    fs::write(&key, old).unwrap();
    for step in ["finish --no-push --yes", "finish --dry-run"] {
        refused_and_nothing_changed(&cluster, step, "certificates do not come from");
    }
    fs::write(&key, new).unwrap();
    assert!(cluster.refused("finish --no-push --yes").contains("the old root stays"));
}

#[test]
fn names_that_would_not_tell_the_two_apart_are_refused() {
    let cluster = Cluster::new();
    for (name, part) in [("c1 Slurm CA", "already"), ("C1 SLURM CA", "already"), ("slurmctld", "common name")]
    {
        let before = cluster.site.everything();
        let said = cluster.site.refused(&[&words("begin --no-push --common-name")[..], &[name]].concat());
        assert!(said.contains(part), "{name}: {said}");
        assert_eq!(cluster.site.everything().len(), before.len() + 1, "the lock alone");
        fs::remove_file(cluster.site.path("state/ca/rollover.lock")).unwrap();
    }
    let usage = cluster.site.run(&words("begin --no-push --intermediate"));
    assert_eq!(usage.status.code(), Some(64), "the new root signs itself");
}

#[test]
fn a_ca_that_is_over_or_not_yet_there_signs_for_no_other() {
    let mut cluster = Cluster::new();
    put_ca(&mut cluster, now().minus(9 * DAY), now().minus(DAY));
    refused_and_nothing_changed(&cluster, "begin --no-push", "docs/operations.md, \"CA expired\"");
    put_ca(&mut cluster, now().plus(DAY), now().plus(9 * DAY));
    refused_and_nothing_changed(&cluster, "begin --no-push", "set this host's clock");
}

/// As a clock that was set back by nine days after `begin` would see it: the new CA's time has not begun.
#[test]
fn a_clock_that_was_set_back_stops_the_switch_with_nothing_half_done() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    let (cert, key) = new_ca("c1 Slurm CA G2", now().plus(9 * DAY), now().plus(99 * DAY));
    let root = X509::all_from_pem(cert.as_bytes(), 9999).unwrap().remove(0);
    let old = CaCertificates::from_pem(cluster.old.as_bytes(), None).unwrap();
    let old_key = PrivateKey::from_pem(cluster.site.read("state/ca/ca_key.pem").as_bytes()).unwrap();
    let new = NewCa {
        common_name: "c1 Slurm CA G2",
        subject: &[],
        serial: Serial::new([7; 16]),
        validity: DAY,
        backdate: Duration::ZERO,
    };
    let cross = LocalCa::new(old, old_key).unwrap().cross_sign(&root, &new, now()).unwrap();
    let state = cluster.site.read("state/ca/rollover.json");
    let made = X509::all_from_pem(cluster.new_root().unwrap().as_bytes(), 9999).unwrap().remove(0);
    let put =
        |name: &str, text: &[u8]| fs::write(cluster.site.path(&format!("state/ca/{name}")), text).unwrap();
    put("rollover.json", state.replace(&made.fingerprint(), &root.fingerprint()).as_bytes());
    put("rollover/new_root.pem", cert.as_bytes());
    put("rollover/cross.pem", cross.to_pem().as_bytes());
    put("rollover/new_key.pem", &key);
    fs::write(cluster.site.path("ca_cert.pem"), format!("{}{cert}", cluster.old)).unwrap();
    refused_and_nothing_changed(&cluster, "switch", "set this host's clock");
    assert_eq!(cluster.phase(), "begun");
    accepted(&cluster.sign(), &cluster.old);
}

#[test]
fn after_the_old_ca_there_is_no_way_back_and_the_new_one_goes_on() {
    let mut cluster = Cluster::new();
    let ends = now().plus(Duration::from_secs(6));
    put_ca(&mut cluster, now().minus(DAY), ends);
    cluster.rollover("begin --no-push");
    let new = cluster.new_root().unwrap();
    while now() < ends {
        sleep(Duration::from_millis(100));
    }
    refused_and_nothing_changed(&cluster, "abort", "nothing to go back to");
    assert!(cluster.rollover("switch").contains("ended at"));
    accepted(&cluster.sign(), &new);
}

#[test]
fn one_at_a_time() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    let lock = OpenOptions::new().append(true).open(cluster.site.path("state/ca/rollover.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    for step in ["begin --no-push", "switch", "finish --yes", "abort"] {
        refused_and_nothing_changed(&cluster, step, "another slurm-pki ca rollover is running");
    }
    assert_eq!(cluster.phase(), "begun", "who only looks need not wait");
}

#[test]
fn two_that_begin_at_once_make_one_new_ca() {
    let cluster = Cluster::new();
    let start =
        || cluster.site.command(&program("slurm-pki")).args(words("begin --no-push -q")).spawn().unwrap();
    let mut both = [start(), start()];
    let done = both.iter_mut().filter_map(|child| child.wait().unwrap().success().then_some(())).count();
    assert!(done >= 1);
    assert_eq!(crate::cluster::count(&cluster.site.read("ca_cert.pem")), 2);
    cluster.rollover("switch");
    accepted(&cluster.sign(), &cluster.new_root().unwrap());
}

#[test]
fn files_that_somebody_exchanged_are_not_used() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    for name in ["new_root.pem", "cross.pem", "new_key.pem"] {
        let path = cluster.site.path(&format!("state/ca/rollover/{name}"));
        let (is, mode) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions());
        let other = if name == "new_key.pem" { "state/ca/ca_key.pem" } else { "ctld_cert.pem" };
        fs::write(&path, cluster.site.read(other)).unwrap();
        refused_and_nothing_changed(&cluster, "switch", "does not belong to the new CA");
        fs::write(&path, is).unwrap();
        fs::set_permissions(&path, mode).unwrap();
    }
    cluster.rollover("switch");
}

/// SlurmUser owns the folders in which all of this lies, and could put links to what only root reads in its way.
#[test]
fn a_link_of_slurm_users_gives_him_no_key_of_roots() {
    if caller() != 0 {
        return;
    }
    let cluster = Cluster::new();
    let (_, key) = new_ca("somebody's", now().minus(DAY), now().plus(DAY));
    let of_root = tempfile::tempdir().unwrap();
    let secret = of_root.path().join("host_key.pem");
    fs::write(&secret, &key).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
    let put_link = |name: &str| {
        let path = cluster.site.path(name);
        fs::remove_file(&path).unwrap();
        symlink(&secret, &path).unwrap();
        lchown(&path, Some(cluster.site.slurm_user.1), None).unwrap();
    };
    cluster.rollover("begin --no-push");
    let begun = cluster.save();
    put_link("state/ca/ca_key.pem");
    refused_and_nothing_changed(&cluster, "switch", "is a link that is not root's");
    for name in ["new_key.pem", "new_root.pem", "cross.pem", "old_ca_cert.pem"] {
        cluster.restore(&begun);
        put_link(&format!("state/ca/rollover/{name}"));
        refused_and_nothing_changed(&cluster, "switch", "is a link that is not root's");
    }
    cluster.restore(&begun);
    cluster.rollover("switch");
    put_link("state/ca/rollover/old_key.pem");
    refused_and_nothing_changed(&cluster, "abort", "is a link that is not root's");
}
