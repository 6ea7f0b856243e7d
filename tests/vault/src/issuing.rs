//! Certificates: what a role makes of a request, CA certificates, the chain above an issuer.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::engine::{Failed, bad};
use crate::params::{Params, go};
use crate::role::{Role, is_host_name};

/// A request, as far as it counts.
pub(crate) struct Csr {
    pub(crate) common_name: String,
    dns: Vec<String>,
    spki: Vec<u8>,
    key_type: &'static str,
    key_bits: i64,
    /// All of its subject, where that is to be kept.
    pub(crate) subject: Option<rcgen::DistinguishedName>,
}

/// PEM of a certificate without the newline at its end, as the API has it.
pub(crate) fn to_pem(der: &[u8]) -> String {
    armored("CERTIFICATE", der)
}

fn armored(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config).trim_end().to_owned()
}

/// The serial number as the API has it: hex with colons.
pub(crate) fn serial_of(der: &[u8]) -> String {
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    certificate.raw_serial_as_string()
}

/// The end of a certificate's life, unix seconds.
pub(crate) fn end_of(der: &[u8]) -> i64 {
    X509Certificate::from_der(der).unwrap().1.validity().not_after.timestamp()
}

/// A certificate's public key, DER.
pub(crate) fn spki_of(der: &[u8]) -> Vec<u8> {
    X509Certificate::from_der(der).unwrap().1.public_key().raw.to_vec()
}

/// Whether `above` issued `below`.
pub(crate) fn issued(above: &[u8], below: &[u8]) -> bool {
    let (_, above) = X509Certificate::from_der(above).unwrap();
    let (_, below) = X509Certificate::from_der(below).unwrap();
    below.issuer() == above.subject() && below.verify_signature(Some(above.public_key())).is_ok()
}

impl Csr {
    /// Reads a request and checks its signature.
    pub(crate) fn parse(text: &str) -> Result<Self, Failed> {
        if text.is_empty() {
            return Err(bad("\"csr\" is empty"));
        }
        let block = pem::parse(text).map_err(|_| bad("csr contains no data"))?;
        let unreadable = || bad("certificate request could not be parsed");
        let (_, csr) = X509CertificationRequest::from_der(block.contents()).map_err(|_| unreadable())?;
        csr.verify_signature().map_err(|_| bad("request signature invalid"))?;
        let info = &csr.certification_request_info;
        let names = info.subject.iter_common_name().filter_map(|name| name.as_str().ok());
        let mut dns = Vec::new();
        for extension in csr.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(san) = extension {
                dns.extend(san.general_names.iter().filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    _ => None,
                }));
            }
        }
        let (key_type, key_bits) = match info.subject_pki.parsed().map_err(|_| unreadable())? {
            PublicKey::RSA(key) => ("rsa", i64::try_from(key.key_size()).unwrap()),
            PublicKey::EC(point) => ("ec", i64::try_from(point.key_size()).unwrap()),
            _ => ("ed25519", 0),
        };
        let common_name = names.last().unwrap_or("").to_owned();
        Ok(Self { common_name, dns, spki: info.subject_pki.raw.to_vec(), key_type, key_bits, subject: None })
    }
}

/// The subject of a request, to be kept as it is.
pub(crate) fn subject_of(text: &str) -> Result<rcgen::DistinguishedName, Failed> {
    let block = pem::parse(text).map_err(|_| bad("csr contains no data"))?;
    let (_, csr) = X509CertificationRequest::from_der(block.contents())
        .map_err(|_| bad("certificate request could not be parsed"))?;
    let mut name = rcgen::DistinguishedName::new();
    for attribute in csr.certification_request_info.subject.iter_attributes() {
        let kind = match attribute.attr_type().to_id_string().as_str() {
            "2.5.4.3" => DnType::CommonName,
            "2.5.4.6" => DnType::CountryName,
            "2.5.4.7" => DnType::LocalityName,
            "2.5.4.8" => DnType::StateOrProvinceName,
            "2.5.4.10" => DnType::OrganizationName,
            "2.5.4.11" => DnType::OrganizationalUnitName,
            other => return Err(bad(format!("this stand-in knows no attribute {other}"))),
        };
        name.push(kind, attribute.as_str().unwrap());
    }
    Ok(name)
}

/// A certificate that a role allows, and the warnings that go with it.
pub(crate) fn leaf(
    role: &Role,
    csr: &Csr,
    params: &Params<'_>,
    issuer: (&[u8], &KeyPair, &str),
    max_lease: i64,
    now: i64,
) -> Result<(Vec<u8>, Vec<String>), Failed> {
    let (ca, key, behaviour) = issuer;
    if role.key_type != "any" && role.key_type != csr.key_type {
        return Err(bad(format!("role requires keys of type {}", role.key_type)));
    }
    if csr.key_bits < role.key_bits {
        let (role, given) = (role.key_bits, csr.key_bits);
        return Err(bad(format!(
            "role requires a minimum of a {role}-bit key, but CSR's key is {given} bits"
        )));
    }
    let (common_name, dns) = names(role, csr, params)?;
    let mut warnings = Vec::new();
    let not_after = end(role, params, (ca, behaviour), max_lease, now, &mut warnings)?;
    let mut made = CertificateParams::default();
    made.serial_number = Some(serial());
    made.not_before = at(now - role.not_before_duration);
    made.not_after = at(not_after);
    made.distinguished_name = rcgen::DistinguishedName::new();
    let rest = [
        (DnType::CountryName, &role.country),
        (DnType::StateOrProvinceName, &role.province),
        (DnType::LocalityName, &role.locality),
        (DnType::OrganizationName, &role.organization),
        (DnType::OrganizationalUnitName, &role.ou),
    ];
    for (kind, values) in rest {
        values.iter().for_each(|value| made.distinguished_name.push(kind.clone(), value.as_str()));
    }
    made.distinguished_name.push(DnType::CommonName, common_name.as_str());
    let san = |name: &String| name.as_str().try_into().map(SanType::DnsName);
    made.subject_alt_names = dns.iter().map(san).collect::<Result<_, _>>().map_err(|_| bad("bad name"))?;
    made.is_ca = if role.basic_constraints_valid_for_non_ca { IsCa::ExplicitNoCa } else { IsCa::NoCa };
    made.key_usages = role.key_usage.iter().filter_map(|name| key_usage(name)).collect();
    made.extended_key_usages = extended(role);
    made.use_authority_key_identifier_extension = true;
    let public = SubjectPublicKeyInfo::from_der(&csr.spki).map_err(|_| bad("unknown key type in CSR"))?;
    let signer = Issuer::from_ca_cert_der(&CertificateDer::from(ca), key).unwrap();
    Ok((made.signed_by(&public, &signer).unwrap().der().to_vec(), warnings))
}

/// The names, by where the role takes them from, each of them allowed.
fn names(role: &Role, csr: &Csr, params: &Params<'_>) -> Result<(String, Vec<String>), Failed> {
    let from_csr = if role.use_csr_common_name { csr.common_name.clone() } else { String::new() };
    let common_name = if from_csr.is_empty() { params.text("common_name") } else { from_csr };
    if common_name.is_empty() && role.require_cn {
        return Err(bad(
            "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, \
             unless \"require_cn\" is set to false",
        ));
    }
    let mut dns = if role.use_csr_sans { csr.dns.clone() } else { Vec::new() };
    let mut add = |name: &str| {
        // IDNA with the strict rules knows no underscore.
        if name.contains('_') {
            return Err(bad("idna: disallowed rune U+005F"));
        }
        if is_host_name(name) && !dns.iter().any(|there| there == name) {
            dns.push(name.to_owned());
        }
        Ok(())
    };
    if !common_name.is_empty() && !params.flag("exclude_cn_from_sans", false) {
        add(&common_name)?;
    }
    let asked = params.list("alt_names").unwrap_or_default();
    if !role.use_csr_sans {
        asked.iter().try_for_each(|name| add(name))?;
    }
    if !common_name.is_empty() && !role.allows_common_name(&common_name) {
        return Err(bad(format!("common name {common_name} not allowed by this role")));
    }
    match dns.iter().find(|name| !role.allows(name)) {
        Some(name) => Err(bad(format!("subject alternate name {name} not allowed by this role"))),
        None => Ok((common_name, dns)),
    }
}

/// The end of a life: the ttl that was asked for, the role's, the mount's; cut to the longest allowed, with a warning; not
/// beyond the CA's own.
fn end(
    role: &Role,
    params: &Params<'_>,
    (ca, behaviour): (&[u8], &str),
    max_lease: i64,
    now: i64,
    warnings: &mut Vec<String>,
) -> Result<i64, Failed> {
    let asked = params.seconds("ttl");
    let mut ttl = [asked, role.ttl, max_lease].into_iter().find(|ttl| *ttl > 0).unwrap_or(max_lease);
    let most = if role.max_ttl > 0 { role.max_ttl } else { max_lease };
    if ttl > most {
        let (ttl_text, most_text) = (go(ttl), go(most));
        warnings.push(format!(
            "TTL \"{ttl_text}\" is longer than permitted maxTTL \"{most_text}\", so maxTTL is being used"
        ));
        ttl = most;
    }
    let (end, last) = (now + ttl, end_of(ca));
    match behaviour {
        _ if end <= last => Ok(end),
        "truncate" => Ok(last),
        "permit" => Ok(end),
        _ => Err(bad(
            "cannot satisfy request, as TTL would result in notAfter that is beyond the expiration of the CA certificate",
        )),
    }
}

fn key_usage(name: &str) -> Option<KeyUsagePurpose> {
    match name {
        "DigitalSignature" => Some(KeyUsagePurpose::DigitalSignature),
        "KeyAgreement" => Some(KeyUsagePurpose::KeyAgreement),
        "KeyEncipherment" => Some(KeyUsagePurpose::KeyEncipherment),
        "CertSign" => Some(KeyUsagePurpose::KeyCertSign),
        _ => None,
    }
}

fn extended(role: &Role) -> Vec<ExtendedKeyUsagePurpose> {
    use ExtendedKeyUsagePurpose as Purpose;
    let named = |name: &str| role.ext_key_usage.iter().any(|usage| usage == name);
    let all = [
        (role.server_flag || named("ServerAuth"), Purpose::ServerAuth),
        (role.client_flag || named("ClientAuth"), Purpose::ClientAuth),
        (role.code_signing_flag || named("CodeSigning"), Purpose::CodeSigning),
        (role.email_protection_flag || named("EmailProtection"), Purpose::EmailProtection),
    ];
    all.into_iter().filter(|(given, _)| *given).map(|(_, purpose)| purpose).collect()
}

/// What a CA certificate is to say.
pub(crate) struct NewCa {
    pub(crate) common_name: String,
    pub(crate) organization: Vec<String>,
    /// C, ST, L, OU.
    pub(crate) rest: Vec<(DnType, Vec<String>)>,
    /// The key identifier, where it is not made of the key.
    pub(crate) skid: Option<Vec<u8>>,
    pub(crate) begins: i64,
    pub(crate) ends: i64,
    pub(crate) path_len: Option<u8>,
}

impl NewCa {
    fn params(&self) -> CertificateParams {
        let mut made = CertificateParams::default();
        made.serial_number = Some(serial());
        made.not_before = at(self.begins);
        made.not_after = at(self.ends);
        made.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, values) in &self.rest {
            values.iter().for_each(|value| made.distinguished_name.push(kind.clone(), value.as_str()));
        }
        self.organization
            .iter()
            .for_each(|value| made.distinguished_name.push(DnType::OrganizationName, value.as_str()));
        made.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        made.is_ca =
            IsCa::Ca(self.path_len.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
        made.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        made
    }

    /// A root.
    pub(crate) fn root(&self, key: &KeyPair) -> Vec<u8> {
        self.params().self_signed(key).unwrap().der().to_vec()
    }

    /// A CA below another one, for the key of a request.
    pub(crate) fn below(&self, csr: &Csr, (ca, key): (&[u8], &KeyPair)) -> Vec<u8> {
        let mut params = self.params();
        if let Some(name) = &csr.subject {
            params.distinguished_name = name.clone();
        }
        if let Some(skid) = &self.skid {
            params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(skid.clone());
        }
        params.use_authority_key_identifier_extension = true;
        let public = SubjectPublicKeyInfo::from_der(&csr.spki).unwrap();
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(ca), key).unwrap();
        params.signed_by(&public, &issuer).unwrap().der().to_vec()
    }

    /// A request of this name.
    pub(crate) fn csr(&self, key: &KeyPair) -> String {
        let mut params = self.params();
        params.is_ca = IsCa::NoCa;
        params.key_usages.clear();
        params.serial_number = None;
        armored("CERTIFICATE REQUEST", params.serialize_request(key).unwrap().der())
    }
}

/// A fresh key; only elliptic ones are made here.
pub(crate) fn new_key(key_type: &str, bits: i64) -> Result<KeyPair, Failed> {
    match (key_type, bits) {
        ("ec" | "", 0 | 256) => Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()),
        ("ec", 384) => Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
        (other, bits) => Err(bad(format!("this stand-in makes no key of type {other} with {bits} bits"))),
    }
}

fn serial() -> SerialNumber {
    let mut bytes = [0; 20];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn at(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix).unwrap()
}
