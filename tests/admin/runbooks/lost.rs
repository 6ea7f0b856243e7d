//! "Restore from a backup" and "The head node is lost".

use serde_json::Value;

use crate::document::blocks;
use crate::head::Head;

/// The commands of the backup and of the restore.
fn backup_and_restore() -> [String; 2] {
    blocks("Restore from a backup").try_into().unwrap()
}

/// The serial numbers in the ledger.
fn recorded(head: &Head) -> Vec<String> {
    let listed: Value = serde_json::from_str(&head.done("slurm-pki ledger list --json")).unwrap();
    let lines = listed["data"].as_array().unwrap();
    lines.iter().map(|line| line["serial"].as_str().unwrap().to_owned()).collect()
}

fn serial(certificate: &str) -> String {
    let line = support::openssl::read(&["x509", "-noout", "-serial"], certificate.as_bytes());
    line.trim().trim_start_matches("serial=").to_lowercase()
}

#[test]
fn a_lost_head_node_comes_back_from_its_backup_and_nodes_go_on() {
    let head = Head::new();
    let ca_cert = head.read("etc/slurm/ca_cert.pem");
    let before = head.starts_under(&ca_cert, "n1");
    let [backup, restore] = backup_and_restore();
    let _ = head.done(&backup);
    head.is_lost();
    assert!(head.starts("n1").is_err(), "nothing is there");
    let _ = head.done(&restore);
    assert_eq!(head.read("etc/slurm/ca_cert.pem"), ca_cert);
    head.assert_owners();
    head.assert_pairs();
    let after = head.starts_under(&ca_cert, "n1");
    let recorded = recorded(&head);
    for certificate in [before, after] {
        assert!(recorded.contains(&serial(&certificate)), "{recorded:?}");
    }
}

#[test]
fn the_backup_holds_no_secret_that_enrols_and_the_cas_key_only_in_its_own_archive() {
    let head = Head::new();
    let _ = head.done("slurm-pki node add n4");
    // What a ResumeProgram hands out, and a change of the JWT key that is under way.
    head.done_by_slurm_user("slurm-pki resume-hook n4");
    let _ = head.read("lib/slurm-pki/resume/n4.yaml");
    let _ = head
        .done("install -d -m 0700 /var/lib/slurm-pki/jwt-key; echo key >/var/lib/slurm-pki/jwt-key/new.key");
    let [backup, _] = backup_and_restore();
    let _ = head.done(&backup);
    let files = |archive: &str| head.done(&format!("tar -tzf {archive}"));
    let (all, ca) = (files("slurm-pki.tar.gz"), files("slurm-pki-ca.tar.gz"));
    assert!(all.contains("/tokens/n4.json\n") && all.contains("/ledger/issued."), "{all}");
    for secret in ["outgoing", "resume", "rehearsal/", "_token.txt", "/ca/", "key.pem", ".key"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    assert!(ca.contains("/ca/ca_key.pem\n") && ca.contains("etc/slurm/ca_cert.pem\n"), "{ca}");
    let modes = head.done("stat -c %a slurm-pki.tar.gz slurm-pki-ca.tar.gz");
    assert_eq!(modes, "600\n600\n");
}

#[test]
fn what_a_restore_undid_is_mended_as_the_runbook_says() {
    let head = Head::new();
    let ca_cert = head.read("etc/slurm/ca_cert.pem");
    let [backup, restore] = backup_and_restore();
    let _ = head.done(&backup);
    let _ = head.done("slurm-pki node remove n2 --yes");
    let _ = head.done("slurm-pki node token n3 --now --yes");
    let _ = head.done("slurm-pki node add n4");
    head.bundle("n4");
    for refused in ["n2", "n3"] {
        assert!(head.starts(refused).is_err(), "{refused}");
    }
    let _ = head.starts_under(&ca_cert, "n4");
    head.is_lost();
    let _ = head.done(&restore);

    let enrolled = head.done("slurm-pki node list --enrolled");
    assert!(enrolled.contains("n2 ") && !enrolled.contains("n4 "), "{enrolled}");
    for back_again in ["n2", "n3"] {
        let _ = head.starts_under(&ca_cert, back_again);
    }
    let _ = head.done("slurm-pki node remove n2 --yes");
    let _ = head.done("slurm-pki node token n3 --now --yes");
    for refused in ["n2", "n3", "n4"] {
        assert!(head.starts(refused).is_err(), "{refused}");
    }
    let _ = head.done("slurm-pki node add n4");
    head.bundle("n[3-4]");
    for mended in ["n3", "n4"] {
        let _ = head.starts_under(&ca_cert, mended);
    }
}

#[test]
fn without_the_cas_key_nodes_keep_their_secrets_under_a_new_ca() {
    let head = Head::new();
    let ca_cert = head.read("etc/slurm/ca_cert.pem");
    let [backup, restore] = backup_and_restore();
    let _ = head.done(&backup);
    head.is_lost();
    let without: Vec<_> = restore.lines().filter(|line| !line.contains("slurm-pki-ca.tar.gz")).collect();
    assert_eq!(without.len() + 1, restore.lines().count());
    let _ = head.done(&without.join("\n"));
    let new = head.read("etc/slurm/ca_cert.pem");
    assert_ne!(new, ca_cert);
    head.assert_owners();
    head.assert_pairs();
    let _ = head.starts_under(&new, "n1");
}

#[test]
fn without_any_backup_nodes_are_enrolled_anew() {
    let head = Head::new();
    head.is_lost();
    let [anew] = blocks("The head node is lost").try_into().unwrap();
    let _ = head.done(&anew);
    head.assert_pairs();
    assert!(head.starts("n1").is_err(), "nobody knows its secret");
    head.bundle("n[001-002]");
    let _ = head.starts_under(&head.read("etc/slurm/ca_cert.pem"), "n002");
}
