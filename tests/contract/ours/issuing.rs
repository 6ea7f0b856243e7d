//! What is issued, and what is written down about it.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::openssl;
use support::programs;
use support::request::to_pem;
use support::site::{CA_NAME, Site, files_below, now};

use crate::cluster::{Cluster, LineUp};
use crate::pem_text::one_block;

use super::cluster;

#[test]
fn every_certificate_is_in_the_ledger_before_it_is_printed() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    let ledger = cluster.site.ledger();
    let [line] = ledger.as_slice() else { panic!("not one line: {ledger:?}") };
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    let serial = openssl::read(&["x509", "-noout", "-serial"], certificate.as_bytes());
    assert_eq!(format!("serial={}\n", text("serial").to_uppercase()), serial);
    assert_eq!((text("node"), line["v"].clone()), ("n1".into(), Value::from(1)));
    // SHA-256 over the SubjectPublicKeyInfo, by openssl.
    let public = openssl::public_of_certificate(&certificate);
    let spki = openssl::openssl(&["pkey", "-pubin", "-outform", "DER"], public.as_bytes()).stdout;
    let digest = openssl::read(&["dgst", "-sha256", "-r"], &spki);
    assert_eq!(digest.split(' ').next(), line["spki_sha256"].as_str());
    let record: Value = serde_json::from_str(&cluster.site.read("state/tokens/n1.json")).unwrap();
    assert_eq!(line["record"], record["records"][0]["id"]);
    let last: Value = serde_json::from_str(&cluster.site.read("state/ledger/last/n1.json")).unwrap();
    assert_eq!(&last, line);
}

#[test]
fn a_certificate_does_not_outlive_its_ca() {
    let ends = now().plus(Duration::from_secs(600));
    let mut site = Site::with_ca(CA_NAME, now().minus(Duration::from_secs(3600)), ends);
    let _ = site.enrol("n1");
    let cluster = Cluster { site, line_up: LineUp::ours() };
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    let end = |pem: &str| openssl::read(&["x509", "-noout", "-enddate"], pem.as_bytes());
    assert_eq!(end(&certificate), end(&cluster.site.anchors()));
}

#[test]
fn a_certificate_is_valid_for_nodes_whose_clock_is_behind() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    let ledger = cluster.site.ledger();
    let time = |key: &str| ledger[0][key].as_i64().unwrap();
    assert_eq!(time("time") - time("not_before"), 300);
    assert_eq!(time("not_after") - time("time"), 168 * 3600);
    let dates =
        openssl::read(&["x509", "-noout", "-startdate", "-dateopt", "iso_8601"], certificate.as_bytes());
    let begins = pki::time::UnixTime(time("not_before")).to_string().replace('T', " ");
    assert_eq!(dates, format!("notBefore={begins}\n"));
}

#[test]
fn bare_tokens_in_a_list_serve_any_node() {
    let mut cluster = Cluster::new(LineUp::ours_on_schedmds_layout(), &[]);
    let _ = cluster.site.enrol_by_list("n1");
    cluster.site.write("node_token_list.txt", format!("{}\n", cluster.site.token("n1")).as_bytes(), 0o600);
    let token = cluster.run("get_node_token", &["n1"]).text();
    assert!(cluster.run("validate_node_token", &["n1", &token]).accepted());
    let csr = cluster.run("generate_csr", &["n1"]).text();
    assert!(cluster.run("sign_csr", &[&csr]).answer().is_ok());
}

#[test]
fn thirty_two_signatures_for_one_node_at_once_are_all_recorded_under_one_mark() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..32).map(|_| scope.spawn(|| cluster.run("sign_csr", &[&csr]).text())).collect();
        runs.into_iter().for_each(|run| drop(run.join().unwrap()));
    });
    let serials: BTreeSet<_> = cluster.site.ledger().iter().map(|line| line["serial"].to_string()).collect();
    assert_eq!((serials.len(), cluster.site.ledger().len()), (32, 32));
    let files = files_below(&cluster.site.path("state/tokens"));
    let marks = files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "used"));
    assert_eq!(marks.count(), 1);
}

#[test]
fn a_refusal_is_noted_with_its_program_node_and_reason() {
    // Slurm leaves the token out when a node sent none.
    for argv in [&["n1", "wrong"][..], &["n1"]] {
        let cluster = cluster();
        assert!(!cluster.run("validate_node_token", argv).accepted());
        let files = files_below(&cluster.site.path("state/ledger"));
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let (_, text) = files.iter().find(|(path, _)| name(path).starts_with("refused.")).unwrap();
        let line: Value = serde_json::from_slice(text).unwrap();
        let said = (line["program"].as_str(), line["node"].as_str());
        assert_eq!(said, (Some("validate_node_token"), Some("n1")));
        assert!(line["reason"].as_str().unwrap().starts_with("token rejected"));
    }
}

#[test]
fn subject_and_names_are_those_of_the_sites_profile() {
    let mut cluster = cluster();
    cluster.site.set("controller", "subject.O", "Example University");
    cluster.site.set("controller", "san", vec!["%n", "%n.cluster.example"]);
    cluster.site.write_config();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    assert_eq!(openssl::subject_of_certificate(&certificate), "CN=n1,O=Example University");
    let text = openssl::certificate_text(&certificate);
    assert!(text.contains("DNS:n1, DNS:n1.cluster.example\n"), "{text}");
}

#[test]
fn an_intermediates_certificate_follows_the_leaf() {
    let cluster = cluster();
    let intermediate = cluster.site.sign_with_an_intermediate();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let answer = cluster.run("sign_csr", &[&csr]).text();
    assert!(answer.ends_with(&intermediate), "{answer}");
    let leaf = answer.strip_suffix(&intermediate).unwrap().to_owned();
    let leaf = one_block(leaf, "CERTIFICATE");
    assert_eq!(openssl::public_of_certificate(&leaf), openssl::public_of_request(&csr));
    // PARTIAL_CHAIN aside, a peer knows only the root.
    openssl::verify_chain(&leaf, &intermediate, &cluster.site.anchors(), "sslserver");
    openssl::verify_chain(&leaf, &intermediate, &cluster.site.anchors(), "sslclient");
}

#[test]
fn a_request_with_any_one_byte_changed_is_refused() {
    let cluster = cluster();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let good = pki::armor::only_block(csr.as_bytes(), &["CERTIFICATE REQUEST"], 65536).unwrap();
    let (slurm, sign_csr) = (cluster.site.slurm(), programs::program("sign_csr"));
    let refused = |at: usize| {
        let mut der = good.expose().to_vec();
        der[at] ^= 1;
        let output = slurm.run_apart(&sign_csr, &[to_pem(&der)]);
        output.status.code() == Some(1) && output.stdout.is_empty()
    };
    let accepted: Vec<_> = (0..good.expose().len()).filter(|at| !refused(*at)).collect();
    assert_eq!(accepted, Vec::<usize>::new(), "{csr}");
    assert!(cluster.site.ledger().is_empty());
}
