//! `vault setup`: from nothing to a site that serves nodes; again; with every kind of CA; as commands.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::openssl;
use support::programs::program;
use vault_stand_in::Fault;

use crate::bare::Bare;

/// One node through both programs, with the login that setup made.
#[track_caller]
fn serves_a_node(bare: &Bare) -> String {
    bare.succeeds(&["node", "add", "n1"]);
    let waiting = std::fs::read(bare.site.path("state/outgoing/n1_token.txt")).unwrap();
    bare.site.write("node/n1_token.txt", &waiting, 0o400);
    let run = |name: &str, argv: &[&str]| bare.site.slurm().run(&program(name), argv);
    let shown = run("get_node_token", &["n1"]).text();
    assert!(run("validate_node_token", &["n1", shown.trim()]).accepted());
    let csr = run("generate_csr", &["n1"]).text();
    let signed = run("sign_csr", &[&csr]);
    assert!(signed.answer().is_ok(), "{}", String::from_utf8_lossy(&signed.output));
    let certificate = signed.text();
    let end = certificate.find("-----END CERTIFICATE-----\n").unwrap() + 26;
    let (leaf, chain) = certificate.split_at(end);
    if chain.is_empty() {
        openssl::verify(leaf, &bare.site.anchors(), "sslserver");
    } else {
        openssl::verify_chain(leaf, chain, &bare.site.anchors(), "sslserver");
    }
    certificate
}

#[track_caller]
fn changes_nothing(bare: &Bare, arguments: &[&str]) {
    let before = bare.server.requests().len();
    let said = bare.succeeds(arguments);
    assert!(said.contains("nothing to change"), "{said}");
    let asked = bare.server.requests()[before..].to_vec();
    let writes: Vec<_> =
        asked.iter().filter(|one| !one.starts_with("GET") && !one.contains("/login")).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[test]
fn a_root_engines_roles_policies_and_login_are_made_from_nothing_and_serve_nodes() {
    let bare = Bare::new();
    let said = bare.succeeds(&["vault", "setup", "--ca", "root"]);
    assert!(said.contains("c1 Slurm CA") && said.contains("no audit device"), "{said}");
    for file in ["role_id", "secret_id"] {
        let mode = std::fs::metadata(bare.site.path(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o400, "{file}");
    }
    let mount = bare.server.root("GET", "sys/mounts/pki/tune", json!({}));
    assert_eq!(mount["data"]["max_lease_ttl"], json!(humantime::parse_duration("10y").unwrap().as_secs()));
    assert_eq!(bare.names(), ["slurm-pki-rehearsal"]);
    assert_eq!(bare.server.root("GET", "pki/roles/slurm", json!({}))["data"]["no_store"], json!(true));
    serves_a_node(&bare);
    changes_nothing(&bare, &["vault", "setup"]);
    changes_nothing(&bare, &["vault", "setup", "--ca", "root"]);
}

#[test]
fn what_the_server_warns_of_at_a_roles_settings_is_said() {
    let bare = Bare::new();
    bare.server.fail("POST pki/roles/slurm", Fault::Warned("the TTL is longer than the mount's"), 1);
    let output = bare.run(&["vault", "setup", "--ca", "root"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("Vault says: the TTL is longer than the mount's"),
        "{said}"
    );
}

#[test]
fn a_root_and_a_secret_whose_answer_was_lost_are_not_made_twice() {
    let bare = Bare::new();
    let times = |path: &str| {
        let asked = bare.server.requests();
        asked.iter().filter(|one| one.starts_with("POST") && one.contains(path)).count()
    };
    for path in ["pki/root/generate/internal", "auth/approle/role/slurm-signer/secret-id"] {
        bare.server.fail(path, Fault::Lost, 1);
        assert!(!bare.run(&["vault", "setup", "--ca", "root"]).status.success(), "{path}");
        assert_eq!(times(path), 1, "{path}");
    }
    bare.succeeds(&["vault", "setup"]);
    serves_a_node(&bare);
}

#[test]
fn what_is_not_as_wanted_is_set_right_and_said() {
    let bare = Bare::new();
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    bare.succeeds(&["node", "add", "n[1-2]"]);
    let mut role = bare.server.root("GET", "pki/roles/slurm", json!({}))["data"].clone();
    role["allow_any_name"] = json!(true);
    role["allowed_domains"] = json!(["n1", "n2", "slurm-pki-rehearsal", "stranger"]);
    bare.server.root("POST", "pki/roles/slurm", role);
    bare.server.root(
        "POST",
        "sys/policies/acl/slurm-signer",
        json!({ "policy": "path \"*\" { capabilities = [\"read\"] }" }),
    );
    let dry = bare.succeeds(&["vault", "setup", "--dry-run"]);
    assert!(
        dry.contains("allow_any_name true -> false") && dry.contains("vault policy write slurm-signer"),
        "{dry}"
    );
    assert!(bare.names().contains(&"stranger".to_owned()), "a dry run changed the role");
    let said = bare.succeeds(&["vault", "setup"]);
    assert!(
        said.contains("changed  role slurm: ") && said.contains("allow_any_name true -> false"),
        "{said}"
    );
    assert!(
        said.contains("allowed_domains 0 more, 1 less") && said.contains("changed  policy slurm-signer"),
        "{said}"
    );
    assert_eq!(bare.names(), ["n1", "n2", "slurm-pki-rehearsal"]);
    changes_nothing(&bare, &["vault", "setup"]);
    let longer = bare.with("controller", "validity", "200h");
    let said = longer.succeeds(&["vault", "setup"]);
    assert!(said.contains("ttl 604800 -> 720000"), "{said}");
}

#[test]
fn an_intermediate_is_signed_by_the_ca_in_files_and_its_nodes_are_trusted_under_the_old_root() {
    let bare = Bare::beside_local_ca();
    let root = bare.site.read("ca_cert.pem");
    bare.fails(&["vault", "setup", "--ca", "root"], "hosts trust that CA");
    bare.succeeds(&["vault", "setup", "--ca", "intermediate"]);
    assert_eq!(bare.site.read("ca_cert.pem"), root);
    let certificate = serves_a_node(&bare);
    assert_eq!(certificate.matches("BEGIN CERTIFICATE").count(), 2, "the intermediate goes along");
    changes_nothing(&bare, &["vault", "setup"]);
}

#[test]
fn an_intermediate_can_be_signed_elsewhere() {
    let bare = Bare::beside_local_ca();
    let csr = bare.site.path("ca.csr");
    let csr = csr.to_str().unwrap();
    let said = bare.succeeds(&["vault", "setup", "--ca", "intermediate", "--csr", csr]);
    assert!(said.contains("--signed FILE"), "{said}");
    bare.fails(
        &["vault", "setup", "--ca", "intermediate", "--csr", csr],
        "another request would be for another key",
    );
    // By openssl, as a CA of the house would.
    let path = |name: &str| bare.site.path(name).to_str().unwrap().to_owned();
    bare.site.write("ext", b"basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n", 0o600);
    let (root, key, out, ext) =
        (path("ca_cert.pem"), path("state/ca/ca_key.pem"), path("signed.pem"), path("ext"));
    let signed = Command::new("openssl")
        .args([
            "x509", "-req", "-in", csr, "-CA", &root, "-CAkey", &key, "-days", "900", "-out", &out,
            "-extfile", &ext,
        ])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(signed.success());
    bare.succeeds(&["vault", "setup", "--ca", "intermediate", "--signed", &out]);
    serves_a_node(&bare);
}

#[test]
fn an_issuer_that_is_there_is_used_by_its_name() {
    let bare = Bare::new();
    bare.fails(&["vault", "setup"], "has no CA yet");
    bare.fails(&["vault", "setup", "--ca", "existing"], "no issuer default with a key");
    let new = json!({ "common_name": "House CA", "ttl": "87600h", "key_type": "ec", "key_bits": 256, "issuer_name": "house" });
    bare.server.root("POST", "sys/mounts/pki/tune", json!({ "max_lease_ttl": "87600h" }));
    bare.server.root("POST", "pki/root/generate/internal", new);
    bare.fails(
        &["vault", "setup", "--ca", "existing", "--issuer-name", "other"],
        "no issuer other with a key",
    );
    bare.succeeds(&["vault", "setup", "--ca", "existing", "--issuer-name", "house"]);
    assert_eq!(bare.server.root("GET", "pki/roles/slurm", json!({}))["data"]["issuer_ref"], json!("house"));
    serves_a_node(&bare);
    changes_nothing(&bare, &["vault", "setup"]);
}

#[test]
fn a_mount_of_another_kind_and_another_version_are_refused() {
    let bare = Bare::new();
    bare.server.root("POST", "sys/mounts/pki", json!({ "type": "kv" }));
    bare.fails(&["vault", "setup", "--ca", "root"], "an engine of the type kv, not pki");
    let bare = Bare::new();
    bare.server.root(
        "POST",
        "sys/mounts/node-tokens",
        json!({ "type": "kv", "options": { "version": "1" } }),
    );
    bare.fails(&["vault", "setup", "--ca", "root"], "has version 1");
}

#[test]
fn a_login_that_opens_nothing_is_named_and_made_anew_when_asked() {
    let bare = Bare::new();
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    bare.site.write("secret_id", b"00000000-0000-0000-0000-000000000000", 0o600);
    bare.fails(&["vault", "setup"], "no way into Vault");
    bare.succeeds(&["vault", "setup", "--new-login"]);
    serves_a_node(&bare);
}

#[test]
fn with_a_token_file_the_programs_get_a_periodic_token_of_the_signers_policy_alone() {
    let bare = Bare::new().with("vault", "auth", "token-file");
    bare.fails(&["vault", "setup", "--ca", "root"], "token_file is not set");
    let path = bare.site.path("vault_token").to_str().unwrap().to_owned();
    let bare = bare.with("vault", "token_file", path);
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    let token = bare.site.read("vault_token");
    let found = bare.server.root("POST", "auth/token/lookup", json!({ "token": token.trim() }));
    assert_eq!(found["data"]["policies"], json!(["slurm-signer"]));
    assert_eq!(found["data"]["period"], json!(604_800));
    serves_a_node(&bare);
    changes_nothing(&bare, &["vault", "setup"]);
}

#[test]
fn the_timers_login_for_daemons_pairs_is_made_where_the_config_has_files_for_it() {
    let bare = Bare::new();
    let path = |name: &str| bare.site.path(name).to_str().unwrap().to_owned();
    let (role_id, secret_id) = (path("daemon_role_id"), path("daemon_secret_id"));
    let (cert, key) = (path("ctld_cert.pem"), path("ctld_cert_key.pem"));
    let bare =
        bare.with("vault", "daemon_role_id_file", role_id).with("vault", "daemon_secret_id_file", secret_id);
    let bare = bare.with("daemons.ctld", "cert", cert).with("daemons.ctld", "key", key);
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    changes_nothing(&bare, &["vault", "setup"]);
    // No person is needed for a pair then.
    std::fs::remove_file(bare.site.path(".vault-token")).unwrap();
    bare.succeeds(&["cert", "issue", "ctld"]);
    openssl::verify(&bare.site.read("ctld_cert.pem"), &bare.site.anchors(), "sslserver");
}

#[test]
fn a_person_without_the_rights_is_told_what_they_may_not() {
    let bare = Bare::new();
    let token =
        bare.server.root("POST", "auth/token/create", json!({ "policies": ["default"], "ttl": "1h" }));
    bare.site.write(".vault-token", token["auth"]["client_token"].as_str().unwrap().as_bytes(), 0o600);
    bare.fails(&["vault", "setup", "--ca", "root"], "does not allow this token to list what is mounted");
}

/// Runs the printed commands in a real shell with a `vault` that notes what it is called with.
#[test]
fn a_dry_run_prints_commands_that_a_shell_reads_and_changes_nothing() {
    let bare = Bare::new();
    let text = String::from_utf8(
        bare.run(&["vault", "setup", "--ca", "root", "--common-name", "It's $(reboot) CA", "--dry-run"])
            .stdout,
    )
    .unwrap();
    let writes: Vec<_> = bare.server.requests().into_iter().filter(|one| !one.starts_with("GET")).collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert!(!bare.site.path("ca_cert.pem").exists() && !bare.site.path("secret_id").exists());
    std::fs::create_dir(bare.site.path("bin")).unwrap();
    bare.site.write("bin/vault", b"#!/bin/sh\nfor word; do printf '%s\\037' \"$word\"; done >> \"$NOTES\"\nif [ \"$1 $3\" = 'write -' ] || [ \"$1\" = policy ]; then cat >> \"$NOTES\"; fi\nprintf '\\036' >> \"$NOTES\"\necho answer\n", 0o700);
    let script = format!("set -eu\ncd {}\n{text}", bare.site.path("").display());
    let ran = Command::new("sh")
        .args(["-c", &script])
        .env("PATH", format!("{}:/usr/bin:/bin", bare.site.path("bin").display()))
        .env("NOTES", bare.site.path("notes"))
        .output()
        .unwrap();
    assert!(ran.status.success(), "{text}\n{}", String::from_utf8_lossy(&ran.stderr));
    let notes = bare.site.read("notes");
    let calls: Vec<Vec<&str>> = notes
        .split('\u{1e}')
        .filter(|call| !call.is_empty())
        .map(|call| call.split('\u{1f}').collect())
        .collect();
    let begins: Vec<String> = calls.iter().map(|call| call[..call.len() - 1].join(" ")).collect();
    for wanted in [
        "secrets enable -path=pki -description=Slurm -max-lease-ttl=315576000s pki",
        "secrets enable -path=node-tokens -description=Slurm -version=2 kv",
        "write pki/root/generate/internal -",
        "write pki/roles/slurm -",
        "write pki/roles/slurm-daemons -",
        "policy write slurm-signer -",
        "policy write slurm-enroller -",
        "policy write slurm-daemons -",
        "policy write slurm-rollover -",
        "auth enable -path=approle approle",
        "write auth/approle/role/slurm-signer -",
        "write -f -field=secret_id auth/approle/role/slurm-signer/secret-id",
    ] {
        assert!(begins.iter().any(|call| call == wanted), "{wanted} in {begins:#?}");
    }
    // What goes to stdin is what the API takes: set up by hand from it, the server is as setup wants it.
    for (begin, call) in begins.iter().zip(&calls) {
        let words: Vec<&str> = begin.split(' ').collect();
        let input = call[call.len() - 1];
        match words.as_slice() {
            ["write", path, "-"] => {
                let body: Value = serde_json::from_str(input).unwrap();
                if path.contains("root/generate") {
                    assert_eq!(body["common_name"], "It's $(reboot) CA");
                }
                bare.server.root("POST", path, body);
            }
            ["policy", "write", name, "-"] => {
                bare.server.root("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": input }));
            }
            ["secrets", "enable", "-path=pki", ..] => {
                bare.server.root(
                    "POST",
                    "sys/mounts/pki",
                    json!({ "type": "pki", "config": { "max_lease_ttl": "315576000s" } }),
                );
            }
            ["secrets", "enable", ..] => {
                bare.server.root(
                    "POST",
                    "sys/mounts/node-tokens",
                    json!({ "type": "kv", "options": { "version": "2" } }),
                );
            }
            ["auth", "enable", ..] => {
                bare.server.root("POST", "sys/auth/approle", json!({ "type": "approle" }));
            }
            _ => {}
        }
    }
    for left in ["role_id", "secret_id", "ca_cert.pem"] {
        std::fs::remove_file(bare.site.path(left)).unwrap();
    }
    let said = bare.succeeds(&["vault", "setup"]);
    assert!(said.contains("nothing to change"), "{said}");
}
