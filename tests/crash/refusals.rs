//! The file of refusals, which may fail without anybody noticing.

use std::process::Output;

use serde_json::Value;
use support::site::Site;
use support::strace::Fault;

use crate::scene::Scene;
use crate::strikes::{Struck, kill_at_each_call, strike};

const CAP: usize = 1024 * 1024;

fn first_refusal() -> Scene {
    let mut site = Site::new();
    site.enrol("n1");
    Scene::new(site, "validate_node_token", &["n1", "wrong"])
}

/// The file is as long as it may be: it is put aside.
fn refusal_at_the_cap() -> Scene {
    let scene = first_refusal();
    assert_eq!(scene.run().status.code(), Some(1));
    let files = support::site::files_below(&scene.site.path("state/ledger"));
    let (path, line) = files.first().expect("a refusal is noted");
    std::fs::write(path, line.repeat(CAP / line.len() + 1)).unwrap();
    scene
}

#[test]
fn killed_while_it_notes_a_refusal_nothing_else_changes_and_every_line_is_whole() {
    kill_at_each_call(first_refusal, check);
}

#[test]
fn killed_while_it_puts_refusals_aside_every_line_is_whole_and_none_is_lost() {
    kill_at_each_call(refusal_at_the_cap, |struck| {
        assert!(lines(struck.scene) >= CAP / 200);
        check(struck);
    });
}

#[test]
fn a_refusal_that_cannot_be_noted_is_a_refusal_all_the_same() {
    for make in [first_refusal, refusal_at_the_cap] {
        let undisturbed = make().run();
        let calls = make().calls();
        let noting: Vec<_> =
            calls.iter().filter(|call| call.mentions("/refused.") || call.mentions("/dev/log")).collect();
        assert!(noting.len() >= 3, "{calls:?}");
        for call in noting {
            for error in ["ENOSPC", "EIO", "EACCES"] {
                strike(make, call, Fault::Error(error), |struck| {
                    let Output { status, stderr, .. } = struck.output;
                    assert_eq!((status.code(), stderr), (Some(1), &undisturbed.stderr));
                    check(struck);
                });
            }
        }
    }
}

#[track_caller]
fn check(struck: &Struck<'_>) {
    let scene = struck.scene;
    assert!(struck.output.stdout.is_empty());
    let after = scene.files();
    after.assert_unchanged_since(struck.before, |path| path.starts_with("state/ledger/refused."));
    assert_eq!(after.ending(".tmp").count(), 0);
    let noted = lines(scene);
    let next = scene.run();
    assert_eq!(next.status.code(), Some(1), "call {}", struck.call.text);
    assert_eq!(lines(scene), noted + 1);
}

/// How many refusals are noted, all of them whole.
#[track_caller]
fn lines(scene: &Scene) -> usize {
    let files = scene.files();
    let texts = files.ending(".jsonl").map(|(_, file)| String::from_utf8(file.contents.clone()).unwrap());
    let count = |text: String| {
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .filter(|line| serde_json::from_str::<Value>(line).expect("a whole line").is_object())
            .count()
    };
    texts.map(count).sum()
}
