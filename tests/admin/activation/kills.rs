//! Killed at every moment at which it changes something: the pair on disk is whole, and the next run ends well.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use support::programs::program;
use support::strace::{self, Call, Fault};

use crate::scene::Scene;
use crate::scratch::{changes, text};

const ACTIVATE: [&str; 3] = ["cert", "activate", "ctld"];

/// Somebody mends what was wrong, and says it again.
#[track_caller]
fn the_next_one_ends_well(scene: &Scene, after: &str) {
    scene.site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    scene.mood("ctld", "");
    // A busy machine is no fault.
    let config = scene.site.read("slurm-pki.toml").replace("wait = \"1s\"", "wait = \"15s\"");
    scene.site.write("slurm-pki.toml", &config, 0o644);
    let said = scene.activate(&["ctld"]).done("slurmctld: serves its ");
    assert_eq!(scene.serves("ctld"), Some(scene.on_disk("ctld")), "{after}: {said:?}");
    scene.site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

/// The restart is what it changes when all goes well.
#[test]
fn killed_while_the_daemon_restarts_it_leaves_a_whole_pair_and_the_next_run_ends_well() {
    for mood in ["kills_its_caller_alone", "kills_its_caller"] {
        let scene = Scene::new();
        let (_, new) = scene.stage("ctld");
        scene.mood("ctld", mood);
        let output = scene.command(&["ctld"]).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{mood}: {}", text(&output.stderr));
        the_next_one_ends_well(&scene, mood);
        assert_eq!(scene.serves("ctld"), Some(new), "{mood}");
    }
}

/// How the pair lies where the daemon looks for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// As links to ours, which one rename leads elsewhere.
    Links,
    /// As files that others made, one of which has its place before the other.
    Files,
}

/// A restart that fails: the former pair is put back.
fn with_a_restart_that_fails(pair: Pair) -> Scene {
    let scene = Scene::with("", "wait = \"1s\"");
    if pair == Pair::Files {
        for (name, mode) in [("ctld_cert.pem", 0o644), ("ctld_cert_key.pem", 0o600)] {
            let contents = scene.site.read(name);
            fs::remove_file(scene.site.path(name)).unwrap();
            scene.site.write(name, &contents, mode);
        }
    }
    scene.site.done(&["cert", "renew", "ctld", "--force"]);
    scene.mood("ctld", "fails");
    scene
}

/// What it says, and what it says to its threads, is no change.
fn changes_of_files(calls: &[Call]) -> Vec<&Call> {
    let mut all = changes(calls);
    all.extend(calls.iter().filter(|call| call.is_one_of(&["unlink", "unlinkat", "rmdir"])));
    all.retain(|call| call.name != "write");
    all
}

#[track_caller]
fn whatever_kills_the_way_back(pair: Pair, least: usize) {
    let scene = with_a_restart_that_fails(pair);
    let (calls, output) = strace::trace_threads(&scene.site.bare(), &program("slurm-pki"), &ACTIVATE);
    assert!(text(&output.stderr).contains("works with that one again"), "{}", text(&output.stderr));
    let calls = changes_of_files(&calls);
    assert!(calls.len() >= least, "{calls:?}");
    for call in calls {
        let scene = with_a_restart_that_fails(pair);
        let site = scene.site.bare();
        let output = strace::strike_threads(&site, &program("slurm-pki"), &ACTIVATE, call, Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        if pair == Pair::Files {
            // Whatever runs next mends it.
            scene.site.done(&["cert", "list"]);
        }
        the_next_one_ends_well(&scene, &format!("{call:?}"));
    }
}

#[test]
fn whatever_kills_the_way_back_the_pair_is_whole_and_the_next_run_ends_well() {
    whatever_kills_the_way_back(Pair::Links, 3);
}

#[test]
fn whatever_kills_the_way_back_of_files_that_others_made_the_next_run_mends_them_and_ends_well() {
    whatever_kills_the_way_back(Pair::Files, 10);
}
