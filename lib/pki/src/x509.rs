//! Certificates as we read them: RFC 5280, owned, with the few facts that we judge.

use std::collections::BTreeSet;
use std::fmt;

use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, OidEntry, OidRegistry,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AlgorithmIdentifier, X509Name};

use crate::armor::{self, PemError};
use crate::explain::Explain;
use crate::key::PublicKey;
use crate::shape;
use crate::time::UnixTime;

/// A certificate, parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct X509 {
    der: Vec<u8>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    facts: Facts,
}

/// What a certificate says, as far as we judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Every commonName of the subject, as bytes.
    pub common_names: Vec<Vec<u8>>,
    /// The subject as text (`CN=n1, O=site`), escaped for a terminal.
    pub subject: String,
    /// The issuer as text, escaped for a terminal.
    pub issuer: String,
    /// The serial number, lower-case hex.
    pub serial: String,
    /// First second of its life.
    pub not_before: UnixTime,
    /// Last second of its life.
    pub not_after: UnixTime,
    /// DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// basicConstraints CA:TRUE.
    pub ca: bool,
    /// How many further CA certificates may stand below it.
    pub path_len: Option<u32>,
    /// dNSName entries of the subjectAltName; `None` without that extension.
    pub dns: Option<Vec<String>>,
    /// Whether the subjectAltName has entries of other types.
    pub other_names: bool,
    /// keyUsage, where present: digitalSignature and keyCertSign.
    pub key_usage: Option<(bool, bool)>,
    /// extendedKeyUsage, where present: serverAuth and clientAuth.
    pub extended_key_usage: Option<(bool, bool)>,
    /// nsCertType, where present: SSL server and SSL client. OpenSSL still heeds it.
    pub netscape_type: Option<(bool, bool)>,
    /// Whether its signature is one that Slurm's TLS policy refuses (SHA-1, Ed25519: slurm-contract.md 3.3).
    pub weak_signature: bool,
    /// A critical extension that OpenSSL does not know: it refuses the certificate for that.
    pub unknown_critical: bool,
    /// nameConstraints, where present.
    pub name_constraints: Option<NameConstraints>,
    /// subjectKeyIdentifier, where present.
    pub subject_key_id: Option<Vec<u8>>,
    /// keyIdentifier of the authorityKeyIdentifier, where present.
    pub authority_key_id: Option<Vec<u8>>,
    /// Serial number in the authorityKeyIdentifier, lower-case hex, where present.
    pub authority_serial: Option<String>,
}

/// Which DNS names may stand below a CA (RFC 5280 §4.2.1.10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Where not empty: a name must lie in one of these.
    pub permitted: Vec<String>,
    /// A name must lie in none of these.
    pub excluded: Vec<String>,
    /// Whether there are constraints on names of other kinds, which we do not judge.
    pub others: bool,
}

/// Why a certificate cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum X509Error {
    /// Not PEM, or other blocks in it.
    Pem(PemError),
    /// Not the DER of a certificate, or bytes after it.
    Der,
    /// An extension that we judge, in a form we cannot read.
    Extension,
}

impl fmt::Display for X509Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(e) => e.fmt(f),
            Self::Der => f.write_str("not the DER of one certificate"),
            Self::Extension => f.write_str("a certificate with an extension that cannot be read"),
        }
    }
}

impl Explain for X509Error {
    fn hint(&self) -> String {
        "look at it with: openssl x509 -in FILE -noout -text".into()
    }
}

impl X509 {
    /// Reads one DER certificate.
    ///
    /// # Errors
    /// When it is not one certificate, or has an extension that we judge but cannot read.
    pub fn from_der(der: &[u8]) -> Result<Self, X509Error> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| X509Error::Der)?;
        if !rest.is_empty() || !shape::is_strict(der) {
            return Err(X509Error::Der);
        }
        Ok(Self {
            der: der.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            facts: Facts::of(&parsed)?,
        })
    }

    /// Every certificate of a PEM text, in order; at most `limit` bytes, and no other blocks.
    ///
    /// # Errors
    /// When there is none, or anything else in a block.
    pub fn all_from_pem(text: &[u8], limit: usize) -> Result<Vec<Self>, X509Error> {
        let blocks = armor::blocks(text, limit).map_err(X509Error::Pem)?;
        if blocks.is_empty() {
            return Err(X509Error::Pem(PemError::NoBlock));
        }
        blocks
            .into_iter()
            .map(|block| match block.label.as_str() {
                "CERTIFICATE" => Self::from_der(block.der.expose()),
                _ => Err(X509Error::Pem(PemError::Label(block.label))),
            })
            .collect()
    }

    /// The DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// One PEM block.
    #[must_use]
    pub fn to_pem(&self) -> String {
        armor::public("CERTIFICATE", &self.der)
    }

    /// SHA-256 of its DER, lower-case hex: what people compare.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// What it says.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Issuer name equal to subject name, but for the case of letters: what s2n calls self-signed
    /// (slurm-contract.md 3.4).
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject.eq_ignore_ascii_case(&self.issuer)
    }

    /// Whether the two carry the same subject, byte for byte.
    #[must_use]
    pub fn same_subject(&self, other: &Self) -> bool {
        self.subject == other.subject
    }

    /// Whether `issuer`'s name, key identifier and key are the ones that signed this certificate. No for
    /// a key of a kind that we do not take.
    #[must_use]
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        if !self.names_as_issuer(issuer) {
            return false;
        }
        let (Ok((_, this)), Ok((_, above))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        // The signature check looks at the key's bits alone, not at what it says it is.
        PublicKey::from_spki(&issuer.facts.spki).is_ok()
            && this.verify_signature(Some(above.public_key())).is_ok()
    }

    /// Whether OpenSSL takes `issuer` for the issuer before it has looked at the signature: by its name,
    /// and by its key identifier where there is one (RFC 5280 §4.2.1.1).
    #[must_use]
    pub fn names_as_issuer(&self, issuer: &Self) -> bool {
        let (below, above) = (&self.facts, &issuer.facts);
        let same_key = match (&below.authority_key_id, &above.subject_key_id) {
            (Some(wanted), Some(is)) => wanted == is,
            _ => true,
        };
        self.issuer == issuer.subject
            && same_key
            && below.authority_serial.as_ref().is_none_or(|wanted| *wanted == above.serial)
    }

    /// Whether `now` lies within its life. The last second is out already: OpenSSL calls a certificate
    /// expired in the very second of its notAfter, where RFC 5280 §4.1.2.5 still counts it in.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        self.facts.not_before <= now && now < self.facts.not_after
    }

    /// Whether the name constraints of this CA let `leaf` stand below it. Names are its dNSNames, or
    /// its CN where it has none; constraints on names of other kinds are answered with no.
    #[must_use]
    pub fn permits(&self, leaf: &Self) -> bool {
        let Some(constraints) = &self.facts.name_constraints else { return true };
        let dns = leaf.facts.dns.as_deref().unwrap_or_default();
        let names: Vec<&[u8]> = match dns {
            [] => leaf.facts.common_names.iter().map(Vec::as_slice).collect(),
            dns => dns.iter().map(String::as_bytes).collect(),
        };
        let lies_in =
            |name: &[u8], bases: &[String]| bases.iter().any(|base| is_below(name, base.as_bytes()));
        !constraints.others
            && names.iter().all(|name| {
                (constraints.permitted.is_empty() || lies_in(name, &constraints.permitted))
                    && !lies_in(name, &constraints.excluded)
            })
    }
}

impl fmt::Debug for X509 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X509({})", self.facts.subject)
    }
}

impl Facts {
    fn of(parsed: &X509Certificate<'_>) -> Result<Self, X509Error> {
        let mut facts = Self {
            common_names: parsed
                .subject()
                .iter_common_name()
                .map(|cn| cn.attr_value().data.to_vec())
                .collect(),
            subject: shown_name(parsed.subject()),
            issuer: shown_name(parsed.issuer()),
            serial: data_encoding::HEXLOWER.encode(strip_zero(parsed.raw_serial())),
            not_before: UnixTime(parsed.validity().not_before.timestamp()),
            not_after: UnixTime(parsed.validity().not_after.timestamp()),
            spki: parsed.public_key().raw.to_vec(),
            ca: false,
            path_len: None,
            dns: None,
            other_names: false,
            key_usage: None,
            extended_key_usage: None,
            netscape_type: None,
            weak_signature: is_weak(&parsed.signature_algorithm),
            unknown_critical: parsed.extensions().iter().any(|e| e.critical && !is_known(e)),
            name_constraints: None,
            subject_key_id: None,
            authority_key_id: None,
            authority_serial: None,
        };
        // One that comes twice makes OpenSSL refuse the certificate.
        let mut seen = BTreeSet::new();
        if !parsed.extensions().iter().all(|extension| seen.insert(extension.oid.as_bytes())) {
            return Err(X509Error::Extension);
        }
        for extension in parsed.extensions() {
            facts.add(extension)?;
        }
        Ok(facts)
    }

    fn add(&mut self, extension: &X509Extension<'_>) -> Result<(), X509Error> {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                self.ca = basic.ca;
                self.path_len = basic.path_len_constraint;
            }
            ParsedExtension::KeyUsage(usage) => {
                self.key_usage = Some((usage.digital_signature(), usage.key_cert_sign()));
            }
            // anyExtendedKeyUsage is not counted: OpenSSL wants the purpose itself to be named.
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.extended_key_usage = Some((usage.server_auth, usage.client_auth));
            }
            ParsedExtension::NSCertType(usage) => {
                self.netscape_type = Some((usage.ssl_server(), usage.ssl_client()));
            }
            ParsedExtension::SubjectAlternativeName(san) => {
                let names = self.dns.get_or_insert_default();
                for name in &san.general_names {
                    match name {
                        GeneralName::DNSName(dns) => names.push((*dns).to_owned()),
                        _ => self.other_names = true,
                    }
                }
            }
            ParsedExtension::NameConstraints(constraints) => {
                let found = self.name_constraints.get_or_insert_default();
                for subtree in constraints.permitted_subtrees.iter().flatten() {
                    found.others |= add_dns(&mut found.permitted, subtree).is_none();
                }
                for subtree in constraints.excluded_subtrees.iter().flatten() {
                    found.others |= add_dns(&mut found.excluded, subtree).is_none();
                }
            }
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(above) => {
                self.authority_key_id = above.key_identifier.as_ref().map(|id| id.0.to_vec());
                self.authority_serial =
                    above.authority_cert_serial.map(|n| data_encoding::HEXLOWER.encode(strip_zero(n)));
            }
            ParsedExtension::ParseError { .. } => return Err(X509Error::Extension),
            _ => {}
        }
        Ok(())
    }
}

fn add_dns(names: &mut Vec<String>, subtree: &GeneralSubtree<'_>) -> Option<()> {
    match subtree.base {
        GeneralName::DNSName(dns) => names.push(dns.to_owned()),
        _ => return None,
    }
    Some(())
}

/// Whether a DNS name is `base` or below it.
fn is_below(name: &[u8], base: &[u8]) -> bool {
    let Some(at) = name.len().checked_sub(base.len()) else { return false };
    let (front, end) = name.split_at(at);
    let at_a_dot = base.is_empty() || base.starts_with(b".") || front.is_empty() || front.ends_with(b".");
    at_a_dot && end.eq_ignore_ascii_case(base)
}

/// The extensions that both OpenSSL and AWS-LC, the libraries s2n is built on, take as critical.
fn is_known(extension: &X509Extension<'_>) -> bool {
    matches!(
        extension.parsed_extension(),
        ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::NameConstraints(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::PolicyConstraints(_)
            | ParsedExtension::PolicyMappings(_)
            | ParsedExtension::InhibitAnyPolicy(_)
    )
}

/// `CN=n1, O=site`. CN, C, L, ST, O, OU, DC and Email are x509-parser's own; of the others, the ones that this name has
/// are told to it. Its whole registry has a hundred entries, and filling it takes longer than a signature.
fn shown_name(name: &X509Name<'_>) -> String {
    let mut registry = OidRegistry::default();
    for attribute in name.iter_attributes() {
        if let Some((oid, word)) = RARE_ATTRIBUTES.iter().find(|(oid, _)| oid == attribute.attr_type()) {
            registry.insert(oid.clone(), OidEntry::new(*word, ""));
        }
    }
    let text = name.to_string_with_registry(&registry);
    text.map_or_else(|_| "<invalid name>".into(), |text| text.escape_default().to_string())
}

/// What else stands in the names of CAs (RFC 4519, X.520, the CA/Browser Forum); anything beyond is shown by its number.
const RARE_ATTRIBUTES: [(Oid<'static>, &str); 18] = [
    (oid!(2.5.4.4), "surname"),
    (oid!(2.5.4.5), "serialNumber"),
    (oid!(2.5.4.9), "streetAddress"),
    (oid!(2.5.4.12), "title"),
    (oid!(2.5.4.13), "description"),
    (oid!(2.5.4.15), "businessCategory"),
    (oid!(2.5.4.16), "postalAddress"),
    (oid!(2.5.4.17), "postalCode"),
    (oid!(2.5.4.41), "name"),
    (oid!(2.5.4.42), "givenName"),
    (oid!(2.5.4.43), "initials"),
    (oid!(2.5.4.44), "generationQualifier"),
    (oid!(2.5.4.46), "dnQualifier"),
    (oid!(0.9.2342.19200300.100.1.1), "uid"),
    (oid!(1.2.840.113549.1.9.2), "unstructuredName"),
    (oid!(1.3.6.1.4.1.311.60.2.1.1), "msJurisdictionLocality"),
    (oid!(1.3.6.1.4.1.311.60.2.1.2), "msJurisdictionStateOrProvince"),
    (oid!(1.3.6.1.4.1.311.60.2.1.3), "msJurisdictionCountry"),
];

fn strip_zero(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => serial,
    }
}

/// Whether a signature algorithm is outside policy 20230317 (slurm-contract.md 3.3): RSA PKCS#1, RSA-PSS and
/// ECDSA with SHA-256, SHA-384 or SHA-512 are inside.
pub(crate) fn is_weak(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    ![
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ECDSA_WITH_SHA512,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_PKCS1_RSASSAPSS,
    ]
    .contains(&algorithm.algorithm)
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_dns_constraint_covers_its_name_and_what_is_below_it() {
        for (name, base, below) in [
            ("n1.cluster.example", "cluster.example", true),
            ("Cluster.Example", "cluster.example", true),
            ("n1.cluster.example", ".cluster.example", true),
            ("mycluster.example", "cluster.example", false),
            ("cluster.example", ".cluster.example", false),
            ("n1", "", true),
        ] {
            assert_eq!(is_below(name.as_bytes(), base.as_bytes()), below, "{name} {base}");
        }
    }
}
