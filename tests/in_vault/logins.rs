//! The ways in: a token that an agent exchanges, AppRole, a client certificate, a namespace.

use pki::ca::{CaCertificates, LocalCa};
use pki::key::{KeyKind, PrivateKey};
use serde_json::json;
use support::site::{new_ca, now};

use crate::asked::Asked;

#[test]
fn a_token_that_others_can_read_is_not_used() {
    let asked = Asked::new();
    let token = asked.site.vault().token.clone();
    asked.site.write("vault_token", token.as_bytes(), 0o644);
    asked.validate_fails("others can read or change it");
}

#[test]
fn a_token_is_read_anew_at_each_run() {
    let asked = Asked::new().with_token("hvs.no-such-token");
    asked.validate_fails("does not allow this token");
    let token = asked.site.vault().token.clone() + "\n";
    assert!(asked.with_token(&token).validate().accepted());
}

#[test]
fn a_missing_or_empty_token_file_is_named() {
    let asked = Asked::new().with_token("");
    asked.validate_fails("it is not one token on one line");
    std::fs::remove_file(asked.site.path("vault_token")).unwrap();
    let said = String::from_utf8(asked.validate().output).unwrap();
    assert!(said.contains("vault_token: no such file"), "{said}");
}

#[test]
fn approle_gives_a_token_for_each_run() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.root("POST", "sys/auth/approle", json!({ "type": "approle" }));
    let role = json!({ "token_policies": ["slurm-signer"], "token_ttl": "60s" });
    server.root("POST", "auth/approle/role/slurm", role);
    let role_id = server.root("GET", "auth/approle/role/slurm/role-id", json!({}));
    let secret_id = server.root("POST", "auth/approle/role/slurm/secret-id", json!({}));
    let text = |value: &serde_json::Value, name: &str| value["data"][name].as_str().unwrap().to_owned();
    asked.site.write("role_id", text(&role_id, "role_id").as_bytes(), 0o600);
    asked.site.write("secret_id", text(&secret_id, "secret_id").as_bytes(), 0o600);
    let path = |name: &str| asked.site.path(name).to_str().unwrap().to_owned();
    let (role_file, secret_file) = (path("role_id"), path("secret_id"));
    let asked =
        asked.with("auth", "approle").with("role_id_file", role_file).with("secret_id_file", secret_file);
    assert!(asked.validate().accepted(), "{}", String::from_utf8_lossy(&asked.validate().output));
    assert!(asked.sign().answer().is_ok());
    asked.site.write("secret_id", b"00000000-0000-0000-0000-000000000000", 0o600);
    asked.validate_fails("refuses the login by AppRole: invalid role or secret ID");
}

#[test]
fn a_client_certificate_gives_a_token_for_each_run() {
    let asked = Asked::new();
    let (ca_pem, ca_key) = new_ca(
        "Clients",
        now().minus(std::time::Duration::from_secs(60)),
        now().plus(std::time::Duration::from_secs(86_400)),
    );
    let ca = CaCertificates::from_pem(ca_pem.as_bytes(), None).unwrap();
    let ca = LocalCa::new(ca, PrivateKey::from_pem(&ca_key).unwrap()).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let plan = pki::policy::Plan::for_daemon(
        "controller",
        vec!["controller".into()],
        key.public().unwrap(),
        &[],
        hour,
        hour,
        now(),
    );
    let serial = pki::profile::Serial::new(support::site::random());
    let certificate = ca.issue(&plan, serial, now()).unwrap();
    asked.site.write("client.pem", certificate.to_pem().as_bytes(), 0o644);
    asked.site.write("client.key", key.to_pem().expose(), 0o600);
    let server = &asked.site.vault().server;
    server.root("POST", "sys/auth/cert", json!({ "type": "cert" }));
    let role = json!({
        "certificate": ca_pem, "allowed_common_names": "controller", "token_policies": ["slurm-signer"],
        "token_ttl": "60s",
    });
    server.root("POST", "auth/cert/certs/slurm", role);
    let path = |name: &str| asked.site.path(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("client.pem"), path("client.key"));
    let asked = asked.with("auth", "cert").with("cert", cert).with("key", key);
    assert!(asked.validate().accepted(), "{}", String::from_utf8_lossy(&asked.validate().output));
    assert!(asked.sign().answer().is_ok());
    let server = &asked.site.vault().server;
    server.root(
        "POST",
        "auth/cert/certs/slurm",
        json!({ "certificate": ca_pem, "allowed_common_names": "other" }),
    );
    asked.validate_fails("refuses the login by certificate");
}

#[test]
fn everything_can_be_in_a_namespace() {
    let asked = Asked::new().with("namespace", "hpc/slurm");
    asked.site.vault().server.move_to_namespace("hpc/slurm");
    assert!(asked.validate().accepted(), "{}", String::from_utf8_lossy(&asked.validate().output));
    assert!(asked.sign().answer().is_ok());
    asked.with("namespace", "other").validate_fails("no such engine");
}
