//! `slurm-pki demo`, as a person runs it: it passes on the programs as they are, fails on broken ones, and
//! leaves nothing behind.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod program_folder;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use program_folder::{ProgramFolder, Said};
use serde_json::Value;
use support::openssl;

/// Checks of the site, of every node, of the refusals, and of one client command.
const SITE: usize = 3;
const PER_NODE: usize = 10;
const REFUSALS: usize = 7;
const CLIENT: usize = 3;

#[track_caller]
fn demo(args: &[&str]) -> Said {
    ProgramFolder::as_built().slurm_pki(&[&["demo"], args].concat())
}

#[track_caller]
fn document(said: &Said) -> Value {
    let document: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    assert_eq!(document["schema"], "slurm-pki.demo.v1");
    document["data"].clone()
}

/// The steps that failed, as `part step`.
fn failed(said: &Said) -> Vec<String> {
    let checks = document(said)["checks"].as_array().unwrap().clone();
    let failed = checks.iter().filter(|check| check["passed"] == false);
    failed
        .map(|check| format!("{} {}", check["part"].as_str().unwrap(), check["step"].as_str().unwrap()))
        .collect()
}

#[test]
fn eight_nodes_pass_every_check_and_nothing_is_left_behind() {
    let said = demo(&["--json"]);
    said.must_succeed();
    let outcome = document(&said);
    assert_eq!(outcome["passed"], true);
    assert_eq!(outcome["nodes"], 8);
    assert_eq!(outcome["checks"].as_array().unwrap().len(), SITE + 8 * PER_NODE + REFUSALS + CLIENT);
    assert!(said.left_behind.is_empty(), "{:?}", said.left_behind);
}

#[test]
fn it_works_for_somebody_who_is_not_root() {
    let said = ProgramFolder::as_built().somebody_else().slurm_pki(&["demo", "--nodes", "n[1-2]"]);
    said.must_succeed();
    assert!(said.left_behind.is_empty(), "{:?}", said.left_behind);
}

#[test]
fn it_works_for_a_user_whom_the_host_has_no_name_for() {
    // As in a container that was started with any number.
    let said = ProgramFolder::as_built().run_by_uid(54_321).slurm_pki(&["demo", "--nodes", "n1"]);
    said.must_succeed();
}

#[test]
fn node_names_of_every_legal_shape_play_along() {
    let said = demo(&["--json", "--nodes", "rack[1-2]n[08-11],login-1.cluster.example,_x,0,A.b_c-"]);
    said.must_succeed();
    assert_eq!(document(&said)["nodes"], 12);
}

#[test]
fn a_single_node_has_somebody_to_pose_as_too() {
    for name in ["n1", "other"] {
        let said = demo(&["--json", "--nodes", name]);
        said.must_succeed();
        assert_eq!(document(&said)["checks"].as_array().unwrap().len(), SITE + PER_NODE + REFUSALS + CLIENT);
    }
}

#[test]
fn a_person_sees_each_program_each_node_and_each_refusal() {
    let said = demo(&["--nodes", "n[1-3]"]);
    said.must_succeed();
    for seen in [
        "slurm-pki init",
        "slurm-pki node add n[1-3]",
        "get_node_token n1",
        "generate_csr n1",
        "validate_node_token n1",
        "sign_csr CSR",
        "get_cert_key n1",
        "keygen",
        "certgen KEY",
        "it asks to be a CA (CA:TRUE)",
        "the token is empty",
        "slurmctld is a name that no node may have",
        "43 checks passed on 3 nodes",
    ] {
        assert!(said.stdout.contains(seen), "{seen}: {}", said.stdout);
    }
    assert_eq!(said.stdout.lines().filter(|line| line.starts_with("  n")).count(), 4, "{}", said.stdout);
    assert!(!said.stdout.contains('\x1b'), "colours only on a terminal");
    assert!(said.stderr.is_empty(), "{}", said.stderr);
}

#[test]
fn more_nodes_than_a_screen_holds_get_no_row_each() {
    let said = demo(&["--nodes", "n[01-51]"]);
    said.must_succeed();
    assert!(said.stdout.contains("51 nodes passed every step"), "{}", said.stdout);
    assert!(said.stdout.lines().count() < 50, "{}", said.stdout);
}

#[test]
fn a_kept_site_is_private_and_openssl_agrees_with_it() {
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("site");
    demo(&["--nodes", "n1", "--keep", kept.to_str().unwrap()]).must_succeed();
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o7777, 0o700);
    let read = |name: &str| fs::read_to_string(kept.join(name)).unwrap();
    for purpose in ["sslserver", "sslclient"] {
        openssl::verify(&read("exchange/n1.cert.pem"), &read("ca_cert.pem"), purpose);
    }
    assert!(read("exchange/README").contains("openssl verify"));
    let again = demo(&["--nodes", "n1", "--keep", kept.to_str().unwrap()]);
    again.must_fail("is there already");
}

#[test]
fn a_kept_site_is_one_on_which_a_rehearsal_passes() {
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("site");
    demo(&["--nodes", "n1", "--keep", kept.to_str().unwrap()]).must_succeed();
    let config = kept.join("slurm-pki.toml");
    let folder = ProgramFolder::as_built();
    let said = folder.slurm_pki(&["rehearse", "n1", "--config", config.to_str().unwrap()]);
    said.must_succeed();
    assert!(said.stdout.contains("get_cert_key n1") && said.stdout.contains("sign_csr"), "{}", said.stdout);
}

#[test]
fn a_dry_run_makes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("site");
    demo(&["--dry-run", "--keep", kept.to_str().unwrap()]).must_succeed();
    assert!(!kept.exists());
}

#[test]
fn a_key_of_another_certificate_fails_the_demo() {
    let folder = ProgramFolder::as_built();
    folder.replace_by_text("get_cert_key", &openssl::new_key("EC", &["ec_paramgen_curve:P-256"]));
    let said = folder.slurm_pki(&["demo", "--json", "--nodes", "n[1-2]"]);
    said.must_fail("2 of 23 checks failed");
    assert_eq!(failed(&said), ["enrolment key", "enrolment key"]);
    let shown = folder.slurm_pki(&["demo", "--nodes", "n[1-2]"]);
    assert!(shown.stdout.contains("FAILED"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("PRIVATE KEY"), "{}", shown.stdout);
}

#[test]
fn a_controller_that_takes_any_token_fails_the_demo() {
    let folder = ProgramFolder::as_built();
    folder.replace("validate_node_token", "exit 0");
    let said = folder.slurm_pki(&["demo", "--json", "--nodes", "n1"]);
    said.must_fail("4 of 23 checks failed");
    assert_eq!(failed(&said), ["refusals token"; 4]);
}

#[test]
fn a_refusal_for_another_reason_fails_the_demo() {
    let folder = ProgramFolder::as_built();
    let sign_csr = folder.path().join("sign_csr");
    let real = folder.path().join("real_sign_csr");
    fs::rename(&sign_csr, &real).unwrap();
    // Refuses whatever the real one refuses, but never says why.
    folder.write("sign_csr", &format!("exec {} \"$@\" 2>/dev/null", real.display()));
    let said = folder.slurm_pki(&["demo", "--json", "--nodes", "n1"]);
    assert_eq!(failed(&said), ["refusals request"; 3]);
}

#[test]
fn a_line_on_stderr_spoils_an_answer_as_under_slurm() {
    let folder = ProgramFolder::as_built();
    let real = folder.path().join("real_certgen");
    fs::rename(folder.path().join("certgen"), &real).unwrap();
    folder.write("certgen", &format!("echo warning--: careful >&2; exec {} \"$@\"", real.display()));
    let said = folder.slurm_pki(&["demo", "--json", "--nodes", "n1"]);
    assert_eq!(failed(&said), ["client certgen"]);
}

#[test]
fn a_missing_program_is_named_with_the_way_to_get_it() {
    let folder = ProgramFolder::as_built();
    fs::remove_file(folder.path().join("sign_csr")).unwrap();
    let said = folder.slurm_pki(&["demo"]);
    said.must_fail("there is no sign_csr beside");
    assert!(said.stderr.contains("cargo xtask build"), "{}", said.stderr);
    assert!(said.stdout.is_empty());
}

#[test]
fn a_slurm_conf_does_not_reach_into_a_demo() {
    let folder = ProgramFolder::as_built();
    folder.write_slurm_conf("ClusterName=c1\nSlurmUser=nobody-here\nSlurmctldHost=a\nSlurmctldHost=b\n");
    folder.slurm_pki(&["demo", "--nodes", "n1"]).must_succeed();
}

#[test]
fn names_that_no_node_may_have_are_refused() {
    for name in ["slurmctld", "10.0.0.1", "../x", ""] {
        let said = demo(&["--nodes", name]);
        assert!(!said.status.success() && said.stdout.is_empty(), "{name}: {said:?}");
    }
}

#[test]
fn what_the_caller_left_open_does_not_reach_the_programs() {
    let folder = ProgramFolder::as_built();
    let seen = folder.path().join("seen");
    folder.write("keygen", &format!("ls -l /proc/$$/fd > {}; exit 1", seen.display()));
    let slurm_pki = folder.path().join("slurm-pki");
    let script = format!("exec 9</dev/null; exec {} demo --nodes n1", slurm_pki.display());
    let said = folder.run(Path::new("/bin/sh"), &["-c", &script]);
    said.must_fail("checks failed");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("/dev/null") && !seen.contains(" 9 -> "), "{seen}");
}
