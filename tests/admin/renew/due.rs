//! What is renewed, and what is not.

use std::time::Duration;

use pki::x509::X509;
use support::openssl;
use support::site::{new_ca, now};

use crate::pairs::{DAY, aged, overwrite, put};
use crate::scratch::{Scratch, caller};
use crate::site::{assert_loads, configure, due, files, fresh, here};

fn leaf(site: &Scratch) -> X509 {
    X509::all_from_pem(site.read("ctld_cert.pem").as_bytes(), 99_999).unwrap().remove(0)
}

#[test]
fn nothing_that_is_not_due_is_touched() {
    let site = fresh();
    let before = files(&site);
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(said.starts_with("slurmctld: not due before "), "{said}");
    assert_eq!(files(&site), before);
    let outcome = site.json(&["cert", "renew"], "slurm-pki.cert.renew.v1");
    assert_eq!((&outcome[0]["daemon"], &outcome[0]["result"]), (&"slurmctld".into(), &"not-due".into()));
    assert!(outcome[0]["due"].as_i64().unwrap() > now().0);
}

#[test]
fn what_is_due_gets_a_new_pair_with_a_new_key_through_the_same_links() {
    let site = due();
    let (old, old_key) = (leaf(&site), site.read("ctld_cert_key.pem"));
    let outcome = site.json(&["cert", "renew"], "slurm-pki.cert.renew.v1");
    assert_eq!(outcome[0]["result"], "renewed");
    assert!(outcome[0]["why"].as_str().unwrap().contains("to be renewed from"), "{outcome}");
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    let new = leaf(&site);
    assert_ne!(new.facts().spki, old.facts().spki);
    assert_ne!(new.facts().serial, old.facts().serial);
    assert_eq!(outcome[0]["not_after"], new.facts().not_after.0);
    assert_eq!(site.read(".slurm-pki/ctld/1/key.pem"), old_key, "the pair before stays, to go back to");
    assert_eq!(site.issued().last().unwrap(), "slurmctld");
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(said.contains("not due before"), "{said}");
}

#[test]
fn owner_mode_names_and_kind_of_key_stay_as_they_are() {
    let site = fresh();
    site.done(&["cert", "issue", "ctld", "--host", "h9.example.org", "--key-type", "p384"]);
    site.write(".slurm-pki/ctld/2/key.pem", &site.read("ctld_cert_key.pem"), 0o640);
    site.done(&["cert", "renew", "--force"]);
    site.assert_file("ctld_cert_key.pem", 0o640, site.slurm_user.1);
    site.assert_file("ctld_cert.pem", 0o644, site.slurm_user.1);
    let text = openssl::certificate_text(&site.read("ctld_cert.pem"));
    assert!(text.contains("DNS:h9.example.org") && text.contains("P-384"), "{text}");
}

#[test]
fn a_key_that_all_could_read_is_followed_by_one_that_they_cannot() {
    let site = fresh();
    site.write(".slurm-pki/ctld/1/key.pem", &site.read("ctld_cert_key.pem"), 0o644);
    site.done(&["cert", "renew", "--force"]);
    site.assert_file("ctld_cert_key.pem", 0o640, site.slurm_user.1);
}

#[test]
fn force_renews_what_is_not_due_and_only_what_is_named() {
    let site = fresh();
    site.done(&["cert", "issue", "dbd"]);
    let (ctld, dbd) = (site.read("ctld_cert.pem"), site.read("dbd_cert.pem"));
    site.done(&["cert", "renew", "dbd", "--force"]);
    assert_eq!(site.read("ctld_cert.pem"), ctld);
    assert_ne!(site.read("dbd_cert.pem"), dbd);
    site.assert_pair("dbd_cert.pem", "dbd_cert_key.pem");
    site.done(&["cert", "renew", "--only", "ctld,dbd", "--force"]);
    assert_ne!(site.read("ctld_cert.pem"), ctld);
    assert!(site.refused(&["cert", "renew", "restd"]).contains("slurm-pki cert issue restd"));
    assert_eq!(site.run(&["cert", "renew", "restd", "--only", "ctld"]).status.code(), Some(64));
}

#[test]
fn a_pair_that_is_gone_or_damaged_is_made_anew() {
    let site = fresh();
    site.write(".slurm-pki/ctld/1/key.pem", "no key", 0o600);
    let outcome = site.json(&["cert", "renew"], "slurm-pki.cert.renew.v1");
    assert_eq!(outcome[0]["result"], "renewed");
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    std::fs::remove_dir_all(site.path(".slurm-pki")).unwrap();
    site.done(&["cert", "renew"]);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    site.assert_file("ctld_cert_key.pem", 0o600, site.slurm_user.1);
}

#[test]
fn a_section_in_the_config_asks_for_a_pair() {
    let site = fresh();
    configure(&site, "[daemons.restd]\n");
    site.done(&["cert", "renew"]);
    site.assert_pair("restd_cert.pem", "restd_cert_key.pem");
}

#[test]
fn after_a_change_of_the_ca_what_the_old_one_signed_is_renewed_though_hosts_trust_it() {
    let site = fresh();
    let (root, key) = new_ca("New CA", now().minus(DAY), now().plus(400 * DAY));
    overwrite(&site, "ca_cert.pem", &format!("{}{root}", site.read("ca_cert.pem")));
    overwrite(&site, "state/ca/ca_key.pem", std::str::from_utf8(&key).unwrap());
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(said.contains("it was issued by CN=Old CA"), "{said}");
    assert_eq!(leaf(&site).facts().issuer, "CN=New CA");
    site.done(&["cert", "renew"]);
    assert!(!site.path(".slurm-pki/ctld/3").exists());
}

#[test]
fn a_ca_that_ends_no_later_than_the_pair_is_not_asked_at_every_run() {
    let site = fresh();
    let (root, key) = new_ca("Short CA", now().minus(100 * DAY), now().plus(DAY));
    overwrite(&site, "ca_cert.pem", &root);
    overwrite(&site, "state/ca/ca_key.pem", std::str::from_utf8(&key).unwrap());
    put(&site, &aged(&site, 99 * DAY));
    let before = files(&site);
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(said.contains("due, and not renewed") && said.contains("rollover"), "{said}");
    assert_eq!(files(&site), before);
    site.done(&["cert", "renew", "--force"]);
    assert!(leaf(&site).facts().not_after <= now().plus(DAY), "never past the CA's end");
}

#[test]
fn an_expired_ca_is_said_and_the_pair_stays() {
    let site = due();
    let (root, key) = new_ca("Old CA", now().minus(100 * DAY), now().minus(DAY));
    overwrite(&site, "ca_cert.pem", &root);
    overwrite(&site, "state/ca/ca_key.pem", std::str::from_utf8(&key).unwrap());
    let before = files(&site);
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("the CA expired at") && said.contains("docs/operations.md"), "{said}");
    assert_eq!(files(&site), before);
}

/// Made while the clock was ahead: no peer accepts it until then.
#[test]
fn a_pair_from_the_future_is_renewed() {
    let site = fresh();
    put(&site, &aged(&site, Duration::ZERO));
    let (root, key) = new_ca("Old CA", now().minus(DAY), now().plus(900 * DAY));
    overwrite(&site, "ca_cert.pem", &root);
    overwrite(&site, "state/ca/ca_key.pem", std::str::from_utf8(&key).unwrap());
    put(&site, &crate::pairs::begun_in(&site, 30 * DAY));
    site.done(&["cert", "renew"]);
    assert!(leaf(&site).facts().not_before <= now());
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn a_clock_that_is_far_behind_is_said_and_the_pair_stays() {
    let site = due();
    let (root, key) = new_ca("Old CA", now().plus(DAY), now().plus(900 * DAY));
    overwrite(&site, "ca_cert.pem", &root);
    overwrite(&site, "state/ca/ca_key.pem", std::str::from_utf8(&key).unwrap());
    let before = files(&site);
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("begins only at") && said.contains("set this host's clock"), "{said}");
    assert_eq!(files(&site), before);
}

#[test]
fn a_slip_in_slurm_conf_is_a_failure_that_keeps_no_pair_of_this_host_from_being_renewed() {
    let site = due();
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-\n");
    let old = site.read("ctld_cert.pem");
    let output = site.run(&["cert", "renew"]);
    assert_eq!(output.status.code(), Some(1));
    assert_ne!(site.read("ctld_cert.pem"), old);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn a_dry_run_says_what_is_due_and_changes_nothing_at_all() {
    let site = due();
    let before = site.everything();
    let (said, _) = site.done(&["cert", "renew", "--dry-run"]);
    assert!(said.starts_with("slurmctld: would be renewed until "), "{said}");
    assert_eq!(site.everything(), before);
    std::fs::remove_file(site.path("state/ca/ca_key.pem")).unwrap();
    site.refused(&["cert", "renew", "--dry-run"]);
}

#[test]
fn one_daemons_failure_does_not_keep_the_others_from_theirs() {
    let site = due();
    let before = site.read("ctld_cert.pem");
    configure(&site, "[daemons.dbd]\n");
    // What the new pair would have to be written into is a file.
    std::fs::remove_dir_all(site.path(".slurm-pki/ctld/1")).unwrap();
    std::fs::remove_dir_all(site.path(".slurm-pki/ctld")).unwrap();
    site.write(".slurm-pki/ctld", &before, 0o644);
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("slurmctld: not renewed: ") && said.contains("1 of 2"), "{said}");
    site.assert_pair("dbd_cert.pem", "dbd_cert_key.pem");
}

#[test]
fn static_pairs_of_this_host_are_renewed_where_slurm_conf_names_them() {
    let site = here(Scratch::ready());
    let (cert, key) = (site.text_path("n_cert.pem"), site.text_path("n_key.pem"));
    site.slurm_conf(&format!(
        "SlurmctldHost=localhost\nNodeName=n7 NodeHostname=localhost\n\
         TLSParameters=slurmd_cert_file={cert},slurmd_cert_key_file={key}\n"
    ));
    site.done(&["cert", "issue", "sackd", "n7", "--out", &site.text_path("pairs")]);
    std::fs::copy(site.path("pairs/n7/sackd_cert.pem"), &cert).unwrap();
    std::fs::copy(site.path("pairs/n7/sackd_cert_key.pem"), &key).unwrap();
    let before = site.read("n_cert.pem");
    site.done(&["cert", "renew", "slurmd", "--force"]);
    assert_ne!(site.read("n_cert.pem"), before);
    site.assert_pair("n_cert.pem", "n_key.pem");
    site.assert_file("n_key.pem", 0o600, caller());
    assert_eq!(openssl::subject_of_certificate(&site.read("n_cert.pem")), "CN=n7");
    assert_loads(&site);
}

/// `%n` in the names of their files: neither gets the other's certificate, now or as its former one.
#[test]
fn two_slurmds_of_one_host_keep_pairs_of_their_own() {
    let site = here(Scratch::ready());
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-2] NodeHostname=localhost\n");
    let (cert, key) = (site.text_path("%n_cert.pem"), site.text_path("%n_key.pem"));
    let owner = caller();
    configure(&site, &format!("[daemons.slurmd]\nowner = \"{owner}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n"));
    for _ in 0..2 {
        site.done(&["cert", "renew", "slurmd", "--force"]);
        for node in ["n1", "n2"] {
            site.assert_pair(&format!("{node}_cert.pem"), &format!("{node}_key.pem"));
            let cert = site.read(&format!("{node}_cert.pem"));
            assert_eq!(openssl::subject_of_certificate(&cert), format!("CN={node}"));
            let former = site.read(&format!(".slurm-pki/slurmd-{node}_cert/1/cert.pem"));
            assert_eq!(openssl::subject_of_certificate(&former), format!("CN={node}"));
        }
    }
    let listed = site.json(&["cert", "list"], "slurm-pki.cert.list.v1");
    let files = listed.as_array().unwrap().iter().filter(|facts| facts["section"] == "slurmd");
    let files: Vec<_> = files.map(|facts| facts["cert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files, [site.text_path("n1_cert.pem"), site.text_path("n2_cert.pem")]);
    let (metrics, _) = site.done(&["metrics"]);
    let series = metrics.lines().filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series);
    let series: Vec<_> = series.filter(|series| series.contains("slurmd")).collect();
    let different: std::collections::BTreeSet<_> = series.iter().collect();
    assert!(series.len() > 10 && different.len() == series.len(), "{series:?}");
}

#[test]
fn a_file_is_never_called_by_a_place_that_nobody_fills() {
    let site = here(Scratch::ready());
    let (cert, key) = (site.text_path("%n_cert.pem"), site.text_path("%n_key.pem"));
    configure(&site, &format!("[daemons.slurmd]\ncert = \"{cert}\"\nkey = \"{key}\"\n"));
    site.slurm_conf("SlurmctldHost=localhost\n");
    site.done(&["cert", "renew"]);
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-\n");
    site.refused(&["cert", "renew"]);
    assert!(!site.path("%n_cert.pem").exists() && !site.path(".slurm-pki/slurmd-%n_cert").exists());
}
