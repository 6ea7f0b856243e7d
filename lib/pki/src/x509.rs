//! Certificates as we read them: RFC 5280, owned, with the few facts that we judge.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::AlgorithmIdentifier;

use crate::armor::{self, PemError};
use crate::explain::Explain;
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
    /// Whether its signature is one that Slurm's TLS policy refuses (SHA-1, Ed25519: contract.md 3.3).
    pub weak_signature: bool,
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
        if !rest.is_empty() {
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

    /// What it says.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Issuer name equal to subject name: what s2n calls self-signed (contract.md 3.4).
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether the two carry the same subject, byte for byte.
    #[must_use]
    pub fn same_subject(&self, other: &Self) -> bool {
        self.subject == other.subject
    }

    /// Whether `issuer`'s name and key are the ones that signed this certificate.
    #[must_use]
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        if self.issuer != issuer.subject {
            return false;
        }
        let (Ok((_, this)), Ok((_, above))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        this.verify_signature(Some(above.public_key())).is_ok()
    }

    /// Whether `now` lies within its life.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        self.facts.not_before <= now && now <= self.facts.not_after
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
            weak_signature: is_weak(&parsed.signature_algorithm),
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) => {
                    facts.ca = basic.ca;
                    facts.path_len = basic.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => {
                    facts.key_usage = Some((usage.digital_signature(), usage.key_cert_sign()));
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    facts.extended_key_usage =
                        Some((usage.any || usage.server_auth, usage.any || usage.client_auth));
                }
                ParsedExtension::SubjectAlternativeName(san) => {
                    let names = facts.dns.get_or_insert_default();
                    for name in &san.general_names {
                        match name {
                            GeneralName::DNSName(dns) => names.push((*dns).to_owned()),
                            _ => facts.other_names = true,
                        }
                    }
                }
                ParsedExtension::ParseError { .. } => return Err(X509Error::Extension),
                _ => {}
            }
        }
        Ok(facts)
    }
}

fn shown_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    name.to_string().escape_default().to_string()
}

fn strip_zero(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => serial,
    }
}

/// Whether a signature algorithm is outside policy 20230317 (contract.md 3.3): RSA PKCS#1, RSA-PSS and
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
