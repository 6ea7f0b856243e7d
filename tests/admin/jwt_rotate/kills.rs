//! Killed in place of every change to the disk: slurmctld never finds half a key, and the same command goes on, or goes
//! back.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use support::programs::program;
use support::strace::{self, Call};

use crate::scene::Scene;
use crate::scratch::{changes, text};

const ROTATE: [&str; 4] = ["jwt", "key", "rotate", "--yes"];

fn every_change(scene: &Scene) -> Vec<Call> {
    let (calls, output) = strace::trace(&scene.bare(), &program("slurm-pki"), &ROTATE);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut all: Vec<Call> = changes(&calls).into_iter().cloned().collect();
    all.extend(calls.iter().filter(|call| call.is_one_of(&["unlink", "unlinkat"])).cloned());
    // What is said to a person changes nothing.
    all.retain(|call| !(call.is_one_of(&["write"]) && (call.mentions("(1,") || call.mentions("(2,"))));
    assert!(all.len() > 25, "{} changes", all.len());
    all
}

/// A rotation that was killed there; the keys that there may be then.
#[track_caller]
fn killed(call: &Call) -> (Scene, Vec<u8>) {
    let scene = Scene::new();
    let former = scene.key("jwt.key");
    let output = strace::strike(&scene.bare(), &program("slurm-pki"), &ROTATE, call, strace::Fault::Kill);
    assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
    let key = scene.key("jwt.key");
    assert!(key == former || key.len() == 32, "{call:?}");
    (scene, former)
}

#[test]
fn whatever_kills_it_the_same_command_goes_on() {
    for call in every_change(&Scene::new()) {
        let (scene, former) = killed(&call);
        scene.rotated(&["--yes"]);
        let new = scene.key("jwt.key");
        assert!(new != former && scene.loaded_bytes("ctld") == new, "{call:?}");
        assert!(scene.left_over().is_empty(), "{call:?}: {:?}", scene.left_over());
    }
}

#[test]
fn whatever_kills_it_abort_leads_back() {
    for call in every_change(&Scene::new()) {
        let (scene, former) = killed(&call);
        let state = fs::read_to_string(scene.site.path("state/jwt-key/rotation.json")).unwrap_or_default();
        let output = scene.rotate(&["--abort", "--yes"]);
        let said = text(&output.stderr);
        let key = scene.key("jwt.key");
        if state.is_empty() {
            assert!(said.contains("no rotation is under way"), "{call:?}: {said}");
            assert!(key == former || scene.loaded_bytes("ctld") == key, "{call:?}");
            continue;
        }
        assert!(output.status.success(), "{call:?}: {said}");
        let is_over = state.contains("\"over\"");
        assert_eq!(key == former, !is_over, "{call:?}: {state}");
        assert_eq!(scene.loaded_bytes("ctld"), key, "{call:?}");
        assert!(scene.left_over().is_empty(), "{call:?}: {:?}", scene.left_over());
    }
}
