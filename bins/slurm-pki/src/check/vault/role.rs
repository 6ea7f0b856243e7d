//! The PKI engine's roles against this site's policy, the names in them against those that are enrolled, and the issuer
//! against what every host trusts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pki::ca::CaCertificates;
use pki::key::KeyKind;
use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::x509::X509;
use serde_json::Value;
use signer::pki_engine;
use site::signer::ca_certificates;
use vault::Client;
use vault::pki_engine::{Issuer, PkiEngine};

use super::super::expiry;
use super::super::finding::{Findings, Severity};
use super::{Look, PATIENCE, SETUP, told};
use crate::moment;
use crate::vault::names;
use crate::vault::role::{Settings, domains_of, names_in};

/// How many names a finding shows.
const SHOWN: usize = 8;

/// Looks at both roles, by a person's token.
pub(super) fn look(look: &Look<'_>, found: &mut Findings) {
    if !look.signs {
        return;
    }
    let Some(admin) = look.admin(found) else { return };
    let engine = match pki_engine(&look.config) {
        Ok(engine) => engine,
        Err(e) => return found.critical_error("vault-config", &e),
    };
    let controller = &look.scene.admin.controller;
    let (role, daemon_role) = (&look.config.role, &look.config.daemon_role);
    if let Some(settings) = settings(&engine, admin, role, Severity::Critical, found) {
        judge(role, &settings, controller.validity, &controller.allowed_keys, look, found);
        enrolled_names(look, role, &settings, found);
        // Thousands of records were read meanwhile.
        admin.give_until(Instant::now() + PATIENCE);
        issuer(look, &engine, admin, &settings, found);
    }
    if let Some(settings) = settings(&engine, admin, daemon_role, Severity::Warning, found) {
        judge(daemon_role, &settings, Duration::ZERO, &[], look, found);
    }
}

/// A role, which lacks as badly as `severity`.
fn settings(
    engine: &PkiEngine,
    admin: &Client,
    role: &str,
    severity: Severity,
    found: &mut Findings,
) -> Option<Settings> {
    let settings = told(found, "vault-role", &format!("the role {role}"), engine.role(admin, role))?;
    if settings.is_none() {
        let what = format!("{} has no role {role}", engine.mount);
        found.add_as(severity, "vault-role", what, "slurm-pki vault setup makes it");
    }
    settings
}

/// Each setting that opens the role wider than the policy, or has it make what is not handed out. A `life` of zero and no
/// keys are not looked at.
fn judge(
    role: &str,
    settings: &Settings,
    life: Duration,
    keys: &[KeyKind],
    look: &Look<'_>,
    found: &mut Findings,
) {
    let before = found.all().len();
    for (severity, wrong) in wrongs(settings, life, keys, look.scene.admin.controller.backdate) {
        found.add_as(severity, "vault-role", format!("the role {role}: {wrong}"), SETUP);
    }
    if found.all().len() == before {
        found.ok("vault-role", format!("the role {role} is as narrow as the policy"));
    }
}

fn flag(settings: &Settings, name: &str) -> bool {
    settings.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn seconds(settings: &Settings, name: &str) -> u64 {
    settings.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn texts(settings: &Settings, name: &str) -> Vec<String> {
    let list = settings.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn wrongs(
    settings: &Settings,
    life: Duration,
    keys: &[KeyKind],
    backdate: Duration,
) -> Vec<(Severity, String)> {
    let open = ["allow_any_name", "allow_glob_domains", "allow_subdomains", "allow_wildcard_certificates"];
    let loose = [
        "allow_localhost",
        "allow_ip_sans",
        "allowed_domains_template",
        "use_csr_common_name",
        "use_csr_sans",
    ];
    let usages = ["code_signing_flag", "email_protection_flag"];
    let set = |names: &[&str], severity, why: &str| -> Vec<(Severity, String)> {
        let wrong = names.iter().filter(|name| flag(settings, name));
        wrong.map(|name| (severity, format!("{name} is set: {why}"))).collect()
    };
    let mut all = set(&open, Severity::Critical, "it signs for names that nobody enrolled");
    all.extend(set(&loose, Severity::Warning, "it signs for more than the enrolled names"));
    all.extend(set(&usages, Severity::Critical, "such a certificate is not handed out"));
    for name in ["allowed_uri_sans", "allowed_other_sans"] {
        if !texts(settings, name).is_empty() {
            all.push((
                Severity::Warning,
                format!("{name} is not empty: it signs for more than the enrolled names"),
            ));
        }
    }
    for name in ["server_flag", "client_flag", "allow_bare_domains"] {
        if !flag(settings, name) {
            let why = "every daemon is server and client, under its own bare name";
            all.push((Severity::Critical, format!("{name} is not set: {why}")));
        }
    }
    if texts(settings, "key_usage") != ["DigitalSignature"] || !texts(settings, "ext_key_usage").is_empty() {
        let why =
            "key_usage is to be DigitalSignature alone and ext_key_usage empty: others are not handed out";
        all.push((Severity::Critical, why.into()));
    }
    all.extend(keys.iter().filter_map(|kind| key_problem(settings, *kind)));
    all.extend(times(settings, life, backdate));
    if !flag(settings, "no_store") {
        let why = "no_store is not set: each renewal of each node stays in Vault's storage";
        all.push((Severity::Warning, why.into()));
    }
    all
}

fn times(settings: &Settings, life: Duration, backdate: Duration) -> Vec<(Severity, String)> {
    let mut all = Vec::new();
    let max = Duration::from_secs(seconds(settings, "max_ttl"));
    if !max.is_zero() && max < life {
        let (max, life) = (moment::span(max), moment::span(life));
        all.push((
            Severity::Critical,
            format!("max_ttl is {max}, less than validity ({life}): nothing is handed out"),
        ));
    }
    let before = Duration::from_secs(seconds(settings, "not_before_duration"));
    if before < backdate {
        let (before, backdate) = (moment::span(before), moment::span(backdate));
        let why = "nodes whose clocks are behind refuse a new certificate";
        all.push((
            Severity::Warning,
            format!("not_before_duration is {before}, less than backdate ({backdate}): {why}"),
        ));
    }
    all
}

/// What of allowed_keys the role does not sign.
fn key_problem(settings: &Settings, kind: KeyKind) -> Option<(Severity, String)> {
    let key_type = settings.get("key_type").and_then(Value::as_str).unwrap_or_default();
    let bits = seconds(settings, "key_bits");
    // For elliptic curves and RSA alike the bits are the fewest that are taken.
    let taken = match (key_type, kind) {
        ("any", _) => true,
        ("ec", KeyKind::P256) => bits <= 256,
        ("ec", KeyKind::P384) => bits <= 384,
        ("rsa", KeyKind::Rsa) => bits <= 2048,
        _ => false,
    };
    let word = match kind {
        KeyKind::P256 => "p256",
        KeyKind::P384 => "p384",
        KeyKind::Rsa => "rsa",
    };
    let why = || {
        format!(
            "key_type is {key_type} with {bits} bits: nodes with a {word} key, in allowed_keys, get nothing"
        )
    };
    (!taken).then(|| (Severity::Critical, why()))
}

/// Enrolled, and not in the role: no certificate. In the role, and not enrolled: whoever steals the programs' login can
/// have it signed.
fn enrolled_names(look: &Look<'_>, role: &str, settings: &Settings, found: &mut Findings) {
    let allowed: BTreeSet<String> = names_in(settings);
    let wanted = match enrolled(look) {
        Ok(wanted) => wanted,
        Err(e) => return found.error(Severity::Unknown, "vault-names", &e),
    };
    let list = |names: Vec<&String>| {
        let rest = names.len().saturating_sub(SHOWN);
        let shown = names.into_iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if rest == 0 { shown } else { format!("{shown} and {rest} others") }
    };
    let missing: Vec<_> = wanted.difference(&allowed).collect();
    let many: Vec<_> = allowed.difference(&wanted).collect();
    if missing.is_empty() && many.is_empty() {
        found.ok("vault-names", format!("the role {role} has the names of the enrolled nodes"));
    }
    if !missing.is_empty() {
        let what = format!(
            "enrolled, and not in the role {role}, so that they get no certificate: {}",
            list(missing)
        );
        found.critical("vault-names", what, "slurm-pki vault setup writes the enrolled names into the role");
    }
    if !many.is_empty() {
        let what = format!("in the role {role}, and not enrolled: {}", list(many));
        found.warning("vault-names", what, "slurm-pki vault setup takes them out of the role");
    }
}

/// The names that the role is to have: of every node whose records, or whose line of the list, still speak for it.
fn enrolled(look: &Look<'_>) -> anyhow::Result<BTreeSet<String>> {
    let admin = &look.scene.admin;
    let living = names::enrolled(look.global, admin, Some(&admin.store()?))?.names;
    Ok(domains_of(&admin.controller, &living))
}

/// What signs has to lead to what every host trusts, or nothing is handed out.
fn issuer(look: &Look<'_>, engine: &PkiEngine, admin: &Client, role: &Settings, found: &mut Findings) {
    let reference = role.get("issuer_ref").and_then(Value::as_str).unwrap_or("default");
    let issuer = engine.issuer(admin, reference);
    let Some(issuer) = told(found, "vault-issuer", &format!("the issuer {reference}"), issuer) else {
        return;
    };
    let Some(issuer) = issuer else {
        let what = format!("{} has no issuer {reference}: it has no CA that could sign", engine.mount);
        return found.critical(
            "vault-issuer",
            what,
            "slurm-pki vault setup --ca root, intermediate or existing",
        );
    };
    if issuer.key_id.is_empty() {
        let what = format!("the issuer {reference} has no key in Vault: it cannot sign");
        found.critical(
            "vault-issuer",
            what,
            "set the role's issuer_ref to the one that has: vault list -detailed pki/issuers",
        );
    }
    let certificates = match ca_certificates(&look.scene.admin.controller) {
        Ok(certificates) => certificates,
        Err(e) => return found.file_error("vault-issuer", &e),
    };
    let Some((own, above)) = chain(&issuer) else {
        let what = format!("the issuer {reference} is no certificate that can be read");
        return found.critical("vault-issuer", what, "see it: vault read pki/issuer/default");
    };
    let what = format!("the CA in Vault, {},", own.facts().subject);
    if is_trusted(&own, &above, &certificates) {
        found.ok("vault-issuer", format!("{what} is trusted by ca_cert"));
    } else {
        let fix = "put its root into ca_cert on every host, and what is between into ca_chain: slurm-pki vault setup writes both";
        found.critical(
            "vault-issuer",
            format!("{what} is not trusted by ca_cert: nothing is handed out"),
            fix,
        );
    }
    let (thresholds, now) = (&look.scene.thresholds, look.scene.now);
    expiry::look(found, "vault-issuer-expiry", &what, &own, thresholds, now, "slurm-pki ca rollover begin");
}

fn chain(issuer: &Issuer) -> Option<(X509, Vec<X509>)> {
    let one = |pem: &str| X509::all_from_pem(pem.as_bytes(), MAX_CHAIN_PEM).ok();
    let own = one(&issuer.certificate)?.into_iter().next()?;
    let above = issuer.ca_chain.iter().filter_map(|pem| one(pem)).flatten().collect();
    Some((own, above))
}

/// Whether a way leads up to an anchor, by what the engine sends along and ca_chain.
fn is_trusted(own: &X509, above: &[X509], certificates: &CaCertificates) -> bool {
    let pool: Vec<&X509> = above.iter().chain(&certificates.chain).collect();
    let mut way = vec![own];
    let mut at = 0;
    while let Some(&below) = way.get(at) {
        at += 1;
        if certificates.anchors.iter().any(|anchor| below == anchor || below.is_issued_by(anchor)) {
            return true;
        }
        let next: Vec<_> =
            pool.iter().copied().filter(|one| !way.contains(one) && below.is_issued_by(one)).collect();
        way.extend(next);
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn good() -> Value {
        json!({
            "allow_bare_domains": true, "server_flag": true, "client_flag": true, "no_store": true,
            "key_usage": ["DigitalSignature"], "key_type": "any", "max_ttl": 7 * 86_400, "not_before_duration": 300,
        })
    }

    fn worst(name: &str, value: Value) -> Option<Severity> {
        let mut settings = good();
        settings[name] = value;
        let Value::Object(settings) = settings else { panic!("no role") };
        let keys = [KeyKind::P256, KeyKind::P384, KeyKind::Rsa];
        let all = wrongs(&settings, DAY * 7, &keys, Duration::from_secs(300));
        assert!(all.iter().all(|(_, why)| why.len() > 20));
        all.into_iter().map(|(severity, _)| severity).max()
    }

    #[test]
    fn each_setting_that_is_too_wide_or_of_no_use_is_found() {
        assert_eq!(worst("no_store", json!(true)), None);
        for (name, value) in [
            ("allow_any_name", json!(true)),
            ("allow_wildcard_certificates", json!(true)),
            ("allow_subdomains", json!(true)),
            ("allow_glob_domains", json!(true)),
            ("server_flag", json!(false)),
            ("client_flag", json!(null)),
            ("allow_bare_domains", json!(false)),
            ("code_signing_flag", json!(true)),
            ("key_usage", json!(["DigitalSignature", "KeyEncipherment"])),
            ("ext_key_usage", json!(["TimeStamping"])),
            ("max_ttl", json!(86_400)),
            ("key_type", json!("ec")),
        ] {
            assert_eq!(worst(name, value), Some(Severity::Critical), "{name}");
        }
        for (name, value) in [
            ("allow_localhost", json!(true)),
            ("allow_ip_sans", json!(true)),
            ("use_csr_sans", json!(true)),
            ("allowed_uri_sans", json!(["*"])),
            ("not_before_duration", json!(30)),
            ("no_store", json!(false)),
        ] {
            assert_eq!(worst(name, value), Some(Severity::Warning), "{name}");
        }
        // None of its own: the mount's counts.
        assert_eq!(worst("max_ttl", json!(0)), None);
    }
}
