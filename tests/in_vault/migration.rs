//! The way from files into Vault and back, step by step as docs/vault.md has it: at each step a node enrols and renews as
//! before, with the secret that it had.

use std::process::{Command, Output};

use serde_json::json;
use support::programs::program;
use support::site::Site;

fn slurm_pki(site: &Site, arguments: &[&str]) -> Output {
    Command::new(program("slurm-pki"))
        .args(arguments)
        .env_clear()
        .env("HOME", site.path(""))
        .env("SLURM_PKI_CONF", site.path("slurm-pki.toml"))
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(site: &Site, arguments: &[&str]) -> String {
    let output = slurm_pki(site, arguments);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

fn choose(site: &mut Site, signer: &str, store: &str) {
    site.set("controller", "signer", signer);
    site.set("controller", "store", store);
    site.write_config();
}

#[track_caller]
fn enrols(site: &Site, node: &str) {
    let run = |name: &str, argv: &[&str]| site.slurm().run(&program(name), argv);
    assert!(run("validate_node_token", &[node, &site.token(node)]).accepted());
    let csr = run("generate_csr", &[node]).text();
    let signed = run("sign_csr", &[&csr]);
    assert!(signed.answer().is_ok(), "{}", String::from_utf8_lossy(&signed.output));
}

/// A site whose CA and records are files, and a Vault beside it whose CA the bundle holds too.
fn site() -> Site {
    let mut site = Site::in_vault();
    site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
    let hour = std::time::Duration::from_secs(3600);
    let (now, of_vault) = (support::site::now(), site.anchors());
    let (cert, key) = support::site::new_ca("Local CA", now.minus(hour), now.plus(hour * 24 * 400));
    site.write("ca_cert.pem", (cert + &of_vault).as_bytes(), 0o644);
    site.write("state/ca/ca_key.pem", &key, 0o400);
    site.write(".vault-token", site.vault().server.root_token().as_bytes(), 0o600);
    site.enrol("n1");
    let server = &site.vault().server;
    let record = server.root("GET", "node-tokens/data/n1", json!({}))["data"]["data"]["record"].clone();
    site.write("state/tokens/n1.json", record.as_str().unwrap().as_bytes(), 0o600);
    server.root("DELETE", "node-tokens/metadata/n1", json!({}));
    choose(&mut site, "local", "local");
    site
}

#[test]
fn records_and_ca_go_to_vault_and_come_back_without_a_new_secret_for_anybody() {
    let mut site = site();
    enrols(&site, "n1");
    // There, records first.
    let said = succeeds(&site, &["vault", "copy", "--to", "vault", "--dry-run"]);
    assert!(said.contains("1 nodes would be copied"), "{said}");
    succeeds(&site, &["vault", "copy", "--to", "vault"]);
    assert!(succeeds(&site, &["vault", "copy", "--to", "vault"]).contains("1 were there already"));
    choose(&mut site, "local", "vault");
    let before = site.vault().server.requests().len();
    enrols(&site, "n1");
    assert!(site.vault().server.requests()[before..].iter().any(|r| r == "GET node-tokens/data/n1"));
    choose(&mut site, "vault", "vault");
    enrols(&site, "n1");
    assert!(site.vault().server.requests().contains(&"POST pki/sign/slurm".to_owned()));
    // And back, the CA first.
    choose(&mut site, "local", "vault");
    enrols(&site, "n1");
    std::fs::remove_file(site.path("state/tokens/n1.json")).unwrap();
    succeeds(&site, &["vault", "copy", "--to", "files"]);
    choose(&mut site, "local", "local");
    let before = site.vault().server.requests().len();
    enrols(&site, "n1");
    assert_eq!(site.vault().server.requests().len(), before);
}

#[test]
fn other_records_at_the_other_end_are_not_written_over_unless_that_is_said() {
    let site = site();
    succeeds(&site, &["vault", "copy", "--to", "vault"]);
    let other = json!({ "data": { "record": "{\"v\":1,\"records\":[]}" } });
    site.vault().server.root("POST", "node-tokens/data/n1", other);
    let output = slurm_pki(&site, &["vault", "copy", "--to", "vault"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("left alone: n1") && said.contains("--force"), "{said}");
    succeeds(&site, &["vault", "copy", "--to", "vault", "--force"]);
    assert!(succeeds(&site, &["vault", "copy", "--to", "files"]).contains("1 were there already"));
}
