//! generate_csr, with a key for each request and with one lasting key.

use std::ffi::OsString;
use std::path::Path;

use pki::csr::Csr;
use pki::key::PrivateKey;
use support::site::Site;
use support::strace::Call;

use crate::scene::{File, Files, Scene};
use crate::strikes::{Struck, fail_each_call, kill_at_each_call};

fn first_key() -> Scene {
    let mut site = Site::new();
    site.enrol("n1");
    Scene::new(site, "generate_csr", &["n1"])
}

fn next_key() -> Scene {
    let scene = first_key();
    assert!(scene.run().status.success());
    scene
}

fn first_lasting_key() -> Scene {
    let mut scene = first_key();
    let file = scene.site.path("node/%n_private_key.pem");
    scene.site.set("node", "renew_key", false);
    scene.site.set("node", "key_file", file.to_str().unwrap());
    scene.site.write_config();
    scene
}

fn lasting_key() -> Scene {
    let scene = first_lasting_key();
    assert!(scene.run().status.success());
    scene
}

#[test]
fn killed_while_it_makes_a_first_key_a_node_has_a_whole_one_or_none() {
    kill_at_each_call(first_key, |struck| check(struck, &[]));
}

#[test]
fn killed_while_it_makes_a_next_key_a_node_has_the_old_or_the_new_one() {
    kill_at_each_call(next_key, |struck| {
        assert_eq!(keys(&struck.scene.files()).len(), 1);
        check(struck, &[]);
    });
}

#[test]
fn killed_while_it_makes_a_lasting_key_a_node_has_a_whole_one_or_none() {
    kill_at_each_call(first_lasting_key, |struck| check(struck, &[]));
}

#[test]
fn killed_while_it_uses_a_lasting_key_a_node_still_has_that_key() {
    kill_at_each_call(lasting_key, |struck| check(struck, &["node/n1_private_key.pem"]));
}

#[test]
fn a_failing_disk_under_a_first_key_is_said_and_no_request_is_printed() {
    fail_each_call(first_key, may_fail, |struck| check(struck, &[]));
}

#[test]
fn a_failing_disk_under_a_next_key_is_said_and_no_request_is_printed() {
    fail_each_call(next_key, may_fail, |struck| check(struck, &[]));
}

#[test]
fn a_failing_disk_under_a_lasting_key_is_said_and_no_request_is_printed() {
    fail_each_call(first_lasting_key, may_fail_lasting, |struck| check(struck, &[]));
    fail_each_call(lasting_key, may_fail_lasting, |struck| check(struck, &["node/n1_private_key.pem"]));
}

/// Wiping argv, and removing a second name of a file that is in place already.
fn may_fail(call: &Call) -> bool {
    call.mentions("/proc/") || call.is_one_of(&["unlink", "unlinkat"])
}

/// The search for what killed programs left beside a lasting key.
fn may_fail_lasting(call: &Call) -> bool {
    may_fail(call) || call.mentions("O_DIRECTORY") || call.name == "getdents64"
}

/// `kept` are keys that must be as they were.
#[track_caller]
fn check(struck: &Struck<'_>, kept: &[&str]) {
    let after = struck.scene.files();
    after.assert_unchanged_since(struck.before, |path| is_key(path) && !kept.contains(&path));
    after.assert_leftovers_are_private();
    for (path, key) in keys(&after) {
        assert_whole(path, key);
    }
    if !struck.output.stdout.is_empty() {
        assert_answered_by_its_key(struck.scene, &struck.output.stdout);
    }
    let next = struck.scene.run();
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
    assert_answered_by_its_key(struck.scene, &next.stdout);
    assert_eq!(struck.scene.files().ending(".tmp").count(), 0, "the next run leaves something half written");
}

fn is_key(path: &str) -> bool {
    path.starts_with("node/keys/") || path.contains("_private_key.pem")
}

fn keys(files: &Files) -> Vec<(&Path, &File)> {
    files.ending(".key").chain(files.ending("_private_key.pem")).collect()
}

#[track_caller]
fn assert_whole(path: &Path, key: &File) {
    assert_eq!(key.mode, 0o600, "{}", path.display());
    assert!(PrivateKey::from_pem(&key.contents).is_ok(), "{}", path.display());
}

/// A request that got out is whole, and get_cert_key prints its key.
#[track_caller]
fn assert_answered_by_its_key(scene: &Scene, request: &[u8]) {
    let request = Csr::parse(request).expect("a whole request");
    let key = scene.run_other("get_cert_key", &[OsString::from("n1")]);
    let key = PrivateKey::from_pem(&key.stdout).expect("a whole key");
    assert_eq!(key.public().unwrap().spki(), request.key().spki());
}
