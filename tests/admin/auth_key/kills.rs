//! Killed in place of every change to the disk: no daemon ever finds a list that it does not load, and the same command
//! completes the step.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use support::programs::program;
use support::strace::{self, Call};

use crate::cluster::{Cluster, keys, wait_for_credentials, words};
use crate::scratch::{changes, text};

/// Those that make a difference: what is beside its place only is the same as nothing.
fn every_change(calls: &[Call]) -> Vec<Call> {
    let is_own = |call: &&&Call| {
        !call.is_one_of(&["write", "fsync"]) || call.mentions("slurm.jwks") || call.mentions("state.json")
    };
    changes(calls).iter().filter(is_own).map(|call| (*call).clone()).collect()
}

/// One step on fresh clusters, each killed at another change.
fn whatever_kills(step: &str, before: impl Fn(&Cluster), keys_after: usize, least: usize) {
    let prepared = || {
        let cluster = Cluster::new();
        before(&cluster);
        cluster
    };
    let traced = prepared();
    let (calls, output) = strace::trace(&traced.as_slurm(), &program("slurm-pki"), &words(step));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let calls = every_change(&calls);
    assert!(calls.len() > least, "{} changes", calls.len());
    let saved = prepared();
    let copy = saved.save();
    for call in &calls {
        saved.restore(&copy);
        let output =
            strace::strike(&saved.as_slurm(), &program("slurm-pki"), &words(step), call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        // Whoever starts now, for whatever reason, loads what lies there and is understood.
        keys(&saved.here());
        saved.restart();
        saved.never_an_outage();
        let again = saved.run(step);
        let said = text(&again.stderr);
        let was_done = said.contains("no rotation is under way");
        assert!(again.status.success() || was_done, "{call:?}: {said}");
        assert_eq!(keys(&saved.here()).len(), keys_after, "{call:?}");
        saved.all_have_it();
        saved.never_an_outage();
        let left: Vec<_> =
            fs::read_dir(saved.site.path(".")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");
    }
}

#[test]
fn whatever_kills_add_the_same_command_completes_it() {
    whatever_kills("add", |_| {}, 2, 8);
}

#[test]
fn whatever_kills_use_the_same_command_completes_it() {
    whatever_kills("use", |cluster| drop(cluster.done("add")), 2, 8);
}

#[test]
fn whatever_kills_drop_the_same_command_completes_it() {
    let before = |cluster: &Cluster| {
        cluster.done("add");
        cluster.done("use");
        wait_for_credentials();
    };
    whatever_kills("drop", before, 1, 8);
}

#[test]
fn whatever_kills_abort_the_same_command_completes_it() {
    whatever_kills("abort", |cluster| drop(cluster.done("add")), 1, 8);
}
