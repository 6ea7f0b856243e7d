//! `cert list` and `cert needs-renewal`: one pair in each state that it can be in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use support::programs::{copy_for_everybody, program};

use crate::pairs::{self, DAY};
use crate::scratch::{Scratch, caller, text};

/// The pair of slurmctld as `cert list` has it.
#[track_caller]
fn listed(site: &Scratch) -> serde_json::Value {
    let all = site.json(&["cert", "list"], "slurm-pki.cert.list.v1");
    all.as_array().unwrap().iter().find(|pair| pair["section"] == "ctld").cloned().unwrap()
}

/// State, answer of `needs-renewal ctld`, and a word that it says.
#[track_caller]
fn assert_state(site: &Scratch, state: &str, code: i32, said: &str) {
    let pair = listed(site);
    assert_eq!(pair["state"], state, "{pair}");
    let output = site.run(&["cert", "needs-renewal", "ctld"]);
    let whole = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{whole}");
    assert!(whole.contains(said), "{whole}");
}

#[test]
fn a_fresh_pair_is_ok_and_needs_nothing() {
    let site = Scratch::ready();
    assert_state(&site, "ok", 1, "slurmctld: no, it is to be renewed in ");
    let pair = listed(&site);
    assert_eq!(pair["loads"], true);
    assert_eq!(pair["trusted"], true);
    assert_eq!(pair["foreign"], false);
    assert_eq!(pair["leaf"]["subject"], "CN=slurmctld");
    assert!(pair["leaf"]["names"].as_array().unwrap().contains(&"h1".into()));
    let serial =
        support::openssl::read(&["x509", "-noout", "-serial"], site.read("ctld_cert.pem").as_bytes());
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();
    assert_eq!(pair["leaf"]["serial"], serial);
    assert!(site.done(&["cert", "list"]).0.contains("ctld_cert.pem"));
}

#[test]
fn a_pair_is_due_after_its_fraction_of_its_life() {
    let site = pairs::old_site();
    pairs::put(&site, &pairs::aged(&site, 60 * DAY));
    assert_state(&site, "ok", 1, "slurmctld: no");
    pairs::put(&site, &pairs::aged(&site, 67 * DAY));
    assert_state(&site, "due", 0, "slurmctld: yes, due");
    let config = site.read("slurm-pki.toml") + "\n[daemons.ctld]\nrenew_at = 0.8\n";
    site.write("slurm-pki.toml", &config, 0o644);
    assert_state(&site, "ok", 1, "slurmctld: no");
}

#[test]
fn what_no_peer_accepts_needs_a_new_pair() {
    let site = pairs::old_site();
    pairs::put(&site, &pairs::of_another_ca());
    assert_state(
        &site,
        "untrusted",
        0,
        "yes, untrusted: no chain of signatures leads to a certificate in ca_cert",
    );
    let other = pairs::aged(&site, Duration::ZERO);
    pairs::overwrite(&site, ".slurm-pki/ctld/1/key.pem", &other.key);
    assert_state(&site, "broken", 0, "does not belong to the certificate");
    assert_eq!(listed(&site)["loads"], false);
    pairs::overwrite(&site, ".slurm-pki/ctld/1/cert.pem", "half a certif");
    assert_state(&site, "broken", 0, "yes, broken");
}

#[test]
fn an_expired_pair_needs_a_new_one() {
    let site = pairs::old_site();
    pairs::put(&site, &pairs::aged(&site, 101 * DAY));
    assert_state(&site, "expired", 0, "yes, expired: it ended at ");
}

#[test]
fn a_missing_pair_has_an_answer_of_its_own_and_another_that_is_due_outweighs_it() {
    let site = pairs::old_site();
    let config = site.read("slurm-pki.toml") + "\n[daemons.restd]\nvalidity = \"90d\"\n";
    site.write("slurm-pki.toml", &config, 0o644);
    let code = |args: &[&str]| site.run(&[&["cert", "needs-renewal"], args].concat()).status.code();
    assert_eq!(code(&["restd"]), Some(2));
    assert_eq!(code(&[]), Some(2), "restd has a section");
    pairs::put(&site, &pairs::aged(&site, 90 * DAY));
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["ctld", "dbd"]), Some(0));
    assert_eq!(code(&["dbd"]), Some(2));
    let all = site.json(&["cert", "list"], "slurm-pki.cert.list.v1");
    let states: Vec<_> = all.as_array().unwrap().iter().map(|pair| &pair["state"]).collect();
    assert_eq!(states, ["due", "missing"], "dbd has neither pair nor section");
}

#[test]
fn a_pair_that_others_made_is_told_from_ours_and_may_be_due_all_the_same() {
    let site = pairs::old_site();
    pairs::put_as_others_do(&site, &pairs::aged(&site, DAY));
    assert_state(&site, "foreign", 1, "not made by slurm-pki");
    fs::remove_file(site.path("ctld_cert_key.pem")).unwrap();
    assert_state(&site, "broken", 0, "ctld_cert_key.pem");
    site.write("ctld_cert_key.pem", "", 0o600);
    pairs::put_as_others_do(&site, &pairs::aged(&site, 90 * DAY));
    assert_state(&site, "due", 0, "yes, due");
    assert_eq!(listed(&site)["foreign"], true);
}

#[test]
fn trouble_and_wrong_usage_are_never_an_answer() {
    let site = Scratch::ready();
    let code = |args: &[&str]| site.run(args).status.code();
    for args in [
        &["cert", "needs-renewal", "slurmctld"][..],
        &["cert", "needs-renewal", "--no-such"],
        &["cert", "needs-renewal", "--config", "/nowhere.toml"],
        &["--config", "/nowhere.toml", "cert", "needs-renewal"],
    ] {
        assert_eq!(code(args), Some(255), "{args:?}");
    }
    site.write("ca_cert.pem", "nothing", 0o644);
    assert_eq!(code(&["cert", "needs-renewal"]), Some(255), "what hosts trust is not known");
    assert_eq!(code(&["cert", "issue"]), Some(64), "other commands keep theirs");
}

#[test]
fn a_reader_without_rights_gets_the_certificates_facts() {
    // Whoever is not root has nobody else to ask as: a key that its owner may not read does.
    let site = Scratch::ready();
    if caller() != 0 {
        fs::set_permissions(site.path("ctld_cert_key.pem"), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let slurm_pki = copy_for_everybody(&program("slurm-pki"), &site.path("."));
    let as_daemon = |args: &[&str]| {
        let mut command = match caller() {
            0 => Command::new("setpriv"),
            _ => Command::new("env"),
        };
        if caller() == 0 {
            command.args(["--reuid=1", "--regid=1", "--clear-groups"]);
        }
        command.arg(&slurm_pki).args(args);
        command.env("SLURM_CONF", site.path("slurm.conf")).env("SLURM_PKI_CONF", site.path("slurm-pki.toml"));
        command.output().unwrap()
    };
    let output = as_daemon(&["cert", "list", "--json"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let pair = &document["data"][0];
    assert_eq!(pair["state"], "ok");
    assert_eq!(pair["loads"], serde_json::Value::Null);
    assert!(pair["why"].as_str().unwrap().contains("cannot read"), "{pair}");
    assert_eq!(as_daemon(&["cert", "needs-renewal", "ctld"]).status.code(), Some(1));
}
