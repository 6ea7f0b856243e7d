//! Where records can lie: version 1 of the engine, folders, the lab's tokens in clear.

use serde_json::json;
use support::programs::program;
use support::site::Site;

use crate::asked::Asked;

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
