//! Killed in place of every change to the disk: what sign_csr issues then is accepted by every peer there may be, and
//! the same command completes the step.

use std::os::unix::process::ExitStatusExt as _;

use pki::x509::X509;
use support::programs::program;
use support::strace::{self, Call};

use crate::cluster::{Cluster, accepted, count, words};
use crate::scratch::{changes, text};
use crate::server::Server;

/// Who there is among the peers, besides those with both roots.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peers {
    /// Some have not got the new root.
    WithTheOldRoot,
    /// All have the new root, some have dropped the old one.
    WithTheNewRoot,
}

/// A certificate of the new CA carries what all need; the old CA's is for those that have its root.
#[track_caller]
fn accepted_by_all(cluster: &Cluster, chain: &str, new: &str, peers: Peers, after: &str) {
    let both = format!("{}{new}", cluster.old);
    accepted(chain, &both);
    let root = X509::all_from_pem(new.as_bytes(), 9999).unwrap().remove(0);
    let by_new = X509::all_from_pem(chain.as_bytes(), 65_536).unwrap()[0].is_issued_by(&root);
    match peers {
        Peers::WithTheOldRoot => accepted(chain, &cluster.old),
        Peers::WithTheNewRoot => assert!(by_new, "{after}"),
    }
    if by_new {
        accepted(chain, new);
    }
}

fn every_change(calls: &[Call]) -> Vec<&Call> {
    let mut all = changes(calls);
    all.extend(calls.iter().filter(|call| call.is_one_of(&["unlink", "unlinkat", "rmdir"])));
    all
}

fn whatever_kills(cluster: &Cluster, step: &str, peers: Peers, phase_after: &str, least: usize) {
    let saved = cluster.save();
    let step = words(step);
    let (calls, output) = strace::trace(&cluster.site.bare(), &program("slurm-pki"), &step);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let calls = every_change(&calls);
    assert!(calls.len() > least, "{} changes", calls.len());
    let made = cluster.new_root();
    for call in calls {
        cluster.restore(&saved);
        let output =
            strace::strike(&cluster.site.bare(), &program("slurm-pki"), &step, call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        let new = cluster.new_root().or_else(|| put_aside(cluster)).or_else(|| made.clone());
        let new = new.unwrap_or_else(|| cluster.old.clone());
        accepted_by_all(cluster, &cluster.sign(), &new, peers, &format!("{call:?}"));
        slurmctld_loads(cluster, &new, peers);
        cluster.site.done(&["ca", "show"]);
        let again = cluster.site.run(&step);
        let said = text(&again.stderr);
        let was_done = said.contains("no CA rollover is under way");
        assert!(again.status.success() || was_done, "{call:?}: {said}");
        assert_eq!(cluster.phase(), phase_after, "{call:?}");
        let new = cluster.new_root().or_else(|| put_aside(cluster)).unwrap();
        accepted_by_all(cluster, &cluster.sign(), &new, peers, &format!("{call:?}, again"));
        slurmctld_loads(cluster, &new, peers);
        let trusted = count(&cluster.site.read("ca_cert.pem"));
        assert_eq!(trusted, if phase_after == "none" { 1 } else { 2 }, "{call:?}");
        assert!(!cluster.site.path("state/ca/rollover/state.json").exists(), "{call:?}: put aside");
    }
}

/// A slurmctld that starts now finds a whole pair, which the same peers accept.
#[track_caller]
fn slurmctld_loads(cluster: &Cluster, new: &str, peers: Peers) {
    let (cert, key) = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
    pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
    pki::loads_in_s2n::trust_bundle(cluster.site.read("ca_cert.pem").as_bytes()).unwrap();
    accepted_by_all(cluster, &cert, new, peers, "slurmctld's pair");
}

/// The new root, in the folder that was put aside.
fn put_aside(cluster: &Cluster) -> Option<String> {
    let mut folders: Vec<_> =
        std::fs::read_dir(cluster.site.path("state/ca")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    folders.iter().find_map(|folder| std::fs::read_to_string(folder.join("new_root.pem")).ok())
}

fn slurmctld(cluster: &Cluster) -> Server {
    let read = |name: &str| cluster.site.read(name);
    Server::start(cluster.ports[0], &read("ctld_cert.pem"), &read("ctld_cert_key.pem"), &read("ca_cert.pem"))
}

#[test]
fn whatever_kills_begin_the_old_ca_issues() {
    whatever_kills(&Cluster::new(), "begin --no-push", Peers::WithTheOldRoot, "begun", 20);
}

#[test]
fn whatever_kills_switch_what_is_issued_is_accepted_with_either_root() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    whatever_kills(&cluster, "switch", Peers::WithTheOldRoot, "switched", 30);
}

#[test]
fn whatever_kills_switch_below_an_intermediate_what_is_issued_is_accepted_with_either_root() {
    let cluster = Cluster::with(&["--intermediate"], "");
    cluster.rollover("begin --no-push");
    whatever_kills(&cluster, "switch", Peers::WithTheOldRoot, "switched", 30);
}

#[test]
fn whatever_kills_finish_the_new_ca_issues() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let _slurmctld = slurmctld(&cluster);
    whatever_kills(&cluster, "finish --no-push --yes", Peers::WithTheNewRoot, "none", 20);
}

#[test]
fn whatever_kills_abort_after_begin_the_old_ca_issues() {
    let cluster = Cluster::new();
    cluster.rollover("begin --no-push");
    whatever_kills(&cluster, "abort --no-push", Peers::WithTheOldRoot, "none", 8);
    assert_eq!(cluster.site.read("ca_cert.pem"), cluster.old);
}

#[test]
fn whatever_kills_abort_after_switch_what_is_issued_is_accepted_with_either_root() {
    let cluster = Cluster::with(&["--intermediate"], "");
    let chain = cluster.site.read("state/ca/chain.pem");
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    whatever_kills(&cluster, "abort --no-push", Peers::WithTheOldRoot, "none", 30);
    assert_eq!(cluster.site.read("ca_cert.pem"), cluster.old);
    assert_eq!(cluster.site.read("state/ca/chain.pem"), chain);
}
