//! The CA in Vault: made there, or found; and what every host trusts, written here.

use std::path::Path;

use pki::ca::{CaCertificates, LocalCa, NewCa};
use pki::csr;
use pki::loads_in_s2n::{MAX_BUNDLE_PEM, MAX_CHAIN_PEM, pad_bundle};
use pki::policy::SubjectAttribute;
use pki::profile::Serial;
use pki::x509::X509;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use signer::{of_vault, pki_engine};
use site::file::{self, Keep, NewFile};
use site::{clock, random, signer as ca_files};
use vault::pki_engine::Issuer;

use super::work::{Work, seconds};
use super::{Kind, Scene, usage};
use crate::admin::STATE_DIR_MODE;
use crate::advice::{Advice, Advise as _};
use crate::ca::new::{CERTIFICATE_MODE, root_key_path};
use crate::key_type::KeyType;
use crate::making::Making;
use crate::report;

/// Most characters of a common name (X.520).
const MAX_NAME: usize = 64;

/// Completes the CA and writes its certificates; `false` while an intermediate waits for its signature.
///
/// # Errors
/// Whatever went wrong.
pub(super) fn complete(scene: &Scene<'_>, work: &Work<'_>, was_mounted: bool) -> anyhow::Result<bool> {
    let there = if was_mounted { issuer(scene, work)? } else { None };
    if let Some(issuer) = there {
        say_there(scene, work, &issuer);
        install(scene, work, &issuer)?;
        return Ok(true);
    }
    let made = match scene.options.ca {
        Some(Kind::Root) => root(scene, work)?,
        Some(Kind::Intermediate) => intermediate(scene, work)?,
        Some(Kind::Existing) => return Err(no_issuer(scene)),
        None => {
            return Err(usage(
                format!("the PKI engine at {} has no CA yet", scene.config.pki_mount),
                "say where it is to come from: --ca root, --ca intermediate or --ca existing",
            ));
        }
    };
    if made && !work.only_says() {
        let issuer = issuer(scene, work)?.ok_or_else(|| no_issuer(scene))?;
        install(scene, work, &issuer)?;
    }
    Ok(made)
}

/// The issuer that signs, if it is there with its key.
fn issuer(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<Option<Issuer>> {
    let named = scene.options.likeness.issuer_name.as_deref();
    let reference = named.filter(|_| scene.options.ca == Some(Kind::Existing)).unwrap_or("default");
    let issuer = pki_engine(scene.config).advise()?.issuer(work.client(), reference);
    Ok(issuer.map_err(of_vault).advise()?.filter(|issuer| !issuer.key_id.is_empty()))
}

fn no_issuer(scene: &Scene<'_>) -> anyhow::Error {
    let name = scene.options.likeness.issuer_name.as_deref().unwrap_or("default");
    Advice::new(
        format!("the PKI engine at {} has no issuer {name} with a key", scene.config.pki_mount),
        format!("see what it has: vault list {}/issuers", scene.config.pki_mount),
    )
    .into()
}

fn say_there(scene: &Scene<'_>, work: &Work<'_>, issuer: &Issuer) {
    let certificates = X509::all_from_pem(issuer.certificate.as_bytes(), MAX_CHAIN_PEM).unwrap_or_default();
    let subject = certificates.first().map_or_else(String::new, |ca| ca.facts().subject.clone());
    work.there(&format!("CA {subject}, issuer {}", issuer.issuer_id));
    let asked = scene.options.ca.is_some_and(|kind| kind != Kind::Existing);
    if asked && scene.options.likeness.common_name.is_some() {
        report::warning(
            "the CA that is there stays as it is; another one is a matter of slurm-pki ca rollover",
        );
    }
}

/// A CA's common name, which no other that hosts trust may have (slurm-contract.md 3.4).
fn common_name(scene: &Scene<'_>, usual_ending: &str, taken: &[Vec<u8>]) -> anyhow::Result<String> {
    let usual = || format!("{} Slurm CA{usual_ending}", scene.admin.cluster());
    let name = scene.options.likeness.common_name.clone().unwrap_or_else(usual);
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if !fits || taken.iter().any(|is| is.eq_ignore_ascii_case(name.as_bytes())) {
        return Err(usage(
            format!("{name:?} cannot be the CA's common name, or another CA has it"),
            format!("give it another of at most {MAX_NAME} characters with --common-name"),
        ));
    }
    Ok(name)
}

/// What a CA in Vault is to be.
fn body(scene: &Scene<'_>, common_name: &str) -> Map<String, Value> {
    let likeness = &scene.options.likeness;
    let bits = match likeness.key_type {
        KeyType::P256 => 256,
        KeyType::P384 => 384,
    };
    let mut body = Map::new();
    body.insert("common_name".into(), json!(common_name));
    // It is no host's name.
    body.insert("exclude_cn_from_sans".into(), json!(true));
    body.insert("key_type".into(), json!("ec"));
    body.insert("key_bits".into(), json!(bits));
    for (attribute, value) in &scene.admin.controller.subject {
        let name = match attribute {
            SubjectAttribute::C => "country",
            SubjectAttribute::ST => "province",
            SubjectAttribute::L => "locality",
            SubjectAttribute::O => "organization",
            SubjectAttribute::OU => "ou",
        };
        body.insert(name.into(), json!([value]));
    }
    body
}

fn root(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<bool> {
    let files = &scene.admin.controller;
    if files.ca_cert.exists() {
        return Err(Advice::new(
            format!("{} is there: hosts trust that CA, and would refuse what a new root signs", files.ca_cert.display()),
            "put the CA in Vault below it with --ca intermediate; or move that file away if no host has it yet",
        )
        .into());
    }
    let name = common_name(scene, "", &[])?;
    let mut body = body(scene, &name);
    body.insert("ttl".into(), seconds(scene.options.likeness.ttl));
    if let Some(name) = &scene.options.likeness.issuer_name {
        body.insert("issuer_name".into(), json!(name));
    }
    let path = format!("{}/root/generate/internal", pki_engine(scene.config).advise()?.mount);
    work.make(&format!("made     root CA {name}"), &path, &Value::Object(body))?;
    if work.only_says() {
        let mount = &scene.config.pki_mount;
        report::line(&format!(
            "vault read -field=certificate {mount}/issuer/default > {}",
            crate::vault::commands::quoted(&files.ca_cert.to_string_lossy())
        ));
    }
    Ok(true)
}

fn intermediate(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<bool> {
    if let Some(path) = &scene.options.signed {
        let pem = file::read(path, Keep::Intact, MAX_CHAIN_PEM).advise()?;
        let signed =
            X509::all_from_pem(pem.expose(), MAX_CHAIN_PEM).map_err(site::Error::contents(path)).advise()?;
        return take(scene, work, &signed);
    }
    if let Some(path) = &scene.options.csr {
        if path.exists() {
            return Err(Advice::new(
                format!("{} is there: another request would be for another key", path.display()),
                "have that one signed, then: slurm-pki vault setup --ca intermediate --signed FILE",
            )
            .into());
        }
        let Some(csr) = request(scene, work, &[])? else { return Ok(false) };
        NewFile::new(path, 0o644).create(csr.as_bytes()).advise()?;
        let path = path.display();
        report::done(
            work.global(),
            &format!(
                "made     {path}\nnext: have it signed as a CA, then: slurm-pki vault setup --ca intermediate --signed FILE \
                 (its certificate first, then those above it)"
            ),
        );
        return Ok(false);
    }
    below_local(scene, work)
}

/// Signed by the CA whose key is in files here.
fn below_local(scene: &Scene<'_>, work: &Work<'_>) -> anyhow::Result<bool> {
    let files = &scene.admin.controller;
    let root_key = root_key_path(scene.admin);
    let key_path = if root_key.exists() { root_key } else { files.ca_key.clone() };
    let certificates = ca_files::ca_certificates(files).advise()?;
    let taken = certificates.common_names();
    let local = LocalCa::new(certificates, ca_files::ca_key(&key_path).advise()?).advise()?;
    let name = common_name(scene, " in Vault", &taken)?;
    let Some(csr) = request(scene, work, &taken)? else {
        report::line(&format!(
            "# then its CSR is signed with {}, and the certificate goes back:",
            key_path.display()
        ));
        return take(scene, work, &[]);
    };
    let key = csr::key_of(csr.as_bytes()).advise()?;
    let new = NewCa {
        common_name: &name,
        subject: &files.subject,
        serial: Serial::new(random::bytes().advise()?),
        validity: scene.options.likeness.ttl,
        backdate: files.backdate,
    };
    let signed = local.issue_intermediate_for(&key, &new, clock::now()).advise()?;
    report::done(work.global(), &format!("signed   {name}, with {}", key_path.display()));
    let mut all = vec![signed];
    all.extend(local.certificates().all().cloned());
    take(scene, work, &all)
}

/// A key in Vault and its request; none with `--dry-run`.
fn request(scene: &Scene<'_>, work: &Work<'_>, taken: &[Vec<u8>]) -> anyhow::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Made {
        csr: String,
    }
    let name = common_name(scene, " in Vault", taken)?;
    let path = format!("{}/intermediate/generate/internal", pki_engine(scene.config).advise()?.mount);
    let said = format!("made     key of the intermediate CA {name}");
    let Some(answer) = work.make(&said, &path, &Value::Object(body(scene, &name)))? else { return Ok(None) };
    let made: Made = answer.data("make an intermediate's request").map_err(of_vault).advise()?;
    Ok(Some(made.csr + "\n"))
}

/// Brings the signed intermediate and what stands above it into Vault, as the default issuer.
fn take(scene: &Scene<'_>, work: &Work<'_>, signed: &[X509]) -> anyhow::Result<bool> {
    #[derive(Default, Deserialize)]
    struct Imported {
        #[serde(default)]
        mapping: Map<String, Value>,
    }
    let mount = pki_engine(scene.config).advise()?.mount.to_string();
    let pem: Vec<_> = signed.iter().map(X509::to_pem).collect();
    let pem =
        if work.only_says() { "PEM of the certificate and those above it".into() } else { pem.concat() };
    let path = format!("{mount}/intermediate/set-signed");
    let answer = work.write("made     intermediate CA", &path, &json!({ "certificate": pem }))?;
    let Some(answer) = answer else { return Ok(true) };
    let imported: Imported = answer.data("take the intermediate in").map_err(of_vault).advise()?;
    let with_key = |(_, key): &(&String, &Value)| key.as_str().is_some_and(|key| !key.is_empty());
    let Some((id, _)) = imported.mapping.iter().find(with_key) else {
        return Err(Advice::new(
            "that certificate is for no key that the PKI engine has",
            "sign the request that --csr wrote, and give its certificate to --signed",
        )
        .into());
    };
    work.write("made     the default issuer", &format!("{mount}/config/issuers"), &json!({ "default": id }))?;
    if let Some(name) = &scene.options.likeness.issuer_name {
        let body = json!({ "issuer_name": name, "leaf_not_after_behavior": "err" });
        work.write(&format!("named    issuer {name}"), &format!("{mount}/issuer/{id}"), &body)?;
    }
    Ok(true)
}

/// Writes what hosts trust (`ca_cert`) and what is sent after a leaf (`ca_chain`), where it is missing. What hosts trust
/// already is never exchanged here.
fn install(scene: &Scene<'_>, work: &Work<'_>, issuer: &Issuer) -> anyhow::Result<()> {
    let files = &scene.admin.controller;
    let way = way_up(issuer)?;
    let Some(own) = way.first() else { return Err(no_issuer(scene)) };
    let making = Making::new(work.global());
    let (root, between): (Vec<&X509>, Vec<&X509>) = way.iter().partition(|ca| ca.is_self_issued());
    let chain: String = between.iter().map(|ca| ca.to_pem()).collect();
    if !files.ca_cert.exists() {
        let Some(root) = root.first() else { return Err(no_root(&files.ca_cert, own)) };
        let bundle = pad_bundle(root.to_pem());
        CaCertificates::from_pem(bundle.as_bytes(), Some(chain.as_bytes()).filter(|chain| !chain.is_empty()))
            .advise()?;
        if !between.is_empty() && !files.ca_chain.exists() {
            write_chain(scene, &making, &chain)?;
        }
        making.file(&files.ca_cert, CERTIFICATE_MODE, None, bundle.as_bytes())?;
        return Ok(());
    }
    let trusted = ca_files::ca_certificates(files).advise()?;
    if trusted.all().any(|ca| ca == own) {
        work.there(&format!("{} with this CA", files.ca_cert.display()));
        return Ok(());
    }
    let reached =
        way.iter().any(|ca| trusted.anchors.iter().any(|anchor| ca == anchor || ca.is_issued_by(anchor)));
    if !reached {
        return Err(no_root(&files.ca_cert, own));
    }
    let new = between.iter().filter(|ca| !trusted.all().any(|there| there == **ca));
    let chain: String = trusted.chain.iter().chain(new.copied()).map(X509::to_pem).collect();
    let bundle = file::read(&files.ca_cert, Keep::Intact, MAX_BUNDLE_PEM).advise()?;
    CaCertificates::from_pem(bundle.expose(), Some(chain.as_bytes())).advise()?;
    if making.only_says() {
        making.says(&files.ca_chain, CERTIFICATE_MODE, Some(scene.admin.slurm_user()?), " (this CA added)");
        return Ok(());
    }
    let owner = scene.admin.slurm_user_to_write_for()?;
    NewFile::new(&files.ca_chain, CERTIFICATE_MODE)
        .owned_by(Some(owner))
        .replace(chain.as_bytes())
        .advise()?;
    report::done(work.global(), &format!("changed  {}: this CA added", files.ca_chain.display()));
    Ok(())
}

fn write_chain(scene: &Scene<'_>, making: &Making<'_>, chain: &str) -> anyhow::Result<()> {
    let files = &scene.admin.controller;
    let owner = scene.admin.slurm_user_to_write_for()?;
    if let Some(folder) = files.ca_chain.parent() {
        if !files.top.state_dir.exists() {
            making.folder(&files.top.state_dir, STATE_DIR_MODE, owner)?;
        }
        making.folder(folder, 0o700, owner)?;
    }
    making.file(&files.ca_chain, CERTIFICATE_MODE, Some(owner), chain.as_bytes()).map(drop)
}

/// The issuer, and what stands above it as far as the engine knows.
fn way_up(issuer: &Issuer) -> anyhow::Result<Vec<X509>> {
    let mut way: Vec<X509> = Vec::new();
    for pem in std::iter::once(&issuer.certificate).chain(&issuer.ca_chain) {
        let all = X509::all_from_pem(pem.as_bytes(), MAX_CHAIN_PEM)
            .map_err(site::Error::contents(Path::new("Vault")));
        for ca in all.advise()? {
            if !way.contains(&ca) {
                way.push(ca);
            }
        }
    }
    Ok(way)
}

fn no_root(ca_cert: &Path, own: &X509) -> anyhow::Error {
    let (ca_cert, subject) = (ca_cert.display(), &own.facts().subject);
    Advice::new(
        format!("the CA in Vault ({subject}) is below none that {ca_cert} has"),
        format!(
            "put the root above it into {ca_cert}, as every host is to trust it, and run this again; where hosts trust \
             another CA already: slurm-pki ca rollover"
        ),
    )
    .into()
}
