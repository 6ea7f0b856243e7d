//! The admin command's own door: enrolling and daemons' pairs take a person's token, not the programs'.

use std::process::{Command, Output};

use serde_json::json;
use support::openssl;
use support::programs::program;
use support::site::Site;

/// What a person who administers may do: records, and daemons' pairs.
const ADMIN_POLICY: &str = r#"
path "pki/sign/slurm-daemons" { capabilities = ["update"] }
path "node-tokens/data/*" { capabilities = ["create", "read", "update"] }
path "node-tokens/metadata/*" { capabilities = ["list", "delete"] }
"#;

/// A site in Vault, and a person's token for it in a file of theirs.
fn site() -> Site {
    let mut site = Site::in_vault();
    site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
    let server = &site.vault().server;
    server.root("POST", "sys/policies/acl/slurm-admin", json!({ "policy": ADMIN_POLICY }));
    let token = json!({ "policies": ["slurm-admin"], "ttl": "1h" });
    let token = server.root("POST", "auth/token/create", token);
    site.write(".vault-token", token["auth"]["client_token"].as_str().unwrap().as_bytes(), 0o600);
    // This host's own name is always among a pair's.
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let mut role = support::vaulted::role(&["slurmctld".to_owned(), "head".to_owned(), host]);
    role["ttl"] = json!("8760h");
    role["max_ttl"] = json!("8760h");
    server.root("POST", "pki/roles/slurm-daemons", role);
    let pair = |name: &str| site.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (pair("ctld_cert.pem"), pair("ctld_cert_key.pem"));
    site.set("daemons.ctld", "cert", cert);
    site.set("daemons.ctld", "key", key);
    site.write_config();
    site
}

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

#[test]
fn nodes_are_enrolled_in_vault_and_listed_from_there() {
    let site = site();
    succeeds(&site, &["node", "add", "n[1-3]"]);
    let server = &site.vault().server;
    let record = server.root("GET", "node-tokens/data/n2", json!({}));
    assert!(
        record["data"]["data"]["record"].as_str().unwrap().starts_with("{\"v\":1,\"records\":[{"),
        "{record}"
    );
    assert!(!site.path("state/tokens/n2.json").exists());
    let listed = succeeds(&site, &["node", "list", "--json"]);
    for node in ["n1", "n2", "n3"] {
        assert!(listed.contains(node), "{listed}");
    }
    succeeds(&site, &["node", "remove", "n3", "--yes"]);
    let record = server.root("GET", "node-tokens/data/n3", json!({}));
    assert!(!record["data"]["data"]["record"].as_str().unwrap().contains("\"withdrawn\":null"), "{record}");
}

#[test]
fn a_daemons_pair_is_signed_by_the_role_for_daemons_and_its_key_stays_here() {
    let site = site();
    succeeds(&site, &["cert", "issue", "ctld", "--host", "head"]);
    let certificate = site.read("ctld_cert.pem");
    openssl::verify(&certificate, &site.anchors(), "sslserver");
    assert_eq!(openssl::subject_of_certificate(&certificate), "CN=slurmctld");
    let requests = site.vault().server.requests();
    assert!(requests.contains(&"POST pki/sign/slurm-daemons".to_owned()), "{requests:?}");
    assert!(requests.iter().all(|request| !request.contains("issue")), "{requests:?}");
}

#[test]
fn the_programs_token_does_for_neither() {
    let site = site();
    site.write(".vault-token", site.vault().token.as_bytes(), 0o600);
    for arguments in [&["node", "add", "n1"][..], &["cert", "issue", "ctld", "--host", "head"]] {
        let output = slurm_pki(&site, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains("does not allow this token"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains(&site.vault().token));
    }
    assert!(site.ledger().is_empty());
}
