//! openssl as a second reader of everything that we write, and as the maker of keys that we refuse.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs openssl with `input` on stdin.
///
/// # Panics
/// When openssl is not installed.
#[must_use]
pub fn openssl(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read everything; its exit status tells.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// Runs openssl and returns its stdout.
///
/// # Panics
/// When openssl fails, with what it said.
#[must_use]
#[track_caller]
pub fn read(args: &[&str], input: &[u8]) -> String {
    let output = openssl(args, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {said}\n{}", input.escape_ascii());
    String::from_utf8(output.stdout).unwrap()
}

/// The public key of a private key, as PEM.
#[must_use]
#[track_caller]
pub fn public_of_key(key: &str) -> String {
    read(&["pkey", "-pubout"], key.as_bytes())
}

/// The public key that a request asks for, after its self-signature was verified.
#[must_use]
#[track_caller]
pub fn public_of_request(csr: &str) -> String {
    read(&["req", "-verify", "-noout", "-pubkey"], csr.as_bytes())
}

/// The public key in a certificate.
#[must_use]
#[track_caller]
pub fn public_of_certificate(certificate: &str) -> String {
    read(&["x509", "-noout", "-pubkey"], certificate.as_bytes())
}

/// The subject of a request, as in `CN=n1`.
#[must_use]
#[track_caller]
pub fn subject_of_request(csr: &str) -> String {
    let line = read(&["req", "-noout", "-subject", "-nameopt", "RFC2253"], csr.as_bytes());
    line.trim_end().trim_start_matches("subject=").to_owned()
}

/// The subject of a certificate, as in `CN=n1`.
#[must_use]
#[track_caller]
pub fn subject_of_certificate(certificate: &str) -> String {
    let line = read(&["x509", "-noout", "-subject", "-nameopt", "RFC2253"], certificate.as_bytes());
    line.trim_end().trim_start_matches("subject=").to_owned()
}

/// Everything openssl has to say about a certificate.
#[must_use]
#[track_caller]
pub fn certificate_text(certificate: &str) -> String {
    read(&["x509", "-noout", "-text"], certificate.as_bytes())
}

/// Verifies a certificate against `anchors` for one purpose, `sslserver` or `sslclient`, today.
///
/// # Panics
/// When openssl refuses it.
#[track_caller]
pub fn verify(certificate: &str, anchors: &str, purpose: &str) {
    verify_chain(certificate, "", anchors, purpose);
}

/// The same with the intermediates that are sent after the certificate.
///
/// # Panics
/// When openssl refuses it.
#[track_caller]
pub fn verify_chain(certificate: &str, chain: &str, anchors: &str, purpose: &str) {
    let folder = tempfile::tempdir().unwrap();
    let [anchors_file, chain_file] = ["anchors.pem", "chain.pem"].map(|name| folder.path().join(name));
    std::fs::write(&anchors_file, anchors).unwrap();
    std::fs::write(&chain_file, chain).unwrap();
    // -CAfile alone would still add the system's own roots.
    let mut args = vec!["verify", "-no-CApath", "-no-CAstore", "-purpose", purpose];
    args.extend(["-CAfile", anchors_file.to_str().unwrap()]);
    if !chain.is_empty() {
        args.extend(["-untrusted", chain_file.to_str().unwrap()]);
    }
    let _ = read(&args, certificate.as_bytes());
}

/// A new private key, `openssl genpkey` style: `("RSA", &["rsa_keygen_bits:1024"])`.
#[must_use]
#[track_caller]
pub fn new_key(algorithm: &str, options: &[&str]) -> String {
    let mut args = vec!["genpkey", "-algorithm", algorithm];
    for option in options {
        args.extend(["-pkeyopt", option]);
    }
    read(&args, b"")
}

/// A request by openssl itself, for any kind of key.
#[must_use]
#[track_caller]
pub fn request(key: &str, subject: &str, more: &[&str]) -> String {
    let mut args = vec!["req", "-new", "-key", "/dev/stdin", "-subj", subject];
    args.extend(more);
    read(&args, key.as_bytes())
}
