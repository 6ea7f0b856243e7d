//! The contract, as behaviour that every line-up must show.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::thread;

use support::openssl;
use support::slurm::Slurm;

use crate::cluster::{Cluster, LineUp};
use crate::pem_text::{one_block, one_key};

const REQUEST: &str = "CERTIFICATE REQUEST";
const CERTIFICATE: &str = "CERTIFICATE";

pub(crate) fn the_token_has_no_newline_and_is_what_validate_accepts(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1", "n2"]);
    let token = cluster.run("get_node_token", &["n1"]).text();
    assert!(!token.is_empty() && !token.contains(char::is_whitespace), "{token:?}");
    assert!(cluster.run("validate_node_token", &["n1", &token]).accepted());
    // Slurm sends it again when the reply got lost.
    assert!(cluster.run("validate_node_token", &["n1", &token]).accepted());
}

pub(crate) fn the_request_is_for_the_name_and_signed_by_its_own_key(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1", "node-2.cluster.example"]);
    for node in ["n1", "node-2.cluster.example"] {
        let csr = one_block(cluster.run("generate_csr", &[node]).text(), REQUEST);
        assert_eq!(openssl::subject_of_request(&csr), format!("CN={node}"));
        let key = openssl::public_of_request(&csr);
        assert!(key.starts_with("-----BEGIN PUBLIC KEY-----"));
    }
}

pub(crate) fn the_key_is_that_of_the_latest_request_however_often_asked(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1"]);
    let mut slurmd = cluster.daemon();
    for _ in 0..2 {
        let csr = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
        let asked = openssl::public_of_request(&csr);
        for _ in 0..2 {
            let key = one_key(cluster.run_in(&mut slurmd, "get_cert_key", &["n1"]).text());
            assert_eq!(openssl::public_of_key(&key), asked);
        }
    }
}

pub(crate) fn validate_refuses_every_token_but_the_right_one(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1", "n2"]);
    let right = cluster.site.token("n1");
    let mut wrong: Vec<String> = ["", ".", "*", ".*", "-v", "--help", "-h", "--version", "$", "^", "n1", "0"]
        .map(str::to_owned)
        .into();
    wrong.push(cluster.site.token("n2"));
    wrong.push(right[..right.len() - 1].to_owned());
    wrong.push(right[1..].to_owned());
    wrong.push(right[1..right.len() - 1].to_owned());
    for around in ["x{}", "{}x", "{} ", " {}", "{}\r", "{}\n\n", "\n{}", "{}\nx", "n1 {}"] {
        wrong.push(around.replace("{}", &right));
    }
    for token in wrong {
        assert!(!cluster.run("validate_node_token", &["n1", &token]).accepted(), "{token:?} was accepted");
    }
    assert!(cluster.run("validate_node_token", &["n1", &right]).accepted());
}

pub(crate) fn validate_refuses_a_request_without_a_token(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1"]);
    assert!(!cluster.run("validate_node_token", &["n1"]).accepted());
    assert!(!cluster.run::<&str>("validate_node_token", &[]).accepted());
}

pub(crate) fn validate_refuses_every_name_but_the_right_one(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1", "n2"]);
    let token = cluster.site.token("n1");
    for name in ["n2", "n3", "N1", "n", "n11", "n.", "*", ".", "", "\x01", "--help", "n1 ", "../n1", "n1\n"] {
        assert!(!cluster.run("validate_node_token", &[name, &token]).accepted(), "{name:?} was accepted");
    }
}

pub(crate) fn the_certificate_is_for_the_request_and_every_peer_accepts_it(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1"]);
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let certificate = one_block(cluster.run("sign_csr", &[&csr]).text(), CERTIFICATE);
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_request(&csr));
    assert_eq!(openssl::subject_of_certificate(&certificate), "CN=n1");
    let anchors = cluster.site.anchors();
    openssl::verify(&certificate, &anchors, "sslserver");
    openssl::verify(&certificate, &anchors, "sslclient");
    let text = openssl::certificate_text(&certificate);
    for fact in
        ["CA:FALSE", "Digital Signature", "TLS Web Server Authentication, TLS Web Client Authentication"]
    {
        assert!(text.contains(fact), "no {fact} in {text}");
    }
}

pub(crate) fn the_same_request_is_signed_again(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1"]);
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let first = cluster.run("sign_csr", &[&csr]).text();
    let second = cluster.run("sign_csr", &[&csr]).text();
    assert_eq!(openssl::public_of_certificate(&first), openssl::public_of_certificate(&second));
    assert_ne!(serial(&first), serial(&second));
}

pub(crate) fn a_request_that_was_changed_is_refused(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1"]);
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let mut der = pki::armor::only_block(csr.as_bytes(), &[REQUEST], 65536).unwrap().expose().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let changed = support::request::to_pem(&der);
    assert!(cluster.run("sign_csr", &[&changed]).answer().is_err());
    for csr in ["", "-----BEGIN CERTIFICATE REQUEST-----", "--help", "n1"] {
        assert!(cluster.run("sign_csr", &[csr]).answer().is_err(), "{csr}");
    }
}

pub(crate) fn a_request_for_a_node_that_is_not_enrolled_is_refused(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &["n1"]);
    for name in ["n2", "slurmctld", "n1.example"] {
        let key = openssl::new_key("EC", &["ec_paramgen_curve:P-256"]);
        let csr = openssl::request(&key, &format!("/CN={name}"), &[]);
        assert!(cluster.run("sign_csr", &[&csr]).answer().is_err(), "{name} got a certificate");
    }
}

pub(crate) fn a_name_that_is_none_stands_for_the_host(line_up: LineUp) {
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let cluster = Cluster::new(line_up, &["n1", &host]);
    let mut sackd = cluster.daemon();
    // What sackd passes at its renewals is whatever lies on its stack.
    for name in ["\x01", "", "\u{fffd}/x", &host] {
        let csr = cluster.run_in(&mut sackd, "generate_csr", &[name]).text();
        assert_eq!(openssl::subject_of_request(&csr), format!("CN={host}"));
        let key = cluster.run_in(&mut sackd, "get_cert_key", &[name]).text();
        assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(&csr));
        assert!(cluster.run("sign_csr", &[&csr]).answer().is_ok());
    }
}

pub(crate) fn a_client_command_gets_a_key_and_a_certificate_that_is_its_own_anchor(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &[]);
    let key = one_key(cluster.run_as_command::<&str>("keygen", &[]).text());
    let certificate = one_block(cluster.run_as_command("certgen", &[&key]).text(), CERTIFICATE);
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
    openssl::verify(&certificate, &certificate, "sslserver");
    openssl::verify(&certificate, &certificate, "sslclient");
    let again = cluster.run_as_command::<&str>("keygen", &[]).text();
    assert_ne!(key, again);
}

pub(crate) fn certgen_takes_the_key_on_stdin_too(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &[]);
    let key = cluster.run_as_command::<&str>("keygen", &[]).text();
    let mut certgen = Slurm::bare().command::<&str>(&cluster.line_up.program("certgen"), &[]);
    let mut certgen = certgen.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    certgen.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    let output = certgen.wait_with_output().unwrap();
    assert!(output.status.success());
    let certificate = one_block(String::from_utf8(output.stdout).unwrap(), CERTIFICATE);
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
}

pub(crate) fn certgen_takes_the_stock_keygens_key(line_up: LineUp) {
    let cluster = Cluster::new(line_up, &[]);
    let key = openssl::read(&["ecparam", "-name", "prime256v1", "-genkey"], b"");
    assert!(key.starts_with("-----BEGIN EC PARAMETERS-----"));
    let certificate = one_block(cluster.run_as_command("certgen", &[&key]).text(), CERTIFICATE);
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
}

pub(crate) fn thirty_two_exchanges_at_once_do_not_disturb_each_other(line_up: LineUp) {
    let names: Vec<_> = (1..=32).map(|n| format!("n{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let cluster = Cluster::new(line_up, &names);
    let serials: BTreeSet<String> = thread::scope(|scope| {
        let runs: Vec<_> = names.iter().map(|node| scope.spawn(|| exchange(&cluster, node))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(serials.len(), 32);
}

/// A node's first certificate, step by step as slurmd and slurmctld take them; returns its serial.
fn exchange(cluster: &Cluster, node: &str) -> String {
    let token = cluster.run("get_node_token", &[node]).text();
    let csr = cluster.run("generate_csr", &[node]).text();
    assert!(cluster.run("validate_node_token", &[node, &token]).accepted(), "{node}");
    let certificate = one_block(cluster.run("sign_csr", &[&csr]).text(), CERTIFICATE);
    let key = one_key(cluster.run("get_cert_key", &[node]).text());
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
    assert_eq!(openssl::subject_of_certificate(&certificate), format!("CN={node}"));
    serial(&certificate)
}

fn serial(certificate: &str) -> String {
    openssl::read(&["x509", "-noout", "-serial"], certificate.as_bytes())
}
