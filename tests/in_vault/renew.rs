//! `slurm-pki vault renew`: tokens in files live on, and one that cannot is told of while there is time.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::programs::program;
use support::site::Site;

use crate::check::{new_token, site};

const HOUR: Duration = Duration::from_secs(3600);

fn renew(site: &Site, more: &[&str]) -> (bool, String) {
    let output = Command::new(program("slurm-pki"))
        .args(["vault", "renew"])
        .args(more)
        .env_clear()
        .env("SLURM_PKI_CONF", site.path("slurm-pki.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(site.read("vault_token").trim()), "a token in {said}");
    (output.status.success(), said)
}

/// What is left to a token.
fn left(site: &Site, token: &str) -> u64 {
    let facts = site.vault().server.root("POST", "auth/token/lookup", json!({ "token": token }));
    facts["data"]["ttl"].as_u64().unwrap()
}

fn token(site: &Site, settings: Value) -> String {
    let mut settings = settings;
    settings["policies"] = json!(["slurm-signer"]);
    new_token(site, &settings)
}

#[test]
fn a_periodic_token_lives_on_and_a_dry_run_leaves_it_alone() {
    let site = site();
    let token = token(&site, json!({ "period": "24h" }));
    site.vault().server.pass(HOUR * 20);
    let (done, said) = renew(&site, &["--dry-run"]);
    assert!(done && said.contains("would be renewed"), "{said}");
    assert!(left(&site, &token) <= 4 * 3600);
    let (done, said) = renew(&site, &[]);
    assert!(done && said.contains("renewed, until"), "{said}");
    assert!(left(&site, &token) > 23 * 3600);
}

#[test]
fn a_token_that_cannot_be_renewed_is_an_error_from_the_first_day() {
    let site = site();
    let _ = token(&site, json!({ "ttl": "720h", "renewable": false }));
    let (done, said) = renew(&site, &[]);
    assert!(!done && said.contains("cannot be renewed") && said.contains("-period=24h"), "{said}");
}

#[test]
fn an_explicit_end_is_told_in_the_last_third_of_a_life_and_not_before() {
    let site = site();
    let long = token(&site, json!({ "ttl": "240h", "explicit_max_ttl": "720h" }));
    let (done, said) = renew(&site, &[]);
    assert!(done, "{said}");
    site.vault().server.pass(HOUR * 239);
    assert!(renew(&site, &[]).0);
    site.vault().server.pass(HOUR * 239);
    let (done, said) = renew(&site, &[]);
    assert!(done && left(&site, &long) > 239 * 3600, "{said}");
    site.vault().server.pass(HOUR * 20);
    let (done, said) = renew(&site, &[]);
    assert!(!done && said.contains("ends for good") && said.contains("slurm-signer"), "{said}");
    // A dry run knows it too.
    assert!(!renew(&site, &["--dry-run"]).0);
}

#[test]
fn the_limit_of_the_server_is_told_when_a_renewal_meets_it() {
    let site = site();
    let _ = token(&site, json!({ "ttl": "600h" }));
    site.vault().server.pass(HOUR * 590);
    let (done, said) = renew(&site, &[]);
    // 32 days are 768 hours: 178 are left, and no renewal makes more of them.
    assert!(!done && said.contains("ends for good"), "{said}");
}

#[test]
fn a_login_that_gets_a_new_token_each_time_needs_no_renewal() {
    let mut site = site();
    site.set("vault", "auth", "approle");
    site.write_config();
    let (done, said) = renew(&site, &[]);
    assert!(done && said.contains("nothing to renew") && said.contains("AppRole"), "{said}");
}

#[test]
fn a_token_that_has_ended_and_a_sealed_server_are_errors() {
    let site = site();
    let _ = token(&site, json!({ "period": "1h" }));
    site.vault().server.seal(true);
    let (done, said) = renew(&site, &[]);
    assert!(!done && said.contains("sealed"), "{said}");
    site.vault().server.seal(false);
    site.vault().server.pass(HOUR * 2);
    let (done, said) = renew(&site, &[]);
    assert!(!done && said.contains("has ended"), "{said}");
}

#[test]
fn the_token_for_daemons_pairs_is_kept_alive_even_when_the_programs_one_is_lost() {
    let mut site = site();
    let made =
        site.vault().server.root("POST", "auth/token/create", json!({ "policies": ["x"], "period": "24h" }));
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    site.write("daemon_token", token.as_bytes(), 0o600);
    let file = site.path("daemon_token").to_str().unwrap().to_owned();
    site.set("vault", "daemon_token_file", file);
    site.write_config();
    site.vault().server.pass(HOUR * 20);
    site.write("vault_token", b"hvs.gone", 0o600);
    let (done, said) = renew(&site, &[]);
    assert!(!done && said.contains("daemon_token_file") && said.contains("has ended"), "{said}");
    assert!(left(&site, &token) > 23 * 3600);
}
