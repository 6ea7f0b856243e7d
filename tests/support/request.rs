//! Requests of any shape: what a node, a broken node or an attacker could send to sign_csr.

use pki::armor;
use pki::name::NodeName;
use pki::time::UnixTime;
use pki::token::NodeSecret;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

use crate::der;

/// id-at-commonName.
pub const COMMON_NAME: &str = "2.5.4.3";
/// challengePassword, PKCS#9: where the binding stands.
pub const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";
/// extensionRequest, PKCS#9.
pub const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
/// ecdsa-with-SHA256.
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// Tag of UTF8String.
pub const UTF8_STRING: u8 = 0x0c;

/// A request under construction, for a P-256 key of its own.
#[derive(Debug)]
pub struct Request {
    key: KeyPair,
    names: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
    attributes: Vec<Vec<u8>>,
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

impl Request {
    /// A request that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        Self { key, names: Vec::new(), extensions: Vec::new(), attributes: Vec::new() }
    }

    /// Adds a subject attribute with a string of any tag.
    #[must_use]
    pub fn subject(mut self, oid: &str, tag: u8, value: &[u8]) -> Self {
        let attribute = der::sequence(&[der::oid(oid), der::element(tag, value)]);
        self.names.push(der::set(&[attribute]));
        self
    }

    /// Adds a common name.
    #[must_use]
    pub fn cn(self, name: &[u8]) -> Self {
        self.subject(COMMON_NAME, UTF8_STRING, name)
    }

    /// Asks for an extension; `value` is its DER.
    #[must_use]
    pub fn extension(mut self, oid: &str, value: &[u8]) -> Self {
        self.extensions.push(der::sequence(&[der::oid(oid), der::element(0x04, value)]));
        self
    }

    /// Adds an attribute with these values, each with its own tag.
    #[must_use]
    pub fn attribute(self, oid: &str, values: &[(u8, Vec<u8>)]) -> Self {
        let values: Vec<_> = values.iter().map(|(tag, value)| der::element(*tag, value)).collect();
        self.raw_attribute(oid, &values)
    }

    /// Adds an attribute with these values, each DER already.
    #[must_use]
    pub fn raw_attribute(mut self, oid: &str, values: &[Vec<u8>]) -> Self {
        self.attributes.push(der::sequence(&[der::oid(oid), der::set(values)]));
        self
    }

    /// Binds it as generate_csr does.
    #[must_use]
    pub fn bound(self, secret: &NodeSecret, name: &str, time: UnixTime) -> Self {
        let text = self.binding_text(secret, name, time);
        self.attribute(CHALLENGE_PASSWORD, &[(UTF8_STRING, text.into_bytes())])
    }

    /// The binding's text for this request's key.
    #[must_use]
    pub fn binding_text(&self, secret: &NodeSecret, name: &str, time: UnixTime) -> String {
        let name = NodeName::parse(name.as_bytes()).unwrap();
        secret.binding_key().bind(&name, time, &self.key.subject_public_key_info()).to_text()
    }

    /// The signed request.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        let info = self.info();
        let signature = self.key.sign(&info).unwrap();
        let algorithm = der::sequence(&[der::oid(ECDSA_SHA256)]);
        der::sequence(&[info, algorithm, der::bit_string(&signature)])
    }

    /// The signed request as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        to_pem(&self.der())
    }

    fn info(&self) -> Vec<u8> {
        let mut attributes = self.attributes.clone();
        if !self.extensions.is_empty() {
            let extensions = der::sequence(&self.extensions);
            attributes.push(der::sequence(&[der::oid(EXTENSION_REQUEST), der::set(&[extensions])]));
        }
        der::sequence(&[
            der::element(0x02, &[0]),
            der::sequence(&self.names),
            self.key.subject_public_key_info(),
            der::element(0xa0, &attributes.concat()),
        ])
    }
}

/// DER as the PEM of a request.
#[must_use]
pub fn to_pem(der: &[u8]) -> String {
    armor::public("CERTIFICATE REQUEST", der)
}
