//! sign_csr: issued means recorded.

use pki::csr::Csr;
use pki::standing::Mark;
use pki::x509::X509;
use serde_json::Value;
use support::bound_request::bound_request;
use support::request::Request;
use support::site::{Site, now};
use support::strace::Call;

use crate::scene::Scene;
use crate::strikes::{Struck, fail_each_call, kill_at_each_call};

fn first_certificate() -> Scene {
    let mut site = Site::new();
    let secret = site.enrol("n1");
    Scene::new(site, "sign_csr", &[&bound_request(&secret, "n1")])
}

fn renewal() -> Scene {
    let scene = first_certificate();
    assert!(scene.run().status.success());
    let request = bound_request(scene.site.secret("n1"), "n1");
    Scene::new(scene.site, "sign_csr", &[&request])
}

/// The ledger's last line was cut short.
fn after_a_torn_line() -> Scene {
    let scene = renewal();
    let (path, contents) = ledger_file(&scene);
    let torn = [contents.as_slice(), &contents[..contents.len() / 2]].concat();
    std::fs::write(path, torn).unwrap();
    scene
}

/// A node that so far sent unbound requests only: its mark is to be replaced.
fn first_bound_certificate() -> Scene {
    let mut scene = first_certificate();
    scene.site.set("controller", "bind", "warn");
    scene.site.write_config();
    let unbound = Request::new().cn(b"n1").pem();
    assert!(scene.run_other("sign_csr", &[unbound.into()]).status.success());
    scene
}

#[test]
fn killed_at_a_first_certificate_whatever_was_printed_is_in_the_ledger() {
    kill_at_each_call(first_certificate, check);
}

#[test]
fn killed_at_a_renewal_whatever_was_printed_is_in_the_ledger() {
    kill_at_each_call(renewal, check);
}

#[test]
fn killed_after_a_torn_line_every_line_after_it_is_whole() {
    kill_at_each_call(after_a_torn_line, check);
}

#[test]
fn killed_while_it_replaces_a_mark_the_old_or_the_new_one_is_there() {
    kill_at_each_call(first_bound_certificate, |struck| {
        assert_eq!(struck.scene.files().ending(".used").count(), 1);
        check(struck);
    });
}

#[test]
fn a_failing_disk_is_said_and_no_first_certificate_is_printed() {
    fail_each_call(first_certificate, may_fail, check);
}

#[test]
fn a_failing_disk_is_said_and_no_renewal_is_printed() {
    fail_each_call(renewal, may_fail, check);
    fail_each_call(after_a_torn_line, may_fail, check);
}

#[test]
fn a_failing_disk_under_a_mark_is_said_and_no_certificate_is_printed() {
    fail_each_call(first_bound_certificate, may_fail, check);
}

/// Wiping argv, what can be rebuilt from the ledger (and the way to the folder that this is made in), and the second name of a file that is in place.
fn may_fail(call: &Call) -> bool {
    let of_last = |call: &Call| {
        call.mentions("/ledger/last") || (call.mentions("/ledger\"") && call.mentions("O_PATH"))
    };
    call.mentions("/proc/") || of_last(call) || call.is_one_of(&["unlink", "unlinkat"])
}

#[track_caller]
fn check(struck: &Struck<'_>) {
    let scene = struck.scene;
    let after = scene.files();
    let own = |path: &str| {
        path.starts_with("state/ledger/") || path.ends_with(".used") || path.contains("/tokens/.n1.")
    };
    after.assert_unchanged_since(struck.before, own);
    after.assert_leftovers_are_private();
    for (path, mark) in after.ending(".used") {
        assert!(Mark::parse(&mark.contents).is_some(), "{}", path.display());
    }
    for (path, last) in after.ending("last/n1.json") {
        assert!(serde_json::from_slice::<Value>(&last.contents).is_ok(), "{}", path.display());
    }
    let recorded = added_lines(&struck.before.text(".jsonl"), &after.text(".jsonl"));
    assert!(recorded.len() <= 1, "{recorded:?}");
    assert_recorded(scene, &struck.output.stdout, &recorded);
    let next = scene.run();
    assert!(next.status.success(), "{}", String::from_utf8_lossy(&next.stderr));
    let recorded = added_lines(&after.text(".jsonl"), &scene.files().text(".jsonl"));
    assert_eq!(recorded.len(), 1);
    assert!(!next.stdout.is_empty());
    assert_recorded(scene, &next.stdout, &recorded);
}

/// The lines that came. The ledger only grows, and a line that was cut short is closed first.
#[track_caller]
fn added_lines(before: &str, after: &str) -> Vec<Value> {
    let added = after.strip_prefix(before).expect("the ledger only grows");
    let torn = !before.is_empty() && !before.ends_with('\n');
    let lines = match added {
        "" => return Vec::new(),
        added if torn => added.strip_prefix('\n').expect("a torn line is closed"),
        added => added,
    };
    assert!(lines.ends_with('\n'), "{lines}");
    lines.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

/// What was printed is a whole certificate for this request, its line is there, and so is the mark.
#[track_caller]
fn assert_recorded(scene: &Scene, printed: &[u8], recorded: &[Value]) {
    let request = Csr::parse(scene.argv[0].as_encoded_bytes()).unwrap();
    for line in recorded {
        assert_eq!(line["spki_sha256"], request.key().fingerprint());
        assert_eq!(line["node"], "n1");
    }
    if printed.is_empty() {
        return;
    }
    let certificates = X509::all_from_pem(printed, printed.len()).expect("whole certificates");
    let leaf = certificates[0].facts();
    assert_eq!(leaf.spki, request.key().spki());
    assert!(leaf.not_after > now());
    assert!(recorded.iter().any(|line| line["serial"] == *leaf.serial), "{recorded:?}");
    let marks: Vec<_> = scene.files().ending(".used").map(|(_, mark)| Mark::parse(&mark.contents)).collect();
    assert!(matches!(marks.as_slice(), [Some(Mark { bound: Some(_), .. })]), "{marks:?}");
}

fn ledger_file(scene: &Scene) -> (std::path::PathBuf, Vec<u8>) {
    let files = support::site::files_below(&scene.site.path("state/ledger"));
    files.into_iter().find(|(path, _)| path.extension().is_some_and(|end| end == "jsonl")).unwrap()
}
