//! `slurm-pki vault check`: nothing to say of what is well, and one finding, with what to do, for each thing that is not.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::programs::program;
use support::site::{Site, new_ca, now};
use vault_stand_in::Listener;

use crate::asked::nobody;

const HOUR: Duration = Duration::from_secs(3600);

/// A site as `vault setup` leaves it, with one node, and a person's token that may see everything.
pub(crate) fn site() -> Site {
    let mut site = Site::in_vault();
    site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
    site.enrol("n1");
    let vault = site.vault();
    vault.server.root(
        "POST",
        "sys/audit/file",
        json!({ "type": "file", "options": { "file_path": "stdout" } }),
    );
    write_names(&site, &["n1", "slurm-pki-rehearsal"]);
    vault.server.root("POST", "pki/roles/slurm-daemons", support::vaulted::role(&["slurmctld".to_owned()]));
    site.write(".vault-token", vault.server.root_token().as_bytes(), 0o600);
    site.write_config();
    site
}

fn write_names(site: &Site, names: &[&str]) {
    site.vault().write_role(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
}

/// The role with one setting changed.
fn change_role(site: &Site, name: &str, value: Value) {
    let mut role = support::vaulted::role(&["n1".to_owned(), "slurm-pki-rehearsal".to_owned()]);
    role[name] = value;
    site.vault().server.root("POST", "pki/roles/slurm", role);
}

/// Another token for the programs.
pub(crate) fn new_token(site: &Site, settings: &Value) -> String {
    let made = site.vault().server.root("POST", "auth/token/create", settings.clone());
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    site.write("vault_token", token.as_bytes(), 0o600);
    token
}

struct Checked {
    exit: i32,
    document: Value,
}

fn check(site: &Site, command: &[&str]) -> Checked {
    let output = Command::new(program("slurm-pki"))
        .args(command)
        .args(["--json", "--config"])
        .arg(site.path("slurm-pki.toml"))
        .env_clear()
        .env("HOME", site.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout.clone(), output.stderr].concat()).unwrap();
    for secret in [site.vault().server.root_token(), site.vault().token.clone(), site.read("vault_token")] {
        assert!(secret.is_empty() || !said.contains(secret.trim()), "a token in {said}");
    }
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    Checked { exit: output.status.code().unwrap(), document }
}

impl Checked {
    fn findings(&self) -> &[Value] {
        self.document["data"]["findings"].as_array().unwrap()
    }

    fn codes(&self, severity: &str) -> Vec<&str> {
        let all = self.findings().iter().filter(|finding| finding["severity"] == severity);
        all.map(|finding| finding["code"].as_str().unwrap()).collect()
    }
}

#[track_caller]
fn finds(site: &Site, code: &str, severity: &str, words: &str) {
    let checked = check(site, &["vault", "check"]);
    let found = checked.findings().iter().find(|finding| {
        finding["code"] == code
            && finding["severity"] == severity
            && finding["what"].as_str().unwrap().contains(words)
    });
    let found = found.unwrap_or_else(|| panic!("no {code} {severity} {words}: {:#}", checked.document));
    assert!(found["fix"].as_str().unwrap().len() > 20, "{found}");
    assert!(checked.exit == 2 || (checked.exit == 1 && severity == "warning"), "{}", checked.exit);
}

#[test]
fn there_is_nothing_to_say_of_a_good_site_and_all_of_it_was_looked_at() {
    let checked = check(&site(), &["vault", "check"]);
    assert_eq!(checked.exit, 0, "{:#}", checked.document);
    assert_eq!(checked.document["schema"], "slurm-pki.vault.check.v1");
    let codes = checked.codes("ok");
    for code in [
        "vault-certificate",
        "vault-reach",
        "vault-clock",
        "vault-sealed",
        "vault-ha",
        "vault-token",
        "vault-rights",
        "vault-mount",
        "vault-kv-version",
        "vault-audit",
        "vault-role",
        "vault-names",
        "vault-issuer",
        "vault-issuer-expiry",
    ] {
        assert!(codes.contains(&code), "{code}: {:#}", checked.document);
    }
    assert_eq!(checked.document["data"]["not_looked_at"], json!([]));
}

#[test]
fn it_is_a_part_of_the_whole_check() {
    let checked = check(&site(), &["check", "--only", "vault", "--no-rehearsal"]);
    assert_eq!((checked.exit, &checked.document["schema"]), (0, &json!("slurm-pki.check.v1")));
    assert!(checked.codes("ok").contains(&"vault-rights"));
    let site = site();
    site.vault().server.seal(true);
    assert_eq!(check(&site, &["check", "--only", "vault", "--no-rehearsal"]).exit, 2);
    assert!(check(&site, &["check", "--no-rehearsal"]).codes("critical").contains(&"vault-sealed"));
}

#[test]
fn without_a_token_of_ones_own_the_programs_view_is_judged_and_the_rest_named() {
    let site = site();
    std::fs::remove_file(site.path(".vault-token")).unwrap();
    let checked = check(&site, &["vault", "check"]);
    assert_eq!(checked.exit, 0, "{:#}", checked.document);
    assert!(checked.codes("ok").contains(&"vault-kv-version"), "{:#}", checked.document);
    assert!(checked.document["data"]["not_looked_at"][0].as_str().unwrap().contains("vault login"));
}

#[test]
fn a_server_that_cannot_be_used_is_told_from_one_that_is_sealed() {
    let mut site = site();
    site.vault().server.seal(true);
    finds(&site, "vault-sealed", "critical", "sealed");
    site.vault().server.seal(false);
    site.set("vault", "address", nobody());
    site.write_config();
    finds(&site, "vault-reach", "critical", "does not answer");
}

#[test]
fn the_end_of_its_certificate_and_a_clock_that_is_off_are_seen() {
    let mut site = site();
    let other = site.vault().server.beside(Listener::Expired);
    site.write("vault_ca.pem", other.ca().as_bytes(), 0o644);
    let address = site.vault().server.address();
    site.set("vault", "address", other.address());
    site.write_config();
    finds(&site, "vault-certificate", "critical", "expired");
    site.write("vault_ca.pem", site.vault().server.ca().as_bytes(), 0o644);
    site.set("vault", "address", address);
    site.write_config();
    site.vault().server.pass(HOUR);
    finds(&site, "vault-clock", "critical", "ahead of");
}

#[test]
fn a_token_is_judged_by_when_it_dies() {
    let site = site();
    let policies = json!(["slurm-signer"]);
    new_token(&site, &json!({ "policies": ["root"] }));
    finds(&site, "vault-token", "critical", "root token");
    new_token(&site, &json!({ "policies": policies, "ttl": "24h", "num_uses": 50 }));
    finds(&site, "vault-token", "critical", "more uses");
    new_token(&site, &json!({ "policies": policies, "ttl": "24h", "explicit_max_ttl": "24h" }));
    assert_eq!(check(&site, &["vault", "check"]).exit, 0);
    site.vault().server.pass(HOUR * 19);
    finds(&site, "vault-token", "warning", "whatever is done");
    new_token(&site, &json!({ "policies": policies, "period": "24h" }));
    site.vault().server.pass(HOUR * 20);
    finds(&site, "vault-token-renewal", "warning", "the token ends");
    site.vault().server.pass(HOUR * 3);
    finds(&site, "vault-token-renewal", "critical", "the token ends");
    site.vault().server.pass(HOUR * 3);
    finds(&site, "vault-token", "critical", "has ended");
}

#[test]
fn a_right_too_few_and_a_right_too_many_are_told_apart() {
    let site = site();
    let policy = |text: &str| {
        site.vault().server.root("POST", "sys/policies/acl/slurm-signer", json!({ "policy": text }));
    };
    let sign = "path \"pki/sign/slurm\" { capabilities = [\"update\"] }";
    let read = "path \"node-tokens/data/*\" { capabilities = [\"read\"] }";
    policy(sign);
    finds(&site, "vault-rights", "critical", "lacks read at node-tokens/data/slurm-pki-rehearsal");
    policy(read);
    finds(&site, "vault-rights", "critical", "lacks update at pki/sign/slurm");
    for (more, words) in [
        ("path \"pki/sign/*\" { capabilities = [\"update\"] }", "update at pki/sign/slurm-daemons"),
        ("path \"pki/roles/*\" { capabilities = [\"read\"] }", "read at pki/roles/slurm"),
        ("path \"node-tokens/metadata/*\" { capabilities = [\"list\"] }", "list at node-tokens/metadata/"),
        ("path \"auth/token/create\" { capabilities = [\"update\"] }", "update at auth/token/create"),
        ("path \"sys/policies/acl/*\" { capabilities = [\"update\"] }", "update at sys/policies/acl/"),
    ] {
        policy(&format!("{sign}\n{read}\n{more}"));
        finds(&site, "vault-rights-many", "warning", words);
    }
}

#[test]
fn engines_of_another_kind_or_version_and_a_server_without_audit_are_named() {
    let mut site = site();
    site.set("vault", "kv_version", 1);
    site.write_config();
    finds(&site, "vault-kv-version", "critical", "kv_version is 1");
    site.set("vault", "kv_version", 2);
    site.set("vault", "pki_mount", "node-tokens");
    site.write_config();
    finds(&site, "vault-mount", "critical", "not pki");
    site.set("vault", "pki_mount", "nowhere");
    site.write_config();
    finds(&site, "vault-mount", "critical", "nothing is mounted at nowhere");
    site.set("vault", "pki_mount", "pki");
    site.write_config();
    site.vault().server.root("DELETE", "sys/audit/file", json!({}));
    finds(&site, "vault-audit", "warning", "no audit device");
}

#[test]
fn a_role_that_is_wider_than_the_policy_or_of_no_use_is_named() {
    let site = site();
    for (name, value, severity) in [
        ("allow_any_name", json!(true), "critical"),
        ("allow_wildcard_certificates", json!(true), "critical"),
        ("client_flag", json!(false), "critical"),
        ("max_ttl", json!("1h"), "critical"),
        ("no_store", json!(false), "warning"),
        ("not_before_duration", json!("30s"), "warning"),
    ] {
        let mut role = support::vaulted::role(&["n1".to_owned(), "slurm-pki-rehearsal".to_owned()]);
        role["ttl"] = json!("1h");
        role[name] = value;
        site.vault().server.root("POST", "pki/roles/slurm", role);
        finds(&site, "vault-role", severity, name);
    }
    change_role(&site, "key_type", json!("ec"));
    finds(&site, "vault-role", "critical", "rsa key");
    site.vault().server.root("DELETE", "pki/roles/slurm", json!({}));
    finds(&site, "vault-role", "critical", "has no role slurm");
}

#[test]
fn names_on_one_side_only_are_listed() {
    let site = site();
    write_names(&site, &["slurm-pki-rehearsal"]);
    finds(&site, "vault-names", "critical", "get no certificate: n1");
    write_names(&site, &["n1", "n9", "slurm-pki-rehearsal"]);
    finds(&site, "vault-names", "warning", "not enrolled: n9");
}

#[test]
fn a_ca_that_no_host_trusts_is_named() {
    let site = site();
    let (other, _) = new_ca("Other", now().minus(HOUR), now().plus(HOUR * 24 * 400));
    site.write("ca_cert.pem", other.as_bytes(), 0o644);
    finds(&site, "vault-issuer", "critical", "is not trusted by ca_cert");
}

#[test]
fn a_wrong_command_line_is_unknown_to_a_monitor() {
    let output = Command::new(program("slurm-pki")).args(["vault", "check", "--nonsense"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn status_has_a_row_for_it() {
    let site = site();
    let status = |more: &[&str]| {
        let mut command = Command::new(program("slurm-pki"));
        command.arg("status").args(more).env_clear().env("HOME", site.path(""));
        let output = command.env("SLURM_PKI_CONF", site.path("slurm-pki.toml")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let document: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    let vault = &document["data"]["vault"];
    assert_eq!((&vault["sealed"], &vault["address"]), (&json!(false), &json!(site.vault().server.address())));
    assert!(vault["token_ends"].is_string() || vault["token_ends"].is_number(), "{vault}");
    assert!(document["data"]["next"].to_string().contains("the programs' token"), "{document:#}");
    site.vault().server.seal(true);
    let shown = status(&[]);
    assert!(shown.contains("SEALED"), "{shown}");
}
