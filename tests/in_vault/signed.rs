//! What comes from Vault is judged before it is printed, and recorded like what is signed here.

use serde_json::json;
use support::openssl;
use support::vaulted::role;

use crate::asked::Asked;

/// The role for n1 with other settings.
fn with_role(asked: &Asked, settings: &[(&str, serde_json::Value)]) {
    let mut role = role(&["n1".to_owned(), "n2".to_owned()]);
    for (name, value) in settings {
        role[*name] = value.clone();
    }
    asked.site.vault().server.root("POST", "pki/roles/slurm", role);
}

#[test]
fn the_ledger_has_vaults_serial_number_and_issuer_and_the_record_is_marked() {
    let asked = Asked::new();
    let certificate = asked.sign().text();
    let serial = openssl::read(&["x509", "-noout", "-serial"], certificate.as_bytes());
    let ledger = asked.site.ledger();
    assert_eq!(ledger.len(), 1);
    let recorded = ledger[0]["serial"].as_str().unwrap();
    assert_eq!(serial.trim().to_lowercase(), format!("serial={recorded}"));
    assert_eq!(ledger[0]["issuer"], format!("CN={}", support::site::CA_NAME));
    let record = ledger[0]["record"].as_str().unwrap();
    assert!(asked.site.path(&format!("state/tokens/n1.{record}.used")).exists());
}

#[test]
fn a_role_of_vaults_own_defaults_serves_when_it_takes_our_kind_of_key() {
    let asked = Asked::new();
    let settings =
        json!({ "allowed_domains": "n1", "allow_bare_domains": true, "key_type": "ec", "max_ttl": "720h" });
    asked.site.vault().server.root("POST", "pki/roles/slurm", settings);
    assert!(asked.sign().answer().is_ok(), "{}", String::from_utf8_lossy(&asked.sign().output));
}

#[test]
fn what_the_plan_does_not_say_is_not_printed() {
    let asked = Asked::new();
    for (settings, words) in [
        (vec![("server_flag", json!(false))], "its usages are not those of a node"),
        (vec![("client_flag", json!(false))], "its usages are not those of a node"),
        (vec![("key_usage", json!(["CertSign", "DigitalSignature"]))], "its usages are not those of a node"),
        (vec![("not_before_duration", json!("-10m"))], "its life is not the planned one"),
    ] {
        with_role(&asked, &settings);
        asked.sign_fails(words);
    }
}

#[test]
fn a_role_that_asks_for_another_kind_of_key_says_so() {
    let asked = Asked::new();
    with_role(&asked, &[("key_type", json!("rsa"))]);
    asked.sign_fails("role requires keys of type rsa");
}

#[test]
fn an_issuer_that_no_host_trusts_is_found_out() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    let other =
        json!({ "common_name": "Other CA", "key_type": "ec", "issuer_name": "other", "ttl": "8760h" });
    server.root("POST", "pki/issuers/generate/root/internal", other);
    with_role(&asked, &[("issuer_ref", json!("other"))]);
    asked.sign_fails("Vault: the certificate that was made is not handed out");
}

#[test]
fn more_names_come_in_any_order_and_with_an_intermediate_the_chain_is_whole() {
    let mut asked = Asked::new();
    let server = &asked.site.vault().server;
    // An intermediate in an engine of its own, as sites have it.
    server.root(
        "POST",
        "sys/mounts/pki_int",
        json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } }),
    );
    let new = json!({ "common_name": "Intermediate", "key_type": "ec", "key_bits": 384 });
    let request = server.root("POST", "pki_int/intermediate/generate/internal", new);
    let signed = json!({ "csr": request["data"]["csr"], "common_name": "Intermediate", "ttl": "8000h" });
    let signed = server.root("POST", "pki/root/sign-intermediate", signed);
    let imported = json!({ "certificate": signed["data"]["certificate"] });
    server.root("POST", "pki_int/intermediate/set-signed", imported);
    let mut settings = role(&["n1".to_owned(), "n1.cluster.example".to_owned(), "a-n1".to_owned()]);
    settings["allow_bare_domains"] = json!(true);
    server.root("POST", "pki_int/roles/slurm", settings);
    let policy = support::vaulted::SIGNER_POLICY.replace("pki/", "pki_int/");
    server.root("POST", "sys/policies/acl/slurm-signer", json!({ "policy": policy }));
    asked.site.set("vault", "pki_mount", "pki_int");
    asked.site.set("controller", "san", json!(["%n", "%n.cluster.example", "a-%n"]));
    asked.site.write_config();
    let printed = asked.sign().text();
    // Leaf first, the intermediate, and not the root, which every host has.
    assert_eq!(printed.matches("-----BEGIN CERTIFICATE-----").count(), 2);
    let anchors = asked.site.anchors();
    asked.site.write("chain.pem", printed.as_bytes(), 0o644);
    asked.site.write("anchors.pem", anchors.as_bytes(), 0o644);
    let path = |name: &str| asked.site.path(name).to_str().unwrap().to_owned();
    let (anchors, chain) = (path("anchors.pem"), path("chain.pem"));
    let verified = openssl::read(&["verify", "-CAfile", &anchors, "-untrusted", &chain, &chain], b"");
    assert!(verified.ends_with("OK\n"), "{verified}");
    let text = openssl::certificate_text(&printed);
    for name in ["DNS:n1,", "DNS:n1.cluster.example", "DNS:a-n1"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}
