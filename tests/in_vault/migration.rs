//! The way from files into Vault and back, step by step as docs/vault.md has it: at each step a node enrols and renews as
//! before, with the secret that it had.

use std::process::{Command, Output};

use serde_json::json;
use support::programs::program;
use support::site::Site;

use crate::bare::Bare;

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

/// With slurmctld's pair in the site's own folder.
fn with_pair(bare: Bare) -> Bare {
    let path = |name: &str| bare.site.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("ctld_cert.pem"), path("ctld_cert_key.pem"));
    bare.with("daemons.ctld", "cert", cert).with("daemons.ctld", "key", key)
}

fn with_places(bare: Bare, signer: &str, store: &str) -> Bare {
    bare.with("controller", "signer", signer).with("controller", "store", store)
}

/// The node takes the secret that the first enrolment left for it, and has a certificate signed for a new key.
#[track_caller]
fn is_served(bare: &Bare, node: &str) {
    let run = |name: &str, argv: &[&str]| bare.site.slurm().run(&program(name), argv);
    let shown = run("get_node_token", &[node]).text();
    assert!(run("validate_node_token", &[node, shown.trim()]).accepted());
    let signed = run("sign_csr", &[&run("generate_csr", &[node]).text()]);
    assert!(signed.answer().is_ok(), "{}", String::from_utf8_lossy(&signed.output));
    let text = signed.text();
    let end = text.find("-----END CERTIFICATE-----\n").unwrap() + 26;
    match text.split_at(end) {
        (leaf, "") => support::openssl::verify(leaf, &bare.site.anchors(), "sslserver"),
        (leaf, chain) => support::openssl::verify_chain(leaf, chain, &bare.site.anchors(), "sslserver"),
    }
}

#[track_caller]
fn add(bare: &Bare, node: &str) {
    bare.succeeds(&["node", "add", node]);
    let secret = std::fs::read(bare.site.path(&format!("state/outgoing/{node}_token.txt"))).unwrap();
    bare.site.write(&format!("node/{node}_token.txt"), &secret, 0o400);
}

#[test]
fn on_a_controller_that_has_nothing_setup_init_and_a_rehearsal_are_all_it_takes() {
    let bare = with_pair(Bare::new());
    bare.fails(&["init"], "its certificate is not here yet");
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    bare.fails(&["init", "--intermediate"], "describe one in files");
    for given in [["--lifetime", "15y"], ["--lifetime", "10y"], ["--key-type", "p256"]] {
        bare.fails(&[&["init"][..], &given].concat(), "describe one in files");
    }
    let signed = |bare: &Bare| {
        bare.server.requests().iter().filter(|one| *one == "POST pki/sign/slurm-daemons").count()
    };
    let said = bare.succeeds(&["init", "--dry-run"]);
    assert!(said.contains("would make the record of slurm-pki-rehearsal in Vault"), "{said}");
    assert_eq!(signed(&bare), 0, "what Vault signs in a dry run is issued all the same");
    assert!(!bare.site.path("ctld_cert.pem").exists() && bare.site.ledger().is_empty());
    bare.succeeds(&["init"]);
    assert_eq!((signed(&bare), bare.site.ledger().len()), (1, 1));
    assert!(!bare.site.path("state/ca/ca_key.pem").exists());
    support::openssl::verify(&bare.site.read("ctld_cert.pem"), &bare.site.anchors(), "sslserver");
    bare.succeeds(&["rehearse"]);
    // A second run replaces nothing.
    let (pair, names) = (bare.site.read("ctld_cert.pem"), bare.names());
    bare.succeeds(&["init"]);
    assert_eq!((signed(&bare), bare.site.read("ctld_cert.pem"), bare.names()), (1, pair, names));
    add(&bare, "n1");
    is_served(&bare, "n1");
}

#[test]
fn the_whole_way_to_vault_and_back_as_it_is_written_down() {
    let bare = with_places(with_pair(Bare::beside_local_ca()), "local", "local");
    bare.server.root(
        "POST",
        "sys/audit/file",
        json!({ "type": "file", "options": { "file_path": "stdout" } }),
    );
    bare.succeeds(&["init"]);
    add(&bare, "n1");
    is_served(&bare, "n1");
    let root = bare.site.anchors();
    // There.
    bare.succeeds(&["vault", "setup", "--ca", "intermediate"]);
    bare.succeeds(&["vault", "copy", "--to", "vault", "--dry-run"]);
    bare.succeeds(&["vault", "copy", "--to", "vault"]);
    assert_eq!(bare.names(), ["n1", "slurm-pki-rehearsal"]);
    bare.succeeds(&["vault", "check", "--all"]);
    let bare = with_places(bare, "local", "vault");
    bare.succeeds(&["rehearse"]);
    is_served(&bare, "n1");
    let bare = with_places(bare, "vault", "vault");
    bare.succeeds(&["rehearse"]);
    is_served(&bare, "n1");
    assert!(bare.succeeds(&["vault", "copy", "--to", "vault"]).contains("2 were there already"));
    bare.succeeds(&["vault", "check", "--all"]);
    assert_eq!(bare.site.anchors(), root, "no host needs another ca_cert");
    // The old ones away; who comes now is enrolled in Vault alone.
    let key = std::fs::read(bare.site.path("state/ca/ca_key.pem")).unwrap();
    std::fs::remove_file(bare.site.path("state/ca/ca_key.pem")).unwrap();
    for node in ["n1", "slurm-pki-rehearsal"] {
        std::fs::remove_file(bare.site.path(&format!("state/tokens/{node}.json"))).unwrap();
    }
    add(&bare, "n2");
    for node in ["n1", "n2"] {
        is_served(&bare, node);
    }
    // And back, in the other order.
    bare.site.write("state/ca/ca_key.pem", &key, 0o400);
    let bare = with_places(bare, "local", "vault");
    bare.succeeds(&["rehearse"]);
    bare.succeeds(&["vault", "copy", "--to", "files"]);
    let bare = with_places(bare, "local", "local");
    bare.succeeds(&["rehearse"]);
    let listed = bare.succeeds(&["node", "list"]);
    assert!(listed.contains("n1") && listed.contains("n2"), "{listed}");
    let before = bare.server.requests().len();
    for node in ["n1", "n2"] {
        is_served(&bare, node);
    }
    assert_eq!(bare.server.requests().len(), before);
}
