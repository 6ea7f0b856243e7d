//! What the programs' token is good for, and what not.

use serde_json::json;
use support::vaulted::SIGNER_POLICY;

use crate::asked::Asked;
use crate::client::Hand;

#[test]
fn the_programs_token_reads_no_secret_enrols_nobody_and_signs_no_other_name() {
    let asked = Asked::new();
    let hand = Hand::of(&asked, &asked.site.vault().token);
    // What it reads enrols and binds nobody.
    let record = hand.ask("GET", "node-tokens/data/n1", None);
    assert_eq!(record.status, 200);
    asked.shows_no_secret(&record.body);
    // Writing, listing, deleting: none of it.
    let data = json!({ "data": { "record": "x" } });
    for (method, path, body) in [
        ("POST", "node-tokens/data/n1", Some(&data)),
        ("POST", "node-tokens/data/n9", Some(&data)),
        ("GET", "node-tokens/metadata?list=true", None),
        ("DELETE", "node-tokens/metadata/n1", None),
        ("GET", "pki/roles/slurm", None),
        ("POST", "pki/roles/slurm", Some(&json!({ "allow_any_name": true }))),
        ("POST", "pki/sign-verbatim", Some(&json!({ "csr": asked.csr }))),
        ("POST", "pki/issue/slurm", Some(&json!({ "common_name": "n1" }))),
        ("POST", "pki/root/generate/internal", Some(&json!({ "common_name": "x" }))),
        ("POST", "sys/policies/acl/slurm-signer", Some(&json!({ "policy": SIGNER_POLICY }))),
        ("POST", "auth/token/create", Some(&json!({ "policies": ["root"] }))),
        ("GET", "sys/mounts", None),
    ] {
        let answer = hand.ask(method, path, body);
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    // Names outside the role.
    for name in ["n2", "slurmctld", "n1.example", "*", "localhost"] {
        let key = support::openssl::new_key("EC", &["ec_paramgen_curve:P-256"]);
        let csr = support::openssl::request(&key, &format!("/CN={name}"), &[]);
        let body = json!({ "csr": csr, "common_name": name, "alt_names": name });
        let answer = hand.ask("POST", "pki/sign/slurm", Some(&body));
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
        assert!(answer.body.contains("not allowed by this role"), "{}", answer.body);
    }
}

#[test]
fn each_of_its_rights_is_needed() {
    for (policy, validates) in [
        ("path \"pki/sign/slurm\" { capabilities = [\"update\"] }", false),
        ("path \"node-tokens/data/*\" { capabilities = [\"read\"] }", true),
    ] {
        let asked = Asked::new();
        asked.site.vault().server.root("POST", "sys/policies/acl/slurm-signer", json!({ "policy": policy }));
        assert_eq!(asked.validate().accepted(), validates, "{policy}");
        asked.sign_fails("does not allow this token");
    }
}
