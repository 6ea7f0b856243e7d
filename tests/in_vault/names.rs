//! The names in the role, which are those of the enrolled nodes whatever happens; what the policies give and refuse; and
//! the lab's tokens turned into records.

use std::time::Duration;

use serde_json::{Value, json};
use support::openssl;
use support::programs::program;
use vault_stand_in::Fault;

use crate::bare::Bare;

fn set_up() -> Bare {
    let bare = Bare::new();
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    bare
}

/// Enters with a token of this policy from now on.
fn as_person(bare: &Bare, policies: &[&str]) -> String {
    let token = bare.server.root("POST", "auth/token/create", json!({ "policies": policies, "ttl": "1h" }));
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    bare.site.write(".vault-token", token.as_bytes(), 0o600);
    token
}

#[test]
fn add_and_remove_keep_the_roles_names_equal_to_the_enrolled_ones_with_one_write_each() {
    let bare = set_up();
    as_person(&bare, &["slurm-enroller"]);
    let before = bare.server.requests().len();
    bare.succeeds(&["node", "add", "n[1-5]"]);
    let writes = |from: usize| {
        bare.server.requests()[from..].iter().filter(|one| *one == "POST pki/roles/slurm").count()
    };
    assert_eq!(writes(before), 1);
    assert_eq!(bare.names(), ["n1", "n2", "n3", "n4", "n5", "slurm-pki-rehearsal"]);
    let before = bare.server.requests().len();
    bare.succeeds(&["node", "remove", "n[2-4]", "--yes"]);
    assert_eq!(writes(before), 1);
    assert_eq!(bare.names(), ["n1", "n5", "slurm-pki-rehearsal"]);
    // What somebody set in the role besides stays.
    bare.succeeds(&["node", "token", "n1"]);
    assert_eq!(bare.server.root("GET", "pki/roles/slurm", json!({}))["data"]["no_store"], json!(true));
    assert_eq!(bare.names(), ["n1", "n5", "slurm-pki-rehearsal"]);
    bare.succeeds(&["node", "add", "n3"]);
    assert_eq!(bare.names(), ["n1", "n3", "n5", "slurm-pki-rehearsal"]);
}

#[test]
fn names_that_san_makes_of_a_nodes_name_come_and_go_with_it() {
    let bare = Bare::new().with("controller", "san", json!(["%n", "%n.example"]));
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    bare.succeeds(&["node", "add", "n1", "n2"]);
    let rehearsal = ["slurm-pki-rehearsal", "slurm-pki-rehearsal.example"];
    assert_eq!(bare.names(), [&["n1", "n1.example", "n2", "n2.example"][..], &rehearsal].concat());
    bare.succeeds(&["node", "remove", "n1", "--yes"]);
    assert_eq!(bare.names(), [&["n2", "n2.example"][..], &rehearsal].concat());
}

/// A person whose rights end in the middle stands for a command that ends there.
#[test]
fn stopped_between_role_and_records_the_same_command_completes_both() {
    let bare = set_up();
    let root = token_of(&bare);
    let policy = |name: &str, role: &str, records: &str| {
        let text = format!(
            "path \"pki/roles/slurm\" {{ capabilities = [{role}] }}\npath \"node-tokens/data/+\" {{ capabilities = [{records}] }}\n"
        );
        bare.server.root("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": text }));
    };
    policy("role-alone", "\"read\", \"update\"", "\"read\"");
    policy("records-alone", "\"read\"", "\"create\", \"read\", \"update\"");
    let is_enrolled = |node: &str| {
        as_token(&bare, &root);
        let record = bare.succeeds(&["node", "list", "--json"]);
        record.contains(&format!("\"{node}\""))
    };
    // The role is written, the records are not.
    as_person(&bare, &["role-alone"]);
    bare.fails(&["node", "add", "n1"], "does not allow this token to write n1");
    assert_eq!(bare.names(), ["n1", "slurm-pki-rehearsal"]);
    assert!(!is_enrolled("n1"), "a name in the role enrols nobody");
    bare.succeeds(&["node", "add", "n1"]);
    assert!(is_enrolled("n1"));
    assert_eq!(bare.names(), ["n1", "slurm-pki-rehearsal"]);
    // The record is withdrawn, the role still has the name.
    as_person(&bare, &["records-alone"]);
    bare.fails(&["node", "remove", "n1", "--yes"], "does not allow this token to write the role");
    assert_eq!(bare.names(), ["n1", "slurm-pki-rehearsal"]);
    as_token(&bare, &root);
    bare.succeeds(&["node", "remove", "n1", "--yes"]);
    assert_eq!(bare.names(), ["slurm-pki-rehearsal"]);
    // Without the role nobody is enrolled.
    as_person(&bare, &["records-alone"]);
    bare.fails(&["node", "add", "n2"], "does not allow this token to write the role");
    assert!(!is_enrolled("n2"));
}

#[test]
fn of_two_who_change_a_record_at_once_the_second_is_told_and_changes_nothing() {
    let bare = set_up();
    bare.succeeds(&["node", "add", "n1"]);
    let (before, written) = std::thread::scope(|scope| {
        // It has read the record, and waits for the role.
        bare.server.fail("pki/roles/slurm", Fault::Slow(Duration::from_secs(2)), 1);
        let late =
            scope.spawn(|| bare.fails(&["node", "token", "n1"], "somebody else changed the record of n1"));
        let begun = bare.server.requests().len();
        while !bare.server.requests()[begun..].iter().any(|one| one.contains("pki/roles/slurm")) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let record = bare.server.root("GET", "node-tokens/data/n1", json!({}))["data"]["data"].clone();
        bare.server.root("POST", "node-tokens/data/n1", json!({ "data": record }));
        late.join().unwrap();
        (record, bare.server.root("GET", "node-tokens/data/n1", json!({}))["data"]["data"].clone())
    });
    assert_eq!(before, written);
    bare.succeeds(&["node", "token", "n1"]);
    // A record that somebody deleted by hand is no obstacle.
    bare.server.root("DELETE", "node-tokens/data/n1", json!({}));
    bare.succeeds(&["node", "add", "n1"]);
}

#[test]
fn the_programs_login_signs_and_reads_and_can_nothing_else() {
    let bare = set_up();
    bare.succeeds(&["node", "add", "n1"]);
    let ids = |name: &str| bare.site.read(name).trim().to_owned();
    let login = json!({ "role_id": ids("role_id"), "secret_id": ids("secret_id") });
    let token = bare.server.root("POST", "auth/approle/login", login);
    assert_eq!(token["auth"]["policies"], json!(["slurm-signer"]));
    as_token(&bare, token["auth"]["client_token"].as_str().unwrap());
    bare.fails(&["node", "add", "n2"], "does not allow this token");
    bare.fails(&["node", "remove", "n1", "--yes"], "does not allow this token");
    bare.fails(&["cert", "issue", "ctld", "--host", "head"], "does not allow this token");
    bare.fails(&["vault", "setup"], "does not allow this token");
    let capabilities = |paths: &[&str]| -> Value {
        let hand = crate::client::Hand::at(&bare.server, &bare.site.path("vault_ca.pem"), &token_of(&bare));
        let answer = hand.ask("POST", "sys/capabilities-self", Some(&json!({ "paths": paths })));
        serde_json::from_str::<Value>(&answer.body).unwrap()["data"].clone()
    };
    let given = capabilities(&[
        "pki/sign/slurm",
        "node-tokens/data/n1",
        "pki/sign/slurm-daemons",
        "pki/roles/slurm",
        "pki/issue/slurm",
        "pki/sign-verbatim",
        "node-tokens/metadata/",
        "node-tokens/data/a/b",
        "auth/approle/role/slurm-signer/secret-id",
        "auth/approle/role/slurm-signer/role-id",
        "sys/policies/acl/slurm-signer",
        "auth/token/create",
    ]);
    for (path, given) in given.as_object().unwrap() {
        let wanted = match path.as_str() {
            "pki/sign/slurm" => json!(["update"]),
            "node-tokens/data/n1" => json!(["read"]),
            "capabilities" => continue,
            _ => json!(["deny"]),
        };
        assert_eq!(given, &wanted, "{path}");
    }
    // A name outside the role, by the token that may use it.
    let key = openssl::new_key("EC", &["ec_paramgen_curve:P-256"]);
    let csr = openssl::request(&key, "/CN=n9", &[]);
    let hand = crate::client::Hand::at(&bare.server, &bare.site.path("vault_ca.pem"), &token_of(&bare));
    let body = json!({ "csr": csr, "common_name": "n9", "alt_names": "n9" });
    let answer = hand.ask("POST", "pki/sign/slurm", Some(&body));
    assert!(answer.status == 400 && answer.body.contains("not allowed by this role"), "{}", answer.body);
    assert_eq!(hand.ask("POST", "auth/approle/role/slurm-signer/secret-id", Some(&json!({}))).status, 403);
}

#[test]
fn an_enroller_enrols_and_signs_nothing_and_daemons_pairs_take_a_policy_of_their_own() {
    let bare = set_up();
    let token = as_person(&bare, &["slurm-enroller"]);
    bare.succeeds(&["node", "add", "n1"]);
    bare.succeeds(&["node", "list"]);
    let hand = crate::client::Hand::at(&bare.server, &bare.site.path("vault_ca.pem"), &token);
    let key = openssl::new_key("EC", &["ec_paramgen_curve:P-256"]);
    let csr = openssl::request(&key, "/CN=n1", &[]);
    for role in ["slurm", "slurm-daemons"] {
        let body = json!({ "csr": csr, "common_name": "n1" });
        assert_eq!(hand.ask("POST", &format!("pki/sign/{role}"), Some(&body)).status, 403, "{role}");
    }
    let path = bare.site.path("ctld_cert.pem").to_str().unwrap().to_owned();
    let key = bare.site.path("ctld_cert_key.pem").to_str().unwrap().to_owned();
    let bare = bare.with("daemons.ctld", "cert", path).with("daemons.ctld", "key", key);
    bare.fails(&["cert", "issue", "ctld"], "does not allow this token");
    as_person(&bare, &["slurm-daemons"]);
    bare.succeeds(&["cert", "issue", "ctld"]);
    bare.fails(&["cert", "issue", "ctld", "--host", "elsewhere.example"], "not allowed by this role");
}

#[test]
fn tokens_in_clear_become_records_and_nodes_go_on_with_the_tokens_they_have() {
    let bare = set_up();
    let token = "0123456789abcdef0123456789abcdef";
    for node in ["n1", "n2"] {
        bare.server.root("POST", &format!("node-tokens/data/{node}"), json!({ "data": { "token": token } }));
    }
    let plain = bare.with("vault", "kv_plain", true);
    plain.fails(&["node", "import", "--from-vault"], "kv_plain");
    let bare = plain.with("vault", "kv_plain", false);
    let dry = bare.succeeds(&["node", "import", "--from-vault", "--dry-run"]);
    assert!(dry.contains("2 nodes would be imported: n[1-2]"), "{dry}");
    let said = bare.succeeds(&["node", "import", "--from-vault"]);
    assert!(said.contains("2 nodes imported: n[1-2]") && !said.contains(token), "{said}");
    let record = bare.server.root("GET", "node-tokens/data/n1", json!({}))["data"]["data"].clone();
    assert!(record["token"].is_null() && !record.to_string().contains(token), "{record}");
    assert_eq!(bare.names(), ["n1", "n2", "slurm-pki-rehearsal"]);
    bare.site.write("node/n1_token.txt", token.as_bytes(), 0o400);
    let run = |name: &str, argv: &[&str]| bare.site.slurm().run(&program(name), argv);
    assert!(run("validate_node_token", &["n1", token]).accepted());
    let csr = run("generate_csr", &["n1"]).text();
    assert!(run("sign_csr", &[&csr]).answer().is_ok());
    // Again, it finds nothing more to do.
    let said = bare.succeeds(&["node", "import", "--from-vault"]);
    assert!(said.contains("0 nodes imported"), "{said}");
}

fn as_token(bare: &Bare, token: &str) {
    bare.site.write(".vault-token", token.as_bytes(), 0o600);
}

fn token_of(bare: &Bare) -> String {
    bare.site.read(".vault-token")
}
