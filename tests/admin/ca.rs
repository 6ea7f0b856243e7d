//! `slurm-pki ca`.

use std::fs;

use support::openssl::{self, new_key};

use crate::scratch::Scratch;

/// A CA by openssl, written to `<name>.pem` and `<name>.key`.
fn foreign_ca(site: &Scratch, name: &str, key: &str, more: &[&str]) {
    site.write(&format!("{name}.key"), key, 0o600);
    let subject = format!("/O=Elsewhere/CN={name}");
    let key_file = site.text_path(&format!("{name}.key"));
    let args =
        [&["req", "-x509", "-new", "-key", &key_file, "-subj", &subject, "-days", "900"], more].concat();
    site.write(&format!("{name}.pem"), &openssl::read(&args, b""), 0o644);
}

fn rsa_ca(site: &Scratch) {
    foreign_ca(site, "rsa", &new_key("RSA", &["rsa_keygen_bits:2048"]), &[]);
}

fn ec_key() -> String {
    new_key("EC", &["ec_paramgen_curve:P-256"])
}

/// A config, and no CA yet.
fn site_without_ca() -> Scratch {
    let site = Scratch::new();
    let config = format!(
        "slurm_user = \"{}\"\nstate_dir = \"{}\"\n[controller]\nca_cert = \"{}\"\n",
        site.slurm_user.0,
        site.text_path("state"),
        site.text_path("ca_cert.pem")
    );
    site.write("slurm-pki.toml", &config, 0o644);
    site
}

fn import<'a>(cert: &'a str, key: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["ca", "import", "--cert", cert, "--key", key], more].concat()
}

#[test]
fn ca_init_makes_the_ca_and_nothing_else() {
    let site = site_without_ca();
    site.done(&[
        "ca",
        "init",
        "--key-type",
        "p384",
        "--subject",
        "O=ACME\\, Inc., C=DE",
        "--common-name",
        "X",
    ]);
    let made: Vec<_> = fs::read_dir(site.path("state")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(made, ["ca"]);
    assert!(!site.path("ctld_cert.pem").exists());
    let subject = openssl::subject_of_certificate(&site.read("ca_cert.pem"));
    assert_eq!(subject, "CN=X,C=DE,O=ACME\\, Inc.");
    assert!(openssl::certificate_text(&site.read("ca_cert.pem")).contains("P-384"));
    let before = site.everything();
    site.done(&["ca", "init"]);
    assert_eq!(site.everything(), before);
}

#[test]
fn a_ca_lives_as_long_as_asked() {
    let site = site_without_ca();
    site.done(&["ca", "init", "--lifetime", "3d"]);
    let ca = site.json(&["ca", "show"], "slurm-pki.ca.show.v1");
    let life = |key: &str| ca["certificates"][0][key].as_i64().unwrap();
    let backdate = 300;
    assert_eq!(life("not_after") - life("not_before"), 3 * 86_400 + backdate);
    let usage = site.run(&["ca", "init", "--lifetime", "soon"]);
    assert_eq!(usage.status.code(), Some(64));
}

#[test]
fn names_that_no_ca_can_have_are_refused() {
    let site = site_without_ca();
    for name in ["", "slurmctld", &"x".repeat(60)] {
        assert!(site.refused(&["ca", "init", "--common-name", name]).contains("--common-name"), "{name}");
    }
    assert!(!site.path("state").exists());
}

#[test]
fn show_tells_what_signs_and_what_hosts_trust() {
    let site = Scratch::new();
    site.init(&["--intermediate"]);
    let ca = site.json(&["ca", "show"], "slurm-pki.ca.show.v1");
    let [root, intermediate] = [&ca["certificates"][0], &ca["certificates"][1]];
    assert_eq!(
        (&root["kind"], &root["trusted"], &root["signs"]),
        (&"root".into(), &true.into(), &false.into())
    );
    assert_eq!((&intermediate["kind"], &intermediate["trusted"]), (&"intermediate".into(), &false.into()));
    assert_eq!((&intermediate["signs"], &ca["key"]["belongs"]), (&true.into(), &true.into()));
    let sha256 =
        openssl::read(&["x509", "-noout", "-fingerprint", "-sha256"], site.read("ca_cert.pem").as_bytes());
    let sha256 = sha256.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
    assert_eq!(root["sha256"], sha256);
    let (shown, _) = site.done(&["ca", "show"]);
    for part in
        ["CN=c1 Slurm CA root", "CN=c1 Slurm CA", &sha256, "valid until", "belongs to the certificate"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn show_tells_when_the_key_is_another_cas() {
    let site = Scratch::ready();
    fs::remove_file(site.path("state/ca/ca_key.pem")).unwrap();
    site.write("state/ca/ca_key.pem", &ec_key(), 0o400);
    let ca = site.json(&["ca", "show"], "slurm-pki.ca.show.v1");
    assert_eq!(ca["key"]["belongs"], false);
    assert!(site.done(&["ca", "show"]).0.contains("DOES NOT SIGN"));
    assert!(site.refused(&["init"]).contains("slurm-pki ca show"));
}

#[test]
fn an_rsa_ca_by_openssl_is_taken_over_and_serves() {
    let site = site_without_ca();
    rsa_ca(&site);
    let (cert, key) = (site.text_path("rsa.pem"), site.text_path("rsa.key"));
    let before = site.everything();
    let (listed, _) = site.done(&import(&cert, &key, &["--dry-run"]));
    assert_eq!(site.everything(), before);
    assert!(listed.contains("state/ca/ca_key.pem (0400") && listed.contains("ca_cert.pem (0644"), "{listed}");
    site.done(&import(&cert, &key, &[]));
    site.assert_file("state/ca/ca_key.pem", 0o400, site.slurm_user.1);
    assert_eq!(site.read("ca_cert.pem"), site.read("rsa.pem"));
    site.done(&["init"]);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    let before = site.everything();
    assert!(site.done(&import(&cert, &key, &[])).1.contains("there already"));
    assert_eq!(site.everything(), before);
}

#[test]
fn a_key_of_another_certificate_is_refused_and_nothing_is_written() {
    let site = site_without_ca();
    rsa_ca(&site);
    site.write("other.key", &ec_key(), 0o600);
    let before = site.everything();
    let said = site.refused(&import(&site.text_path("rsa.pem"), &site.text_path("other.key"), &[]));
    assert!(said.contains("no certificate in ca_chain or ca_cert belongs to the CA key"), "{said}");
    assert_eq!(site.everything(), before);
}

#[test]
fn what_cannot_serve_as_a_ca_is_refused() {
    let site = site_without_ca();
    foreign_ca(&site, "leaf", &ec_key(), &["-addext", "basicConstraints=critical,CA:FALSE"]);
    foreign_ca(&site, "bound", &ec_key(), &["-addext", "nameConstraints=critical,permitted;DNS:example.org"]);
    foreign_ca(&site, "text", &ec_key(), &[]);
    site.write("text.pem", &(site.read("text.pem") + "some words\n"), 0o644);
    for (name, part) in [("leaf", "may not sign"), ("bound", "name constraints"), ("text", "text after")] {
        let (cert, key) = (site.text_path(&format!("{name}.pem")), site.text_path(&format!("{name}.key")));
        let said = site.refused(&import(&cert, &key, &[]));
        assert!(said.contains(part), "{name}: {said}");
    }
    let said = {
        site.write("text.pem", "no certificate", 0o644);
        site.refused(&import(&site.text_path("text.pem"), &site.text_path("text.key"), &[]))
    };
    assert!(said.contains("no PEM block"), "{said}");
    assert!(!site.path("ca_cert.pem").exists() && !site.path("state").exists());
}

#[test]
fn a_key_that_others_can_read_is_not_taken() {
    let site = site_without_ca();
    rsa_ca(&site);
    site.write("rsa.key", &site.read("rsa.key"), 0o644);
    let said = site.refused(&import(&site.text_path("rsa.pem"), &site.text_path("rsa.key"), &[]));
    assert!(said.contains("chmod"), "{said}");
}

#[test]
fn a_bundle_of_whole_pages_is_padded() {
    let site = site_without_ca();
    foreign_ca(&site, "paged", &ec_key(), &[]);
    let cert = site.read("paged.pem");
    let paged = format!("{}\n{cert}", "x".repeat(4096 - 1 - cert.len()));
    assert_eq!(paged.len(), 4096);
    site.write("paged.pem", &paged, 0o644);
    site.done(&import(&site.text_path("paged.pem"), &site.text_path("paged.key"), &[]));
    assert_eq!(site.read("ca_cert.pem").len(), 4097);
}

#[test]
fn a_ca_that_is_there_is_replaced_only_when_it_is_meant_and_is_kept_aside() {
    let site = Scratch::new();
    site.init(&["--intermediate"]);
    rsa_ca(&site);
    let (cert, key) = (site.text_path("rsa.pem"), site.text_path("rsa.key"));
    let before = site.everything();
    let old = (site.read("ca_cert.pem"), site.read("state/ca/ca_key.pem"));
    assert!(site.refused(&import(&cert, &key, &[])).contains("--yes"));
    assert_eq!(site.everything(), before);
    site.done(&import(&cert, &key, &["--replace"]));
    assert_eq!(site.read("ca_cert.pem"), site.read("rsa.pem"));
    assert!(!site.path("state/ca/chain.pem").exists());
    let kept: Vec<_> = site
        .everything()
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "old"))
        .collect();
    assert_eq!(kept.len(), 3, "certificate, key and chain");
    for old in [old.0, old.1] {
        assert!(kept.iter().any(|(_, contents)| contents == old.as_bytes()));
    }
    site.done(&["cert", "issue", "ctld"]);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn an_intermediate_comes_with_its_chain() {
    let made = Scratch::new();
    made.init(&["--intermediate"]);
    let site = site_without_ca();
    for (name, from, mode) in [
        ("root.pem", "ca_cert.pem", 0o644),
        ("chain.pem", "state/ca/chain.pem", 0o644),
        ("ca.key", "state/ca/ca_key.pem", 0o600),
    ] {
        site.write(name, &made.read(from), mode);
    }
    let (cert, key) = (site.text_path("root.pem"), site.text_path("ca.key"));
    assert!(site.refused(&import(&cert, &key, &[])).contains("no certificate"));
    site.done(&import(&cert, &key, &["--chain", &site.text_path("chain.pem")]));
    site.done(&["init"]);
    assert_eq!(site.read("ctld_cert.pem").matches("BEGIN CERTIFICATE").count(), 2);
}
