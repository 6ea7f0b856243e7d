//! `slurm-pki init`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use pki::name::REHEARSAL;
use support::programs::program;
use support::slurm::Slurm;
use support::strace;

use crate::scratch::{Scratch, caller, changes, text};

#[test]
fn init_makes_everything_with_its_owner_and_mode() {
    let site = Scratch::new();
    site.init(&[]);
    let slurm = site.slurm_user.1;
    for (path, mode, uid) in [
        ("slurm-pki.toml", 0o644, caller()),
        ("state", 0o755, slurm),
        ("state/ca", 0o700, slurm),
        ("state/tokens", 0o700, slurm),
        ("state/ledger", 0o700, slurm),
        ("state/outgoing", 0o700, slurm),
        ("state/rehearsal", 0o700, slurm),
        ("state/ca/ca_key.pem", 0o400, slurm),
        ("ca_cert.pem", 0o644, caller()),
        ("ctld_cert.pem", 0o644, slurm),
        ("ctld_cert_key.pem", 0o600, slurm),
        ("state/rehearsal/slurm-pki-rehearsal_token.txt", 0o400, slurm),
        ("state/tokens/slurm-pki-rehearsal.json", 0o600, slurm),
    ] {
        site.assert_file(path, mode, uid);
    }
    for (path, _) in site.everything() {
        assert!(!path.to_string_lossy().ends_with(".tmp"), "{}", path.display());
    }
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert_eq!(support::openssl::subject_of_certificate(&site.read("ctld_cert.pem")), "CN=slurmctld");
    assert!(support::openssl::certificate_text(&site.read("ctld_cert.pem")).contains("DNS:h1"));
    assert_eq!(site.issued(), ["slurmctld"]);
}

#[test]
fn a_second_run_replaces_nothing_and_says_what_was_there() {
    let site = Scratch::ready();
    let before = site.everything();
    let (_, said) = site.init(&[]);
    assert_eq!(site.everything(), before);
    assert!(!said.contains("made "), "{said}");
    for path in ["slurm-pki.toml", "state/ca/ca_key.pem", "ca_cert.pem", "ctld_cert.pem"] {
        assert!(said.contains(&format!("there    {}", site.text_path(path))), "{path}: {said}");
    }
}

#[test]
fn a_dry_run_lists_every_file_and_changes_nothing() {
    let site = Scratch::new();
    let before = site.everything();
    let (listed, _) = site.init(&["--daemons", "ctld,dbd,restd", "--intermediate", "--dry-run"]);
    assert_eq!(site.everything(), before);
    assert!(!site.path("state").exists());
    site.init(&["--daemons", "ctld,dbd,restd", "--intermediate"]);
    for (path, _) in site.everything() {
        let name = path.to_str().unwrap();
        let is_by_the_way =
            ["slurm.conf", ".lock", "/ledger/", "/current/"].iter().any(|part| name.contains(part));
        assert!(is_by_the_way || listed.contains(&format!("would make {name} ")), "{name} in:\n{listed}");
    }
}

#[test]
fn dbd_and_restd_get_a_pair_when_asked_for_or_configured() {
    let site = Scratch::ready();
    assert!(!site.path("dbd_cert.pem").exists());
    let config = site.read("slurm-pki.toml") + "\n[daemons.restd]\nvalidity = \"30d\"\n";
    site.write("slurm-pki.toml", &config, 0o644);
    site.init(&["--daemons", "dbd"]);
    site.assert_pair("dbd_cert.pem", "dbd_cert_key.pem");
    site.assert_pair("restd_cert.pem", "restd_cert_key.pem");
    assert_eq!(site.issued(), ["slurmctld", "slurmdbd", "slurmrestd"]);
}

#[test]
fn a_pair_for_a_daemon_of_another_host_is_made_and_said_to_be_none_of_that_host() {
    let site = Scratch::new();
    site.slurm_conf("AccountingStorageHost=db9\n");
    let (_, said) = site.init(&["--daemons", "dbd"]);
    site.assert_pair("dbd_cert.pem", "dbd_cert_key.pem");
    assert!(said.contains("slurmdbd runs on db9 and not on this host: slurm-pki cert renew"), "{said}");
}

#[test]
fn an_intermediate_signs_and_the_roots_key_may_go_offline() {
    let site = Scratch::new();
    let (_, said) = site.init(&["--intermediate"]);
    assert!(said.contains("offline") && said.contains(&site.text_path("state/ca/root_key.pem")), "{said}");
    site.assert_file("state/ca/root_key.pem", 0o400, site.slurm_user.1);
    let chain = site.text_path("ctld_cert.pem");
    let verified = Command::new("openssl")
        .args(["verify", "-CAfile", &site.text_path("ca_cert.pem"), "-untrusted", &chain, &chain])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert_eq!(site.read("ctld_cert.pem").matches("BEGIN CERTIFICATE").count(), 2);
    fs::remove_file(site.path("state/ca/root_key.pem")).unwrap();
    let before = site.everything();
    site.init(&["--intermediate"]);
    assert_eq!(site.everything(), before);
}

#[test]
fn a_pair_that_others_made_stays() {
    let site = Scratch::ready();
    let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    for (name, contents, mode) in [("ctld_cert.pem", &cert, 0o644), ("ctld_cert_key.pem", &key, 0o600)] {
        fs::remove_file(site.path(name)).unwrap();
        site.write(name, contents, mode);
    }
    site.init(&[]);
    assert_eq!(site.read("ctld_cert.pem"), cert);
    assert!(!site.path("ctld_cert.pem").is_symlink());
    fs::remove_file(site.path("ctld_cert_key.pem")).unwrap();
    let said = site.refused(&["init"]);
    assert!(said.contains("not made by slurm-pki") && said.contains("--force"), "{said}");
}

#[test]
fn a_ca_certificate_without_its_key_is_not_replaced() {
    let site = Scratch::ready();
    fs::remove_file(site.path("state/ca/ca_key.pem")).unwrap();
    let before = site.everything();
    assert!(site.refused(&["init"]).contains("slurm-pki ca import"));
    assert_eq!(site.everything(), before);
}

#[test]
fn a_key_without_a_certificate_gets_one() {
    let site = Scratch::ready();
    let key = site.read("state/ca/ca_key.pem");
    fs::remove_file(site.path("ca_cert.pem")).unwrap();
    site.init(&[]);
    assert_eq!(site.read("state/ca/ca_key.pem"), key);
    let public = support::openssl::public_of_certificate(&site.read("ca_cert.pem"));
    assert_eq!(public, support::openssl::public_of_key(&key));
}

#[test]
fn options_that_the_config_contradicts_are_refused() {
    let site = Scratch::ready();
    for (option, value) in [("--cluster", "other"), ("--slurm-user", "other"), ("--state-dir", "/other")] {
        assert!(site.refused(&["init", option, value]).contains(option), "{option}");
    }
    site.done(&["init", "--cluster", "c1"]);
}

#[test]
fn without_slurm_conf_somebody_must_say_who_slurm_user_is() {
    let site = Scratch::new();
    fs::remove_file(site.path("slurm.conf")).unwrap();
    assert!(site.refused(&["init"]).contains("--slurm-user"));
    assert!(!site.path("slurm-pki.toml").exists());
}

#[test]
fn several_controllers_want_state_dir_on_the_file_system_they_share() {
    let site = Scratch::new();
    // /proc is a file system of its own on every Linux.
    site.slurm_conf("SlurmctldHost=h1\nSlurmctldHost=h2\nStateSaveLocation=/proc/nowhere/state\n");
    let state_dir = site.text_path("state");
    let said = site.refused(&["init", "--state-dir", &state_dir]);
    assert!(said.contains("state_dir = \"/proc/nowhere/slurm-pki\""), "{said}");
    assert!(!site.path("slurm-pki.toml").exists() && !site.path("state").exists());
    let shared = site.text_path("shared/state");
    site.slurm_conf(&format!("SlurmctldHost=h1\nSlurmctldHost=h2\nStateSaveLocation={shared}\n"));
    site.init(&[]);
    let names = support::openssl::certificate_text(&site.read("ctld_cert.pem"));
    assert!(names.contains("DNS:h1") && names.contains("DNS:h2"), "{names}");
}

/// The rehearsal node as Slurm plays it: its request is made and signed by the programs, as SlurmUser.
#[test]
fn what_init_makes_is_enough_to_sign_a_request() {
    let site = Scratch::ready();
    let keys = site.path("keys");
    fs::create_dir(&keys).unwrap();
    std::os::unix::fs::chown(&keys, Some(site.slurm_user.1), None).unwrap();
    let config = format!(
        "{}\n[node]\ntoken_file = \"{}/%n_token.txt\"\nkey_dir = \"{}/node\"\n",
        site.read("slurm-pki.toml"),
        site.text_path("state/rehearsal"),
        keys.display()
    );
    site.write("slurm-pki.toml", &config, 0o644);
    let mut slurm = Slurm::bare().with_env("SLURM_PKI_CONF", site.path("slurm-pki.toml"));
    if caller() == 0 {
        slurm = slurm.as_user(site.slurm_user.1, site.slurm_user.1);
    }
    let token = slurm.run(&program("get_node_token"), &[REHEARSAL]).text();
    assert!(slurm.run(&program("validate_node_token"), &[REHEARSAL, &token]).accepted());
    let csr = slurm.run(&program("generate_csr"), &[REHEARSAL]).text();
    let certificate = slurm.run(&program("sign_csr"), &[&csr]).text();
    support::openssl::verify(&certificate, &site.read("ca_cert.pem"), "sslserver");
}

/// Killed in place of every system call that changes a file system, and run again.
#[test]
fn a_killed_run_is_completed_by_the_next_one() {
    let whole = Scratch::new();
    let (calls, output) = strace::trace(&whole.bare(), &program("slurm-pki"), &init_of(&whole));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() > 60, "{} changes", changes.len());
    for call in changes {
        let site = Scratch::new();
        let output =
            strace::strike(&site.bare(), &program("slurm-pki"), &init_of(&site), call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        site.init(&["--intermediate"]);
        assert_whole(&site, &call.text);
    }
}

fn init_of(site: &Scratch) -> [String; 4] {
    ["init".into(), "--intermediate".into(), "--state-dir".into(), site.text_path("state")]
}

#[track_caller]
fn assert_whole(site: &Scratch, after: &str) {
    let slurm = site.slurm_user.1;
    for folder in ["state", "state/ca", "state/tokens", "state/ledger", "state/outgoing", "state/rehearsal"] {
        let uid = fs::metadata(site.path(folder)).unwrap().uid();
        assert_eq!(uid, slurm, "{folder} after a kill at {after}");
    }
    site.assert_file("state/ca/ca_key.pem", 0o400, slurm);
    let ca = site.json(&["ca", "show"], "slurm-pki.ca.show.v1");
    assert_eq!(ca["key"]["belongs"], true, "after a kill at {after}: {ca}");
    let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
    let secret = fs::read(site.path("state/rehearsal/slurm-pki-rehearsal_token.txt")).unwrap();
    let secret = pki::token::NodeSecret::from_token_file(&secret).unwrap();
    let records = fs::read(site.path("state/tokens/slurm-pki-rehearsal.json")).unwrap();
    let records = pki::record::RecordFile::parse(&records).unwrap().records;
    assert!(records.iter().any(|record| record.token == secret.token().digest()), "{after}");
}
