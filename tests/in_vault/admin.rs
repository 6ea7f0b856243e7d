//! The admin command's own door: enrolling and daemons' pairs take a person's token, not the programs'.

use std::process::{Command, Output};

use serde_json::json;
use support::openssl;
use support::programs::program;
use support::site::Site;

/// What a person who administers may do: records, and daemons' pairs.
const ADMIN_POLICY: &str = r#"
path "pki/sign/slurm-daemons" { capabilities = ["update"] }
path "pki/roles/slurm" { capabilities = ["read", "update"] }
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

/// What renews daemons' pairs, and nothing else.
const DAEMONS_POLICY: &str = r#"path "pki/sign/slurm-daemons" { capabilities = ["update"] }"#;

/// A timer's site: no person's token anywhere, and an AppRole for daemons' pairs alone.
fn unattended() -> Site {
    let mut site = site();
    std::fs::remove_file(site.path(".vault-token")).unwrap();
    let server = &site.vault().server;
    server.root("POST", "sys/policies/acl/slurm-daemons", json!({ "policy": DAEMONS_POLICY }));
    server.root("POST", "sys/auth/approle", json!({ "type": "approle" }));
    let role = json!({ "token_policies": ["slurm-daemons"], "token_ttl": "60s" });
    server.root("POST", "auth/approle/role/slurm-daemons", role);
    let role_id = server.root("GET", "auth/approle/role/slurm-daemons/role-id", json!({}));
    let secret_id = server.root("POST", "auth/approle/role/slurm-daemons/secret-id", json!({}));
    for (key, value) in [("role_id", &role_id), ("secret_id", &secret_id)] {
        let name = format!("daemon_{key}");
        site.write(&name, value["data"][key].as_str().unwrap().as_bytes(), 0o600);
    }
    for key in ["daemon_role_id", "daemon_secret_id"] {
        let file = site.path(key).to_str().unwrap().to_owned();
        site.set("vault", &format!("{key}_file"), file);
    }
    site.write_config();
    site
}

#[test]
fn a_timer_renews_daemons_pairs_with_a_right_to_nothing_else() {
    let site = unattended();
    succeeds(&site, &["cert", "issue", "ctld", "--host", "head"]);
    let (first, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    succeeds(&site, &["cert", "renew", "--force"]);
    let second = site.read("ctld_cert.pem");
    assert!(first != second && key != site.read("ctld_cert_key.pem"));
    openssl::verify(&second, &site.anchors(), "sslserver");
    let requests = site.vault().server.requests();
    assert!(requests.iter().all(|request| !request.contains("pki/issue")), "{requests:?}");
    // Enrolling is a person's.
    let output = slurm_pki(&site, &["node", "add", "n1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(".vault-token: no such file"), "{said}");
}

/// What Vault signs is issued, whoever drops it.
#[test]
fn a_dry_run_of_a_renewal_has_vault_sign_nothing_and_says_what_would_be_done() {
    let site = unattended();
    succeeds(&site, &["cert", "issue", "ctld", "--host", "head"]);
    let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    let (before, ledger) = (site.vault().server.requests().len(), site.ledger().len());
    let said = succeeds(&site, &["cert", "renew", "--force", "--dry-run"]);
    assert!(said.contains("would be renewed"), "{said}");
    let asked = site.vault().server.requests().split_off(before);
    assert!(asked.iter().all(|request| !request.contains("pki/sign")), "{asked:?}");
    assert_eq!(
        (cert, key, ledger),
        (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"), site.ledger().len())
    );
    // With the same words, but for real, it is asked: so the look above sees what it is to see.
    succeeds(&site, &["cert", "renew", "--force"]);
    let asked = site.vault().server.requests().split_off(before);
    assert!(asked.iter().any(|request| request.contains("pki/sign")), "{asked:?}");
}

#[test]
fn setup_makes_the_timers_login_where_the_config_has_one() {
    let mut site = site();
    site.write(".vault-token", site.vault().server.root_token().as_bytes(), 0o600);
    for key in ["daemon_role_id", "daemon_secret_id"] {
        let file = site.path(key).to_str().unwrap().to_owned();
        site.set("vault", &format!("{key}_file"), file);
    }
    site.write_config();
    let said = succeeds(&site, &["vault", "setup", "--ca", "existing", "--dry-run"]);
    assert!(
        said.contains("auth/approle/role/slurm-daemons/secret-id") && !site.path("daemon_role_id").exists()
    );
    succeeds(&site, &["vault", "setup", "--ca", "existing", "--host", "head"]);
    std::fs::remove_file(site.path(".vault-token")).unwrap();
    succeeds(&site, &["cert", "issue", "ctld", "--host", "head"]);
    succeeds(&site, &["cert", "renew", "--force"]);
    // What it got is no more than it needs.
    let said = succeeds(&site, &["vault", "check", "--all"]);
    assert!(said.contains("the login for daemons' pairs has the rights it needs"), "{said}");
}

#[test]
fn a_renewal_that_vault_refuses_leaves_the_old_pair() {
    let site = unattended();
    succeeds(&site, &["cert", "issue", "ctld", "--host", "head"]);
    let (first, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    let nothing = json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" });
    site.vault().server.root("POST", "sys/policies/acl/slurm-daemons", nothing);
    let output = slurm_pki(&site, &["cert", "renew", "--force"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!output.status.success() && said.contains("does not allow this token"), "{said}");
    assert_eq!((first, key), (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem")));
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
