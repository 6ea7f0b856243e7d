//! Every fault has a message of its own, comes before Slurm's time is over, and leaves nothing half issued.

use std::time::{Duration, Instant};

use serde_json::json;
use vault_stand_in::{Fault, Listener};

use crate::asked::{Asked, nobody};

/// More tries than anyone makes.
const ALWAYS: u32 = 1000;

/// Both programs, with the fault on what each of them asks for.
#[track_caller]
fn both(fault: &Fault, words: &str) {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.fail("node-tokens/", fault.clone(), ALWAYS);
    asked.validate_fails(words);
    asked.sign_fails(words);
    server.recover();
    server.fail("pki/", fault.clone(), ALWAYS);
    asked.sign_fails(words);
}

#[test]
fn nobody_answers() {
    let asked = Asked::new().with("address", nobody());
    asked.validate_fails("does not answer");
    asked.sign_fails("does not answer");
}

#[test]
fn the_host_is_not_known() {
    Asked::new().with("address", "https://vault.invalid:8200").validate_fails("does not answer");
}

#[test]
fn it_answers_without_tls() {
    let (asked, _server) = Asked::new().through(Listener::Plain, "https");
    asked.validate_fails("answers without TLS");
}

#[test]
fn it_wants_tls_and_the_address_says_http() {
    let asked = Asked::new();
    let plain = asked.site.vault().server.address_as("http");
    asked.with("address", plain).validate_fails("the server wants https://");
}

#[test]
fn plain_http_to_another_host_is_refused_before_anything_is_sent() {
    Asked::new()
        .with("address", "http://192.0.2.1:8200")
        .validate_fails("everybody on the way reads the token");
}

#[test]
fn its_certificate_is_of_another_ca() {
    let (asked, _server) = Asked::new().through(Listener::OtherCa, "https");
    asked.validate_fails("is not of the CA in [vault] ca_cert");
}

#[test]
fn its_certificate_has_expired() {
    let (asked, _server) = Asked::new().through(Listener::Expired, "https");
    asked.validate_fails("has expired");
}

#[test]
fn its_certificate_is_for_another_name() {
    let (asked, _server) = Asked::new().through(Listener::OtherName, "https");
    asked.validate_fails("is for another name");
}

#[test]
fn it_is_sealed() {
    let asked = Asked::new();
    asked.site.vault().server.seal(true);
    asked.validate_fails("Vault is sealed");
    asked.sign_fails("Vault is sealed");
}

#[test]
fn it_is_slow() {
    both(&Fault::Slow(Duration::from_secs(30)), "took too long");
}

#[test]
fn one_deadline_covers_the_record_and_the_signature() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.fail("node-tokens/", Fault::Slow(Duration::from_secs(2)), ALWAYS);
    server.fail("pki/", Fault::Slow(Duration::from_secs(2)), ALWAYS);
    asked.sign_fails("took too long");
}

#[test]
fn it_wants_a_rest_that_nobody_has() {
    both(&Fault::TooMany(60), "wants 60 s of rest");
}

#[test]
fn it_fails() {
    both(&Fault::Status(500, "{\"errors\":[\"internal error\"]}"), "failed with status 500: internal error");
}

#[test]
fn a_gateway_before_it_fails() {
    both(&Fault::Status(502, "<html>Bad Gateway</html>"), "failed with status 502");
}

#[test]
fn a_standby_knows_of_no_leader() {
    let said = "{\"errors\":[\"local node not active but active cluster node not found\"]}";
    both(&Fault::Status(500, said), "no server is active");
}

#[test]
fn it_sends_us_to_plain_http() {
    both(&Fault::Redirect("http://127.0.0.1:1".into()), "another scheme");
}

#[test]
fn it_sends_us_in_circles() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.fail("node-tokens/", Fault::Redirect(server.address()), ALWAYS);
    asked.validate_fails("round in a circle");
}

#[test]
fn its_answer_is_cut_off() {
    both(&Fault::Truncated, "cut off");
}

#[test]
fn its_answer_has_no_end() {
    both(&Fault::Huge, "too long");
}

#[test]
fn something_else_answers() {
    both(&Fault::Page, "not JSON");
}

#[test]
fn it_hangs_up() {
    both(&Fault::Closed, "does not answer");
}

#[test]
fn it_forbids() {
    both(&Fault::Status(403, "{\"errors\":[\"permission denied\"]}"), "does not allow this token");
}

#[test]
fn the_token_has_ended() {
    let asked = Asked::new();
    asked.site.vault().server.pass(Duration::from_secs(25 * 3600));
    asked.validate_fails("or the token has ended");
    asked.sign_fails("or the token has ended");
}

#[test]
fn the_life_is_cut() {
    let asked = Asked::new();
    let vault = asked.site.vault();
    let mut role = support::vaulted::role(&["n1".to_owned()]);
    role["ttl"] = json!("1h");
    role["max_ttl"] = json!("1h");
    vault.server.root("POST", "pki/roles/slurm", role);
    asked.sign_fails("Vault shortened what was asked for: TTL \"167h55m0s\" is longer");
}

#[test]
fn the_name_is_not_in_the_role() {
    let asked = Asked::new();
    asked.site.vault().write_role(&["n2".to_owned()]);
    asked.sign_fails("n1 not allowed by this role");
}

#[test]
fn there_is_no_such_role_or_mount() {
    for (key, words) in [("role", "no such role"), ("pki_mount", "no such engine")] {
        let asked = Asked::new().with(key, "nowhere");
        let root = asked.site.vault().server.root_token();
        asked.with_token(&root).sign_fails(words);
    }
    // A missing engine is never a node that nobody enrolled.
    let asked = Asked::new().with("kv_mount", "nowhere");
    let root = asked.site.vault().server.root_token();
    asked.with_token(&root).validate_fails("no such engine");
}

#[test]
fn a_record_that_is_none_is_not_an_unknown_node() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.root("POST", "node-tokens/data/n1", json!({ "data": { "record": "{}" } }));
    asked.validate_fails("the record of n1 in Vault");
    server.root("POST", "node-tokens/data/n1", json!({ "data": { "other": "x" } }));
    asked.validate_fails("no text in the field record");
    server.root("DELETE", "node-tokens/data/n1", json!({}));
    asked.validate_fails("the node is not enrolled");
}

#[test]
fn the_child_is_missing_or_another_program() {
    let asked = Asked::new();
    let alone =
        support::programs::copy_for_everybody(&support::programs::program("sign_csr"), &asked.site.path(""));
    let run = asked.site.slurm().run(&alone, &[&asked.csr]);
    let said = String::from_utf8(run.output).unwrap();
    assert!(said.contains("there is no ") && said.contains("slurm-pki-signer"), "{said}");
    asked.site.write("slurm-pki-signer", b"#!/bin/sh\necho hello\n", 0o755);
    let run = asked.site.slurm().run(&alone, &[&asked.csr]);
    let said = String::from_utf8(run.output).unwrap();
    assert!(said.contains("slurm-pki-signer cannot be used"), "{said}");
    assert!(asked.site.ledger().is_empty());
}

/// The best of some tries, for a machine that does other things: what counts is when the programs stop waiting.
#[track_caller]
fn is_told_in_four_seconds(fault: &Fault, words: &str) {
    let asked = Asked::new();
    asked.site.vault().server.fail("", fault.clone(), ALWAYS);
    for (name, ask) in [
        ("validate_node_token", &(|| asked.validate_fails(words)) as &dyn Fn()),
        ("sign_csr", &|| asked.sign_fails(words)),
    ] {
        let in_time = (0..3).any(|_| {
            let begun = Instant::now();
            ask();
            begun.elapsed() < Duration::from_secs(4)
        });
        assert!(in_time, "{name}: {words}");
    }
}

#[test]
fn faults_that_are_waited_out_are_told_in_four_seconds() {
    is_told_in_four_seconds(&Fault::Slow(Duration::from_secs(30)), "took too long");
    is_told_in_four_seconds(&Fault::TooMany(1), "of rest");
    is_told_in_four_seconds(
        &Fault::Status(500, "{\"errors\":[\"internal error\"]}"),
        "failed with status 500",
    );
    is_told_in_four_seconds(&Fault::Closed, "does not answer");
}

#[test]
fn a_child_that_hangs_is_stopped_before_slurm_stops_both() {
    let asked = Asked::new();
    let alone =
        support::programs::copy_for_everybody(&support::programs::program("sign_csr"), &asked.site.path(""));
    asked.site.write("slurm-pki-signer", b"#!/bin/sh\nexec sleep 1000\n", 0o755);
    let run = asked.site.slurm().run(&alone, &[&asked.csr]);
    let said = String::from_utf8(run.output.clone()).unwrap();
    assert!(run.raw_status() > 0 && said.contains("took too long"), "{:?} {said}", run.end);
}
