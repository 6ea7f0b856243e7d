//! `slurm-pki ca show`: what hosts trust, what signs, and whether key and certificates belong together.

use std::path::{Path, PathBuf};

use clap::Args;
use pki::ca::{CaCertificates, LocalCa};
use pki::key::{PrivateKey, PublicKey};
use pki::time::UnixTime;
use pki::x509::X509;
use serde::Serialize;
use site::clock;
use site::config::Place;
use site::signer;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Show what hosts trust, what signs, and whether key and certificates belong together
#[derive(Args, Debug)]
#[command(
    after_help = "Run it as root or as SlurmUser: whether the key fits can be told only by who can read it.\n\n\
    Examples:\n  \
    slurm-pki ca show\n  \
    slurm-pki ca show --json | jq -r '.data.certificates[].sha256'"
)]
pub(super) struct Show {}

/// The kind of a root's certificate under another CA.
const CROSS: &str = "cross certificate";

/// A CA as it lies in its files.
#[derive(Serialize)]
struct Shown {
    ca_cert: PathBuf,
    ca_chain: Option<PathBuf>,
    key: Key,
    certificates: Vec<Certificate>,
}

#[derive(Serialize)]
struct Key {
    path: Option<PathBuf>,
    key_type: Option<String>,
    /// Whether it belongs to a certificate that may sign; `None`: it could not be read.
    belongs: Option<bool>,
    /// What is wrong with it.
    problem: Option<String>,
}

#[derive(Serialize)]
struct Certificate {
    file: PathBuf,
    subject: String,
    issuer: String,
    kind: &'static str,
    key_type: Option<String>,
    serial: String,
    sha256: String,
    not_before: UnixTime,
    not_after: UnixTime,
    valid: bool,
    /// Whether every host trusts it (it stands in ca_cert).
    trusted: bool,
    /// Whether it is the one that signs.
    signs: bool,
}

impl Show {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let now = clock::now();
        let shown = look(&admin, now)?;
        if global.json {
            return report::json("slurm-pki.ca.show.v1", &shown);
        }
        for certificate in &shown.certificates {
            print(certificate, now);
        }
        print_key(&shown.key);
        Ok(())
    }
}

fn look(admin: &Admin, now: UnixTime) -> anyhow::Result<Shown> {
    let files = &admin.controller;
    let certificates = signer::ca_certificates(files).advise()?;
    let (key, issuer) = match files.signer {
        Place::Local => key_of(&files.ca_key, &certificates),
        Place::Vault => (Key { path: None, key_type: None, belongs: None, problem: None }, None),
    };
    let trusted = certificates.anchors.iter().map(|ca| (ca, &files.ca_cert, true));
    let sent = certificates.chain.iter().map(|ca| (ca, &files.ca_chain, false));
    let shown = trusted
        .chain(sent)
        .map(|(ca, file, trusted)| certificate(ca, file, trusted, issuer.as_ref() == Some(ca), now))
        .map(|shown| named_as_cross(shown, &certificates));
    Ok(Shown {
        ca_cert: files.ca_cert.clone(),
        ca_chain: (!certificates.chain.is_empty()).then(|| files.ca_chain.clone()),
        key,
        certificates: shown.collect(),
    })
}

fn key_of(path: &Path, certificates: &CaCertificates) -> (Key, Option<X509>) {
    let shown = |key_type, belongs, problem| Key { path: Some(path.to_owned()), key_type, belongs, problem };
    let key: PrivateKey = match signer::ca_key(path) {
        Ok(key) => key,
        Err(e) => return (shown(None, None, Some(e.to_string())), None),
    };
    let kind = Some(key.kind().to_string());
    match LocalCa::new(certificates.clone(), key) {
        Ok(ca) => (shown(kind, Some(true), None), Some(ca.issuer().clone())),
        Err(e) => (shown(kind, Some(false), Some(e.to_string())), None),
    }
}

/// A root's certificate under another CA: it goes along in the middle of a rollover.
fn named_as_cross(shown: Certificate, all: &CaCertificates) -> Certificate {
    let root = all.anchors.iter().find(|root| root.is_self_issued() && root.facts().subject == shown.subject);
    match root {
        Some(_) if shown.kind == "intermediate" => Certificate { kind: CROSS, ..shown },
        _ => shown,
    }
}

fn certificate(ca: &X509, file: &Path, trusted: bool, signs: bool, now: UnixTime) -> Certificate {
    let facts = ca.facts();
    let kind = match (facts.ca, ca.is_self_issued()) {
        (true, true) => "root",
        (true, false) => "intermediate",
        (false, _) => "no CA",
    };
    Certificate {
        file: file.to_owned(),
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        kind,
        key_type: PublicKey::from_spki(&facts.spki).ok().map(|key| key.kind().to_string()),
        serial: facts.serial.clone(),
        sha256: ca.fingerprint(),
        not_before: facts.not_before,
        not_after: facts.not_after,
        valid: ca.is_valid_at(now),
        trusted,
        signs,
    }
}

fn print(ca: &Certificate, now: UnixTime) {
    let role = match (ca.trusted, ca.signs) {
        (false, false) if ca.kind == CROSS => "sent after what the root of this name issues",
        (true, true) => "every host trusts it, and it signs",
        (true, false) => "every host trusts it",
        (false, true) => "sent after each certificate, and it signs",
        (false, false) => "sent after each certificate",
    };
    let validity = if ca.valid { "" } else { "  NOT VALID NOW" };
    report::line(&ca.subject);
    report::line(&format!("  role         {} ({role})", ca.kind));
    report::line(&format!("  file         {}", ca.file.display()));
    report::line(&format!("  issuer       {}", ca.issuer));
    report::line(&format!("  key          {}", ca.key_type.as_deref().unwrap_or("of a kind not taken here")));
    report::line(&format!("  serial       {}", ca.serial));
    report::line(&format!("  SHA-256      {}", ca.sha256));
    report::line(&format!("  valid from   {} ({})", ca.not_before, moment::relative(ca.not_before, now)));
    report::line(&format!(
        "  valid until  {} ({}){validity}",
        ca.not_after,
        moment::relative(ca.not_after, now)
    ));
    report::line("");
}

fn print_key(key: &Key) {
    let Some(path) = &key.path else {
        return report::line("key: not in files here (signer)");
    };
    let path = path.display();
    match (key.belongs, &key.problem) {
        (Some(true), _) => report::line(&format!("key: {path} belongs to the certificate that signs")),
        (_, problem) => {
            report::line(&format!("key: {path} DOES NOT SIGN: {}", problem.as_deref().unwrap_or("unknown")));
        }
    }
}
