//! Certificate signing requests (RFC 2986): read with suspicion, written with a binding.

use std::fmt;

use rcgen::{Attribute, CertificateParams, DistinguishedName, DnType, SanType};
use x509_parser::asn1_rs::{Any, Class, FromDer as _, Oid, Tag};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_PKCS9_CHALLENGE_PASSWORD, OID_PKCS9_EXTENSION_REQUEST, OID_X509_COMMON_NAME,
};

use crate::armor::{self, PemError};
use crate::binding::Binding;
use crate::explain::Explain;
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::name::{NameError, NodeName};

/// Longest request that is read: s2n's own bound for a whole handshake message (slurm-contract.md 1.4).
pub const MAX_CSR: usize = 64 * 1024;

const CHALLENGE_PASSWORD: &[u64] = &[1, 2, 840, 113549, 1, 9, 7];

/// A request whose self-signature was verified: whoever made it holds the private key.
#[derive(Debug)]
pub struct Csr {
    name: NodeName,
    key: PublicKey,
    asks: Asks,
    binding: BindingClaim,
    der: Vec<u8>,
}

/// What a request asks for beyond a key and a name. None of it is ever granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// basicConstraints with CA:TRUE.
    pub ca: bool,
    /// keyCertSign or cRLSign.
    pub signing: bool,
    /// A subjectAltName other than dNSName = CN.
    pub foreign_san: bool,
    /// An extension we judge, in a form we cannot read.
    pub unreadable: bool,
}

/// What a request says about its own authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingClaim {
    /// Nothing of ours.
    Absent,
    /// Something of ours that breaks the format: named, never believed.
    Malformed(&'static str),
    /// A well-formed binding, still to be judged.
    Present(Binding),
}

/// Why a text is not a request that we judge at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsrError {
    /// Not one `CERTIFICATE REQUEST` block.
    Pem(PemError),
    /// Not the DER of RFC 2986.
    Der,
    /// Bytes after the end of the DER.
    TrailingBytes,
    /// A key of a kind that is never certified.
    Key(KeyError),
    /// The self-signature is wrong, or made with an algorithm that peers refuse (SHA-1, say).
    SelfSignature,
    /// No commonName.
    NoName,
    /// More than one commonName.
    Names(usize),
    /// A commonName that is no NodeName.
    Name(NameError),
    /// A commonName that is neither UTF8String nor PrintableString.
    NameType,
}

impl fmt::Display for CsrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad request: ")?;
        match self {
            Self::Pem(e) => e.fmt(f),
            Self::Der => f.write_str("its DER is not a certification request"),
            Self::TrailingBytes => f.write_str("bytes after the end of its DER"),
            Self::Key(e) => e.fmt(f),
            Self::SelfSignature => f.write_str("its self-signature is not valid"),
            Self::NoName => f.write_str("its subject has no common name"),
            Self::Names(n) => write!(f, "its subject has {n} common names"),
            Self::Name(e) => e.fmt(f),
            Self::NameType => f.write_str("its common name is of a string type that is not taken"),
        }
    }
}

impl Explain for CsrError {
    fn hint(&self) -> String {
        match self {
            Self::Key(e) => e.hint(),
            Self::Name(e) => e.hint(),
            _ => "on the node, look at it with: generate_csr NODE | openssl req -verify -text -noout".into(),
        }
    }
}

impl Csr {
    /// Reads a PEM request and verifies its self-signature.
    ///
    /// # Errors
    /// When it is not exactly one request of at most [`MAX_CSR`] bytes, self-signed by a key of a kind
    /// we certify, with one commonName that is a NodeName.
    pub fn parse(pem: &[u8]) -> Result<Self, CsrError> {
        let der = armor::only_block(pem, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"], MAX_CSR)
            .map_err(CsrError::Pem)?;
        let (request, key) = verified(der.expose())?;
        let info = &request.certification_request_info;
        let name = common_name(&info.subject)?;
        let attributes = attributes(info.raw).ok_or(CsrError::Der)?;
        if attributes.iter().filter(|a| a.oid == OID_PKCS9_EXTENSION_REQUEST).any(|a| a.values.len() != 1) {
            return Err(CsrError::Der);
        }
        let asks = asks(&request, &name);
        let binding = binding_claim(&attributes);
        Ok(Self { name, key, asks, binding, der: der.expose().to_vec() })
    }

    /// The name asked for.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// The key to certify.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What else it asks for.
    #[must_use]
    pub fn asks(&self) -> Asks {
        self.asks
    }

    /// The request as one PEM block: for a signer elsewhere, which reads it once more.
    #[must_use]
    pub fn to_pem(&self) -> String {
        armor::public("CERTIFICATE REQUEST", &self.der)
    }

    /// What it says about its own authorisation.
    #[must_use]
    pub fn binding(&self) -> &BindingClaim {
        &self.binding
    }
}

/// The key of a request whose self-signature is good, whatever else it says: for a CA's certificate, whose name and
/// extensions its issuer writes.
///
/// # Errors
/// As [`Csr::parse`], names and attributes excepted.
pub fn key_of(pem: &[u8]) -> Result<PublicKey, CsrError> {
    let der = armor::only_block(pem, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"], MAX_CSR)
        .map_err(CsrError::Pem)?;
    verified(der.expose()).map(|(_, key)| key)
}

/// One request and nothing else, made by whoever holds the private key.
fn verified(der: &[u8]) -> Result<(X509CertificationRequest<'_>, PublicKey), CsrError> {
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Der)?;
    if !rest.is_empty() {
        return Err(CsrError::TrailingBytes);
    }
    if !is_strict_around(der) {
        return Err(CsrError::Der);
    }
    let key =
        PublicKey::from_spki(request.certification_request_info.subject_pki.raw).map_err(CsrError::Key)?;
    if crate::x509::is_weak(&request.signature_algorithm) || request.verify_signature().is_err() {
        return Err(CsrError::SelfSignature);
    }
    Ok((request, key))
}

/// Writes a request: CN and SAN dNSName = `name`, with the binding where there is one. PEM.
///
/// # Errors
/// When the key cannot sign (the kernel gives no random bytes).
pub fn write(key: &PrivateKey, name: &NodeName, binding: Option<&Binding>) -> Result<String, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    let dns = name.as_str().try_into().map_err(|_| KeyError::Malformed)?;
    params.subject_alt_names = vec![SanType::DnsName(dns)];
    let attributes = binding.map(|binding| Attribute {
        oid: CHALLENGE_PASSWORD,
        values: set_of_one_utf8_string(&binding.to_text()),
    });
    let request = params
        .serialize_request_with_attributes(key.pair(), attributes.into_iter().collect())
        .map_err(|_| KeyError::Random)?;
    Ok(armor::public("CERTIFICATE REQUEST", request.der()))
}

/// Writes a request for a signer elsewhere, which takes its key: of a daemon's own pair, with all its names.
///
/// # Errors
/// When a name cannot stand in it, or the key cannot sign.
pub fn write_plain(key: &PrivateKey, common_name: &str, dns: &[String]) -> Result<String, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let names: Result<_, KeyError> = dns
        .iter()
        .map(|name| name.as_str().try_into().map(SanType::DnsName).map_err(|_| KeyError::Malformed))
        .collect();
    params.subject_alt_names = names?;
    let request = params.serialize_request(key.pair()).map_err(|_| KeyError::Random)?;
    Ok(armor::public("CERTIFICATE REQUEST", request.der()))
}

/// SET { UTF8String }. A binding's text has 109 bytes, so both lengths fit in one byte.
fn set_of_one_utf8_string(text: &str) -> Vec<u8> {
    let Ok(length @ 0..=125) = u8::try_from(text.len()) else { return Vec::new() };
    let mut der = vec![0x31, length + 2, 0x0c, length];
    der.extend_from_slice(text.as_bytes());
    der
}

fn common_name(subject: &x509_parser::x509::X509Name<'_>) -> Result<NodeName, CsrError> {
    let mut names = subject.iter_attributes().filter(|a| *a.attr_type() == OID_X509_COMMON_NAME);
    let name = names.next().ok_or(CsrError::NoName)?;
    let others = names.count();
    if others > 0 {
        return Err(CsrError::Names(others + 1));
    }
    match name.attr_value().tag() {
        Tag::Utf8String | Tag::PrintableString => {
            NodeName::parse(name.attr_value().data).map_err(CsrError::Name)
        }
        _ => Err(CsrError::NameType),
    }
}

fn asks(request: &X509CertificationRequest<'_>, name: &NodeName) -> Asks {
    let mut asks = Asks::default();
    let extensions = request
        .certification_request_info
        .iter_attributes()
        .filter_map(|attribute| match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(requested) => Some(&requested.extensions),
            _ => None,
        })
        .flatten();
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => asks.ca |= basic.ca,
            ParsedExtension::KeyUsage(usage) => asks.signing |= usage.key_cert_sign() || usage.crl_sign(),
            ParsedExtension::SubjectAlternativeName(san) => {
                asks.foreign_san |= !san
                    .general_names
                    .iter()
                    .all(|asked| matches!(asked, GeneralName::DNSName(dns) if *dns == name.as_str()));
            }
            ParsedExtension::ParseError { .. } => asks.unreadable = true,
            _ => {}
        }
    }
    asks
}

/// One attribute, with all of its values: x509-parser shows only the first, and two values where
/// there must be one are an attack, not a detail.
struct RawAttribute<'a> {
    oid: Oid<'a>,
    values: Vec<Any<'a>>,
}

/// Walks CertificationRequestInfo (RFC 2986 §4.1) down to its attributes. `None`: not strict DER.
fn attributes(info: &[u8]) -> Option<Vec<RawAttribute<'_>>> {
    let (_, info) = Any::from_der(info).ok()?;
    let [_version, _subject, _key, attributes] = elements(info.data)?.try_into().ok()?;
    if attributes.class() != Class::ContextSpecific || attributes.tag() != Tag(0) {
        return None;
    }
    elements(attributes.data)?
        .into_iter()
        .map(|attribute| {
            let [oid, set] = elements(attribute.data)?.try_into().ok()?;
            if set.tag() != Tag::Set {
                return None;
            }
            Some(RawAttribute { oid: oid.oid().ok()?, values: elements(set.data)? })
        })
        .collect()
}

/// What the signature does not cover has its one encoding: x509-parser lets other classes and tags pass
/// there, and unused bits in the signature.
fn is_strict_around(der: &[u8]) -> bool {
    let Ok((_, request)) = Any::from_der(der) else { return false };
    let parts = elements(request.data);
    let Some([info, algorithm, signature]) = parts.as_deref() else { return false };
    let algorithm_parts = elements(algorithm.data);
    let Some([oid, ..]) = algorithm_parts.as_deref() else { return false };
    [&request, info, algorithm].iter().all(|any| is_universal(any, Tag::Sequence, true))
        && is_universal(oid, Tag::Oid, false)
        && is_universal(signature, Tag::BitString, false)
        && signature.data.first() == Some(&0)
}

fn is_universal(any: &Any<'_>, tag: Tag, constructed: bool) -> bool {
    any.class() == Class::Universal && any.tag() == tag && any.header.is_constructed() == constructed
}

fn elements(mut der: &[u8]) -> Option<Vec<Any<'_>>> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (rest, element) = Any::from_der(der).ok()?;
        found.push(element);
        der = rest;
    }
    Some(found)
}

/// Exactly one attribute holding exactly one UTF8String. A challengePassword that is not meant for us
/// (OpenSSL asks for one by default) counts as none.
fn binding_claim(attributes: &[RawAttribute<'_>]) -> BindingClaim {
    let ours: Vec<_> = attributes.iter().filter(|a| a.oid == OID_PKCS9_CHALLENGE_PASSWORD).collect();
    let texts = ours.iter().flat_map(|a| &a.values).filter_map(|v| std::str::from_utf8(v.data).ok());
    if !texts.into_iter().any(Binding::claims_to_be_one) {
        return BindingClaim::Absent;
    }
    let [attribute] = ours.as_slice() else {
        return BindingClaim::Malformed("it has two challengePassword attributes");
    };
    let [value] = attribute.values.as_slice() else {
        return BindingClaim::Malformed("its challengePassword has more than one value");
    };
    if value.tag() != Tag::Utf8String || value.class() != Class::Universal {
        return BindingClaim::Malformed("its challengePassword is not a UTF8String");
    }
    match std::str::from_utf8(value.data).ok().and_then(|text| Binding::parse(text).ok()) {
        Some(binding) => BindingClaim::Present(binding),
        None => BindingClaim::Malformed("its challengePassword is not a whole slurm-pki.v1 binding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyKind;
    use crate::time::UnixTime;
    use crate::token::NodeSecret;

    #[test]
    fn a_request_that_was_written_is_read_back_with_its_binding() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let name = NodeName::parse(b"n1").unwrap();
        let spki = key.public().unwrap();
        let bind = NodeSecret::new([1; 32]).binding_key();
        let binding = bind.bind(&name, UnixTime(1000), spki.spki());
        let csr = Csr::parse(write(&key, &name, Some(&binding)).unwrap().as_bytes()).unwrap();
        assert_eq!((csr.name(), csr.key(), csr.asks()), (&name, &spki, Asks::default()));
        assert_eq!(csr.binding(), &BindingClaim::Present(binding));
    }

    #[test]
    fn a_request_without_a_binding_says_so() {
        let key = PrivateKey::generate(KeyKind::P384).unwrap();
        let name = NodeName::parse(b"n1").unwrap();
        let csr = Csr::parse(write(&key, &name, None).unwrap().as_bytes()).unwrap();
        assert_eq!(csr.binding(), &BindingClaim::Absent);
    }
}
