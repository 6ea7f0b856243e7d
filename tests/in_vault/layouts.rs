//! Where records can lie: version 1 of the engine, folders, the lab's tokens in clear.

use serde_json::json;
use support::programs::program;
use support::site::Site;

use crate::asked::Asked;
use crate::bare::Bare;

#[test]
fn version_one_of_the_engine_serves_too() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    let record = server.root("GET", "node-tokens/data/n1", json!({}))["data"]["data"].clone();
    server.root("POST", "sys/mounts/old", json!({ "type": "kv", "options": { "version": "1" } }));
    server.root("POST", "old/slurm/n1", record);
    let policy = "path \"old/slurm/*\" { capabilities = [\"read\"] }\npath \"pki/sign/slurm\" { capabilities = [\"update\"] }";
    server.root("POST", "sys/policies/acl/slurm-signer", json!({ "policy": policy }));
    let asked = asked.with("kv_version", 1).with("kv_mount", "old").with("kv_path", "slurm/%n");
    assert!(asked.validate().accepted(), "{}", String::from_utf8_lossy(&asked.validate().output));
    assert!(asked.sign().answer().is_ok());
}

#[test]
fn a_lab_with_tokens_in_clear_works_unchanged() {
    let mut site = Site::in_vault();
    let token = "0123456789abcdef0123456789abcdef";
    let server = &site.vault().server;
    server.root("POST", "node-tokens/data/n1", json!({ "data": { "token": token } }));
    site.vault().write_role(&["n1".to_owned(), "slurmctld".to_owned()]);
    site.set("vault", "kv_plain", true);
    site.write_config();
    site.write("node/n1_token.txt", token.as_bytes(), 0o400);
    let run = |name: &str, argv: &[&str]| site.slurm().run(&program(name), argv);
    assert!(run("validate_node_token", &["n1", token]).accepted());
    assert!(!run("validate_node_token", &["n1", "fedcba9876543210fedcba9876543210"]).accepted());
    assert!(!run("validate_node_token", &["n2", token]).accepted());
    let csr = run("generate_csr", &["n1"]).text();
    assert!(run("sign_csr", &[&csr]).answer().is_ok());
    // A reserved name is nobody's, whatever lies there.
    let server = &site.vault().server;
    server.root("POST", "node-tokens/data/slurmctld", json!({ "data": { "token": token } }));
    assert!(!run("validate_node_token", &["slurmctld", token]).accepted());
}

/// A token in clear, in the layout of this version, and the setting for it.
fn in_clear(version: u8) -> Asked {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    let entry = json!({ "token": "0123456789abcdef0123456789abcdef" });
    if version == 2 {
        server.root("POST", "node-tokens/data/n1", json!({ "data": entry }));
        return asked.with("kv_plain", true);
    }
    server.root("POST", "sys/mounts/old", json!({ "type": "kv", "options": { "version": "1" } }));
    server.root("POST", "old/n1", entry);
    let policy = "path \"old/*\" { capabilities = [\"read\"] }";
    server.root("POST", "sys/policies/acl/slurm-signer", json!({ "policy": policy }));
    asked.with("kv_version", 1).with("kv_mount", "old").with("kv_plain", true)
}

#[test]
fn tokens_in_clear_can_lie_in_version_one_too_and_in_a_field_of_any_name() {
    let token = "0123456789abcdef0123456789abcdef";
    let validates = |asked: &Asked, token: &str| {
        asked.site.slurm().run(&program("validate_node_token"), &["n1", token]).accepted()
    };
    let asked = in_clear(1);
    assert!(validates(&asked, token) && !validates(&asked, &token.replace('0', "1")));
    let asked = in_clear(2).with("kv_field", "secret");
    assert!(!validates(&asked, token));
    let entry = json!({ "data": { "secret": token, "token": "f".repeat(32) } });
    asked.site.vault().server.root("POST", "node-tokens/data/n1", entry);
    assert!(validates(&asked, token) && !validates(&asked, &"f".repeat(32)));
}

#[test]
fn a_token_in_clear_that_is_none_is_a_mistake_and_never_accepted() {
    let asked = in_clear(2);
    for (entry, words) in [
        (json!({ "other": "x" }), "no text in the field token"),
        (json!({ "token": 7 }), "no text in the field token"),
        (json!({ "token": "" }), "the token of n1 in Vault"),
        (json!({ "token": "x".repeat(100_000) }), "the token of n1 in Vault"),
    ] {
        asked.site.vault().server.root("POST", "node-tokens/data/n1", json!({ "data": entry }));
        asked.validate_fails(words);
    }
}

#[test]
fn with_tokens_in_clear_nothing_is_written_and_what_to_do_is_said() {
    let bare = Bare::new();
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    let entry = json!({ "data": { "token": "0123456789abcdef0123456789abcdef" } });
    bare.server.root("POST", "node-tokens/data/n1", entry);
    let path = |name: &str| bare.site.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("ctld_cert.pem"), path("ctld_cert_key.pem"));
    let bare = bare.with("daemons.ctld", "cert", cert).with("daemons.ctld", "key", key);
    let bare = bare.with("vault", "kv_plain", true);
    // The names are those of the nodes that have a token.
    bare.succeeds(&["vault", "setup"]);
    let names = bare.names();
    assert_eq!(names, ["n1", "slurm-pki-rehearsal"]);
    for command in [&["node", "add", "n2"][..], &["node", "remove", "n1", "--yes"]] {
        bare.fails(command, "in clear");
        assert_eq!(bare.names(), names, "{command:?}");
    }
    for to in ["vault", "files"] {
        bare.fails(&["vault", "copy", "--to", to], "only records are copied");
    }
    assert!(bare.succeeds(&["init"]).contains("has no node to play"));
    let output = bare.run(&["vault", "check", "--all"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("vault-kv-plain"), "{output:?}");
    let kept = bare.server.root("GET", "node-tokens/data/n1", json!({}));
    assert_eq!(kept["data"]["metadata"]["version"], json!(1));
}

#[test]
fn signer_and_store_are_chosen_each_on_its_own() {
    let mut asked = Asked::new();
    // Records in Vault, the CA here.
    let (cert, key) = support::site::new_ca(
        "Local CA",
        support::site::now().minus(std::time::Duration::from_secs(60)),
        support::site::now().plus(std::time::Duration::from_secs(30 * 86_400)),
    );
    let of_vault = asked.site.anchors();
    asked.site.write("ca_cert.pem", cert.as_bytes(), 0o644);
    asked.site.write("state/ca/ca_key.pem", &key, 0o400);
    asked.site.set("controller", "signer", "local");
    asked.site.write_config();
    assert!(asked.sign().answer().is_ok());
    assert!(asked.site.vault().server.requests().iter().all(|request| !request.contains("pki/")));
    // The CA in Vault, records here.
    asked.site.write("ca_cert.pem", of_vault.as_bytes(), 0o644);
    let record = asked.site.vault().server.root("GET", "node-tokens/data/n1", json!({}));
    let record = record["data"]["data"]["record"].as_str().unwrap().to_owned();
    asked.site.write("state/tokens/n1.json", record.as_bytes(), 0o600);
    asked.site.set("controller", "signer", "vault");
    asked.site.set("controller", "store", "local");
    asked.site.write_config();
    let before = asked.site.vault().server.requests().len();
    assert!(asked.validate().accepted());
    assert_eq!(asked.site.vault().server.requests().len(), before);
    assert!(asked.sign().answer().is_ok());
    assert_eq!(asked.site.vault().server.requests()[before..], ["POST pki/sign/slurm"]);
}
