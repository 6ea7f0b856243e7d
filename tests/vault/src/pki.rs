//! The PKI engine: issuers, keys, roles, signing.

use std::collections::BTreeMap;

use rcgen::{DnType, KeyPair, PublicKeyData};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::core::{Call, done, unsupported, uuid};
use crate::engine::{Answer, Done, Failed, Op, bad};
use crate::issuing::{self, Csr, NewCa, end_of, serial_of, spki_of, to_pem};
use crate::params::{Params, seconds};
use crate::role::Role;

#[derive(Debug, Default)]
pub(crate) struct Pki {
    /// In the order they came.
    issuers: Vec<Issuer>,
    keys: BTreeMap<String, Key>,
    roles: BTreeMap<String, Role>,
    default: Option<String>,
    follows_latest: bool,
    /// Those that a role without `no_store` made, by serial number.
    stored: BTreeMap<String, Vec<u8>>,
    revoked: Vec<String>,
}

#[derive(Clone, Debug)]
struct Issuer {
    id: String,
    name: String,
    der: Vec<u8>,
    key: Option<String>,
    behaviour: String,
    /// What it may be used for.
    usage: Vec<String>,
}

/// All there are, as an issuer has them when it is made.
const USAGES: [&str; 4] = ["crl-signing", "issuing-certificates", "ocsp-signing", "read-only"];

#[derive(Debug)]
struct Key {
    name: String,
    pair: KeyPair,
}

/// What needs no token: the CA's own certificates.
pub(crate) fn is_open(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["ca" | "ca_chain"] | ["ca", "pem"] | ["issuer", _, "pem" | "der" | "json"])
}

impl Pki {
    pub(crate) fn answer(&mut self, call: &Call<'_>, path: &str, max_lease: i64) -> Answer {
        let params = Params::of(&call.request.body);
        let parts: Vec<&str> = path.split('/').collect();
        let now = call.now;
        match (call.op, parts.as_slice()) {
            (Op::List, ["roles"]) => Done::keys(self.roles.keys().cloned().collect()),
            (Op::Read, ["roles", name]) => {
                Done::data(self.roles.get(*name).ok_or(Failed::Nothing)?.to_json())
            }
            (Op::Write, ["roles", name]) => self.write_role(name, &params),
            (Op::Patch, ["roles", name]) => {
                let there = self.roles.get(*name).ok_or(Failed::Nothing)?.to_json();
                let patched = merged(there, &call.request.body);
                // What is there is known, though nobody looks at it here.
                Ok(Done { warnings: Vec::new(), ..self.write_role(name, &Params::of(&patched))? })
            }
            (Op::Delete, ["roles", name]) => {
                self.roles.remove(*name);
                done()
            }
            (Op::Write, ["sign", role]) => self.sign(role, None, &params, max_lease, now),
            (Op::Write, ["issuer", reference, "sign", role]) => {
                self.sign(role, Some(*reference), &params, max_lease, now)
            }
            (Op::Write, ["root", "generate", "internal"] | ["issuers", "generate", "root", "internal"]) => {
                self.new_root(&params, max_lease, now)
            }
            (Op::Write, ["root", "rotate", "internal"]) => {
                let answer = self.new_root(&params, max_lease, now)?;
                self.default = self.issuers.last().map(|issuer| issuer.id.clone());
                Ok(answer)
            }
            (
                Op::Write,
                ["intermediate", "generate", "internal"]
                | ["issuers", "generate", "intermediate", "internal"],
            ) => self.new_intermediate(&params),
            (Op::Write, ["intermediate", "cross-sign"]) => self.cross_sign_request(&params),
            (Op::Write, ["intermediate", "set-signed"]) => self.import(&params.text("certificate")),
            (Op::Write, ["config", "ca"] | ["issuers", "import", "cert" | "bundle"]) => {
                self.import(&params.text("pem_bundle"))
            }
            (Op::Write, ["root", "sign-intermediate"]) => {
                self.sign_intermediate("default", &params, max_lease, now)
            }
            (Op::Write, ["issuer", reference, "sign-intermediate"]) => {
                self.sign_intermediate(reference, &params, max_lease, now)
            }
            _ => self.read_or_configure(call, &params, &parts),
        }
    }

    fn read_or_configure(&mut self, call: &Call<'_>, params: &Params<'_>, parts: &[&str]) -> Answer {
        match (call.op, parts) {
            (Op::List, ["issuers"]) => self.list_issuers(),
            (Op::Read, ["issuer", reference]) => {
                let issuer = self.issuer(reference)?;
                Done::data(self.shown(issuer))
            }
            (Op::Write, ["issuer", reference]) => self.update_issuer(reference, params),
            (Op::Patch, ["issuer", reference]) => {
                let there = self.shown(self.issuer(reference)?);
                let patched = merged(there, &call.request.body);
                self.update_issuer(reference, &Params::of(&patched))
            }
            (Op::Delete, ["issuer", reference]) => {
                let id = self.issuer(reference)?.id.clone();
                self.issuers.retain(|issuer| issuer.id != id);
                self.default.take_if(|default| *default == id);
                done()
            }
            (Op::List, ["keys"]) => Done::keys(self.keys.keys().cloned().collect()),
            (Op::Delete, ["key", id]) => {
                self.keys.remove(*id);
                done()
            }
            (Op::Read, ["config", "issuers"]) => {
                Done::data(json!({ "default": self.default.clone().unwrap_or_default(),
                    "default_follows_latest_issuer": self.follows_latest }))
            }
            (Op::Write, ["config", "issuers"] | ["root", "replace"]) => {
                let id = self.issuer(&params.text("default"))?.id.clone();
                self.default = Some(id.clone());
                self.follows_latest = params.flag("default_follows_latest_issuer", false);
                Done::data(json!({ "default": id, "default_follows_latest_issuer": false }))
            }
            (_, ["config", "urls" | "crl" | "cluster"]) => done(),
            (Op::Read, ["ca", "pem"]) => Err(Failed::Raw(to_pem(&self.issuer("default")?.der))),
            (Op::Read, ["ca_chain"]) => {
                let chain = self.chain(&self.issuer("default")?.der);
                Err(Failed::Raw(chain.iter().map(|der| to_pem(der)).collect::<Vec<_>>().join("\n")))
            }
            (Op::Read, ["issuer", reference, "pem"]) => {
                Err(Failed::Raw(to_pem(&self.issuer(reference)?.der)))
            }
            (Op::Read, ["issuer", reference, "json"]) => {
                let issuer = self.issuer(reference)?;
                Done::data(
                    json!({ "certificate": to_pem(&issuer.der), "ca_chain": self.chain_pem(&issuer.der),
                    "issuer_id": issuer.id, "issuer_name": issuer.name }),
                )
            }
            (Op::List, ["certs"]) => Done::keys(self.stored.keys().cloned().collect()),
            (Op::Read, ["cert", serial]) => {
                let der = self.stored.get(*serial).ok_or(Failed::Nothing)?;
                Done::data(json!({ "certificate": to_pem(der), "revocation_time": 0 }))
            }
            (Op::Write, ["revoke"]) => {
                self.revoked.push(params.text("serial_number"));
                Done::data(json!({ "revocation_time": call.now, "state": "revoked" }))
            }
            _ => unsupported(),
        }
    }

    fn write_role(&mut self, name: &str, params: &Params<'_>) -> Answer {
        let role = Role::of(params).map_err(bad)?;
        let data = role.to_json();
        self.roles.insert(name.to_owned(), role);
        Ok(Done { data: Some(data), warnings: params.unrecognized(), ..Done::default() })
    }

    fn sign(
        &mut self,
        role: &str,
        reference: Option<&str>,
        params: &Params<'_>,
        max_lease: i64,
        now: i64,
    ) -> Answer {
        let role = self.roles.get(role).ok_or_else(|| bad(format!("unknown role: {role}")))?.clone();
        let issuer = self.issuer(reference.unwrap_or(&role.issuer_ref))?.clone();
        may_issue(&issuer)?;
        let key = self.key_of(&issuer)?;
        let csr = Csr::parse(&params.text("csr"))?;
        let with = (issuer.der.as_slice(), key, issuer.behaviour.as_str());
        let (der, mut warnings) = issuing::leaf(&role, &csr, params, with, max_lease, now)?;
        if role.use_csr_common_name && !params.text("common_name").is_empty() {
            warnings.push(
                "the common_name field was provided but the role is set with \"use_csr_common_name\" set to true".into(),
            );
        }
        if role.use_csr_sans && !params.text("alt_names").is_empty() {
            warnings.push(
                "the alt_names field was provided but the role is set with \"use_csr_sans\" set to true"
                    .into(),
            );
        }
        for known in ["format", "private_key_format", "ip_sans", "uri_sans", "other_sans", "not_after"] {
            let _ = params.get(known);
        }
        let _ = (params.get("remove_roots_from_chain"), params.get("user_ids"), params.get("serial_number"));
        warnings.extend(params.unrecognized());
        if !role.no_store {
            self.stored.insert(serial_of(&der), der.clone());
        }
        let data = json!({
            "certificate": to_pem(&der),
            "issuing_ca": to_pem(&issuer.der),
            "ca_chain": self.chain_pem(&issuer.der),
            "serial_number": serial_of(&der),
            "expiration": end_of(&der),
            "not_before": now - role.not_before_duration,
        });
        Ok(Done { data: Some(data), warnings, ..Done::default() })
    }

    fn new_root(&mut self, params: &Params<'_>, max_lease: i64, now: i64) -> Answer {
        let name = params.text("issuer_name");
        if !name.is_empty() && (name == "default" || self.issuer(&name).is_ok()) {
            return Err(bad("issuer name already in use"));
        }
        let new = new_ca(params, max_lease, now)?;
        let key = self.new_key(params)?;
        let der = new.root(&self.keys[&key].pair);
        let (wanted, ends) = (params.seconds("ttl"), new.ends);
        let mut warnings = vec![NO_URLS.to_owned()];
        if wanted > ends - now {
            warnings.push(format!(
                "TTL \"{}\" is longer than permitted maxTTL \"{}\", so maxTTL is being used",
                crate::params::go(wanted),
                crate::params::go(ends - now)
            ));
        }
        let issuer = self.add(der, Some(key.clone()), &params.text("issuer_name"));
        if self.follows_latest {
            self.default = Some(issuer.id.clone());
        }
        let data = json!({
            "certificate": to_pem(&issuer.der),
            "issuing_ca": to_pem(&issuer.der),
            "serial_number": serial_of(&issuer.der),
            "expiration": end_of(&issuer.der),
            "issuer_id": issuer.id,
            "issuer_name": issuer.name,
            "key_id": key,
            "key_name": params.text("key_name"),
        });
        warnings.extend(params.unrecognized());
        Ok(Done { data: Some(data), warnings, ..Done::default() })
    }

    fn new_intermediate(&mut self, params: &Params<'_>) -> Answer {
        let new = new_ca(params, 1, 0)?;
        let key = self.new_key(params)?;
        let csr = new.csr(&self.keys[&key].pair);
        let data = json!({ "csr": csr, "key_id": key });
        Ok(Done { data: Some(data), warnings: params.unrecognized(), ..Done::default() })
    }

    /// A request for a key that is here already.
    fn cross_sign_request(&mut self, params: &Params<'_>) -> Answer {
        let reference = params.text("key_ref");
        let found = self.keys.iter().find(|(id, key)| **id == reference || key.name == reference);
        let by_issuer = || self.issuer("default").ok().and_then(|issuer| issuer.key.clone());
        let id =
            found.map(|(id, _)| id.clone()).or_else(by_issuer).ok_or_else(|| bad("unable to find key"))?;
        let new = new_ca(params, 1, 0)?;
        if params.get("key_type").is_some() || params.get("key_bits").is_some() {
            return Err(bad("key_type and key_bits are those of the key that is there"));
        }
        let data = json!({ "csr": new.csr(&self.keys[&id].pair), "key_id": id });
        Ok(Done { data: Some(data), warnings: vec![NO_URLS.to_owned()], ..Done::default() })
    }

    fn sign_intermediate(
        &mut self,
        reference: &str,
        params: &Params<'_>,
        max_lease: i64,
        now: i64,
    ) -> Answer {
        let issuer = self.issuer(reference)?.clone();
        may_issue(&issuer)?;
        let key = self.key_of(&issuer)?;
        let mut csr = Csr::parse(&params.text("csr"))?;
        let mut new = new_ca(params, max_lease, now)?;
        let mut warnings = vec![NO_URLS.to_owned()];
        if params.flag("use_csr_values", false) {
            csr.subject = Some(issuing::subject_of(&params.text("csr"))?);
        }
        // It may outlive the CA that signs it.
        if new.ends > end_of(&issuer.der) {
            warnings.push(
                "The expiration time for the signed certificate is after the CA's expiration time.".into(),
            );
        }
        new.skid = data_encoding::HEXLOWER_PERMISSIVE
            .decode(params.text("skid").replace(':', "").as_bytes())
            .ok()
            .filter(|skid| !skid.is_empty());
        let der = new.below(&csr, (&issuer.der, key));
        let _ = (params.get("format"), params.get("signature_bits"));
        let chain = [vec![to_pem(&der)], self.chain_pem(&issuer.der)].concat();
        let data = json!({
            "certificate": to_pem(&der),
            "issuing_ca": to_pem(&issuer.der),
            "ca_chain": chain,
            "serial_number": serial_of(&der),
            "expiration": end_of(&der),
        });
        warnings.extend(params.unrecognized());
        Ok(Done { data: Some(data), warnings, ..Done::default() })
    }

    /// Takes certificates in, and keys where there are some; an issuer belongs to the key that it carries.
    fn import(&mut self, bundle: &str) -> Answer {
        let blocks = pem::parse_many(bundle).map_err(|_| bad("provided PEM block contained no data"))?;
        let mut new_keys = Vec::new();
        for block in blocks.iter().filter(|block| block.tag().ends_with("PRIVATE KEY")) {
            let pair = KeyPair::try_from(block.contents()).map_err(|_| bad("unable to parse key"))?;
            let id = uuid();
            self.keys.insert(id.clone(), Key { name: String::new(), pair });
            new_keys.push(id);
        }
        let (mut imported, mut existing, mut mapping) = (Vec::new(), Vec::new(), Map::new());
        for block in blocks.iter().filter(|block| block.tag() == "CERTIFICATE") {
            let der = block.contents();
            if let Some(there) = self.issuers.iter().find(|issuer| issuer.der == der) {
                existing.push(there.id.clone());
                continue;
            }
            let spki = spki_of(der);
            let key = self.keys.iter().find(|(_, key)| key.pair.subject_public_key_info() == spki);
            let key = key.map(|(id, _)| id.clone());
            let issuer = self.add(der.to_vec(), key.clone(), "");
            mapping.insert(issuer.id.clone(), json!(key.unwrap_or_default()));
            imported.push(issuer.id);
        }
        if imported.is_empty() && existing.is_empty() && new_keys.is_empty() {
            return Err(bad("the PEM bundle holds neither certificate nor key"));
        }
        Done::data(json!({
            "imported_issuers": imported, "imported_keys": new_keys, "existing_issuers": existing,
            "existing_keys": [], "mapping": mapping,
        }))
    }

    fn add(&mut self, der: Vec<u8>, key: Option<String>, name: &str) -> Issuer {
        let issuer = Issuer {
            id: uuid(),
            name: name.into(),
            der,
            key,
            behaviour: "err".into(),
            usage: USAGES.map(str::to_owned).to_vec(),
        };
        // The first issuer with a key is the default one.
        if self.default.is_none() && issuer.key.is_some() {
            self.default = Some(issuer.id.clone());
        }
        self.issuers.push(issuer.clone());
        issuer
    }

    fn new_key(&mut self, params: &Params<'_>) -> Result<String, Failed> {
        let pair = issuing::new_key(&params.text("key_type"), params.number("key_bits", 0))?;
        let id = uuid();
        self.keys.insert(id.clone(), Key { name: params.text("key_name"), pair });
        Ok(id)
    }

    fn issuer(&self, reference: &str) -> Result<&Issuer, Failed> {
        let id = match reference {
            "default" => {
                let none = "no default issuer currently configured";
                self.default.clone().ok_or_else(|| bad(none))?
            }
            other => other.to_owned(),
        };
        let found =
            self.issuers.iter().find(|issuer| issuer.id == id || (issuer.name == id && !id.is_empty()));
        found.ok_or_else(|| bad(format!("unable to find PKI issuer for reference: {reference}")))
    }

    fn key_of(&self, issuer: &Issuer) -> Result<&KeyPair, Failed> {
        let key = issuer.key.as_ref().and_then(|id| self.keys.get(id)).map(|key| &key.pair);
        key.ok_or_else(|| bad("unable to use issuer: no key"))
    }

    /// The certificate and those above it that are here, the root included.
    fn chain(&self, der: &[u8]) -> Vec<Vec<u8>> {
        let mut chain = vec![der.to_vec()];
        let mut next = 0;
        while let Some(below) = chain.get(next).cloned() {
            for issuer in &self.issuers {
                if issuing::issued(&issuer.der, &below) && !chain.contains(&issuer.der) {
                    chain.push(issuer.der.clone());
                }
            }
            next += 1;
        }
        chain
    }

    fn chain_pem(&self, der: &[u8]) -> Vec<String> {
        self.chain(der).iter().map(|der| to_pem(der)).collect()
    }

    fn list_issuers(&self) -> Answer {
        let keys: Vec<_> = self.issuers.iter().map(|issuer| issuer.id.clone()).collect();
        if keys.is_empty() {
            return Err(Failed::Nothing);
        }
        let info = |issuer: &Issuer| {
            let is_default = self.default.as_ref() == Some(&issuer.id);
            let info = json!({ "issuer_name": issuer.name, "is_default": is_default,
                "key_id": issuer.key.clone().unwrap_or_default(), "serial_number": serial_of(&issuer.der) });
            (issuer.id.clone(), info)
        };
        let info: Map<String, Value> = self.issuers.iter().map(info).collect();
        Done::data(json!({ "keys": keys, "key_info": info }))
    }

    fn shown(&self, issuer: &Issuer) -> Value {
        json!({
            "issuer_id": issuer.id,
            "issuer_name": issuer.name,
            "key_id": issuer.key.clone().unwrap_or_default(),
            "certificate": to_pem(&issuer.der),
            "ca_chain": self.chain_pem(&issuer.der),
            "manual_chain": null,
            "leaf_not_after_behavior": issuer.behaviour,
            "usage": issuer.usage.join(","),
            "revoked": false,
        })
    }

    /// What is left out goes back to its default, as the documents say of this endpoint.
    fn update_issuer(&mut self, reference: &str, params: &Params<'_>) -> Answer {
        let id = self.issuer(reference)?.id.clone();
        let name = params.text("issuer_name");
        if !name.is_empty() && self.issuers.iter().any(|other| other.name == name && other.id != id) {
            return Err(bad("issuer name already in use"));
        }
        let usage = params.list("usage").unwrap_or_else(|| USAGES.map(str::to_owned).to_vec());
        if let Some(unknown) = usage.iter().find(|usage| !USAGES.contains(&usage.as_str())) {
            return Err(bad(format!("unable to parse specified usages: {unknown}")));
        }
        let issuer = self.issuers.iter_mut().find(|issuer| issuer.id == id).unwrap();
        issuer.name = name;
        // It is there always.
        issuer.usage = USAGES
            .iter()
            .filter(|known| **known == "read-only" || usage.iter().any(|usage| usage == **known))
            .map(|known| (*known).to_owned())
            .collect();
        let behaviour = params.text("leaf_not_after_behavior");
        issuer.behaviour = match behaviour.as_str() {
            "" => "err".into(),
            "err" | "truncate" | "permit" => behaviour,
            _ => return Err(bad("unknown value for field `leaf_not_after_behavior`")),
        };
        let _ = params.get("manual_chain");
        let issuer = issuer.clone();
        Done::data(self.shown(&issuer))
    }
}

/// What Vault says as long as nobody configured URLs.
const NO_URLS: &str = "This mount hasn't configured any authority information access (AIA) fields; this may make it harder \
    for systems to find missing certificates in the chain or to validate revocation status of certificates.";

fn may_issue(issuer: &Issuer) -> Result<(), Failed> {
    if issuer.usage.iter().any(|usage| usage == "issuing-certificates") {
        return Ok(());
    }
    let usages = issuer.usage.join(",");
    Err(Failed::Status(
        500,
        format!(
            "requested usage issuing-certificates for issuer [{}] but only had usage {usages}",
            issuer.id
        ),
    ))
}

/// RFC 7396, of one level: what these endpoints have.
fn merged(mut there: Value, patch: &Value) -> Value {
    for (name, value) in patch.as_object().into_iter().flatten() {
        there[name.as_str()] = value.clone();
    }
    there
}

fn new_ca(params: &Params<'_>, max_lease: i64, now: i64) -> Result<NewCa, Failed> {
    let common_name = params.text("common_name");
    if common_name.is_empty() && !params.flag("use_csr_values", false) {
        return Err(bad("the common_name field is required"));
    }
    let asked = params.seconds("ttl");
    let ttl = if asked == 0 { max_lease } else { asked.min(max_lease) };
    let path_len = u8::try_from(params.number("max_path_length", -1)).ok();
    let not_before = params.get("not_before_duration").and_then(Value::as_str).map_or(30, seconds);
    for known in
        ["alt_names", "ip_sans", "format", "private_key_format", "exclude_cn_from_sans", "issuer_name"]
    {
        let _ = params.get(known);
    }
    for known in ["key_type", "key_bits", "key_name", "key_ref", "signature_bits"] {
        let _ = params.get(known);
    }
    let _ = (params.get("permitted_dns_domains"), params.get("type"));
    let list = |name: &str| params.list(name).unwrap_or_default();
    let rest = vec![
        (DnType::CountryName, list("country")),
        (DnType::StateOrProvinceName, list("province")),
        (DnType::LocalityName, list("locality")),
        (DnType::OrganizationalUnitName, list("ou")),
    ];
    // A day that is given is not cut to the mount's life.
    let not_after = params.text("not_after");
    if !not_after.is_empty() && asked > 0 {
        return Err(bad(
            "Either ttl or not_after should be provided. Both should not be provided in the same request.",
        ));
    }
    let ends = if not_after.is_empty() {
        now + ttl
    } else {
        let time = OffsetDateTime::parse(&not_after, &Rfc3339);
        time.map_err(|_| bad(format!("parsing time {not_after:?}")))?.unix_timestamp()
    };
    Ok(NewCa {
        common_name,
        organization: params.list("organization").unwrap_or_default(),
        begins: now - not_before,
        rest,
        skid: None,
        ends,
        path_len,
    })
}
