//! Keys: P-256, P-384 and RSA of 2048 to 4096 bits, in SEC1, PKCS#1 or PKCS#8.
//!
//! Whatever form a key came in, it is held and written as PKCS#8 with its public half (RFC 5958),
//! the one form that s2n, OpenSSL and ring all take.

use std::fmt;

use p256::elliptic_curve::sec1::ToSec1Point;
use pkcs8::der::asn1::{Null, OctetStringRef};
use pkcs8::der::{AnyRef, Decode, Encode};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfoRef};
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use sec1::{EcParameters, EcPrivateKey};
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{Zeroize, Zeroizing};

use crate::armor::{self, PemError};
use crate::explain::Explain;
use crate::rsa;
use crate::secret::Secret;

/// Longest key file that is read. A 4096-bit RSA key takes 3.3 KB; text may stand before it.
pub const MAX_KEY_PEM: usize = 32 * 1024;

/// Bounds of an RSA modulus, in bits.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// What kind of key, as the config names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// NIST P-256 (secp256r1), signing with SHA-256.
    P256,
    /// NIST P-384 (secp384r1), signing with SHA-384.
    P384,
    /// RSA, PKCS#1 v1.5 signatures with SHA-256.
    Rsa,
}

impl KeyKind {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Rsa => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
        })
    }
}

/// Why a key is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not the PEM of a key.
    Pem(PemError),
    /// `ENCRYPTED PRIVATE KEY`: nobody is there to type a passphrase, and s2n cannot read it.
    Encrypted,
    /// The DER inside does not follow its standard, or the halves of the key do not fit.
    Malformed,
    /// A key of another kind.
    Unsupported,
    /// An RSA modulus outside 2048 to 4096 bits.
    RsaBits(usize),
    /// `ring` makes no RSA keys.
    CannotGenerate(KeyKind),
    /// The kernel gave no random bytes.
    Random,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(e) => e.fmt(f),
            Self::Encrypted => f.write_str("the key is encrypted"),
            Self::Malformed => f.write_str("the key is damaged: its parts do not fit together"),
            Self::Unsupported => f.write_str("a key of an unsupported kind"),
            Self::RsaBits(bits) => write!(f, "an RSA key of {bits} bits"),
            Self::CannotGenerate(kind) => write!(f, "{kind} keys are not made here"),
            Self::Random => f.write_str("the kernel gave no random bytes"),
        }
    }
}

impl Explain for KeyError {
    fn hint(&self) -> String {
        match self {
            Self::Encrypted => "decrypt it once with: openssl pkey -in KEY -out NEW".into(),
            Self::Random => "check that getrandom(2) works for this process".into(),
            _ => "keys are P-256, P-384 or RSA 2048-4096, as SEC1, PKCS#1 or PKCS#8 PEM".into(),
        }
    }
}

/// A private key that is known to be whole: its public half was computed or checked. Wiped on drop.
pub struct PrivateKey {
    pair: KeyPair,
    kind: KeyKind,
}

impl PrivateKey {
    /// Makes a key. The randomness comes from the kernel through `ring`.
    ///
    /// # Errors
    /// For [`KeyKind::Rsa`], and when the kernel gives no random bytes.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        match KeyPair::generate_for(kind.algorithm()) {
            Ok(pair) => Ok(Self { pair, kind }),
            Err(rcgen::Error::KeyGenerationUnavailable) => Err(KeyError::CannotGenerate(kind)),
            Err(_) => Err(KeyError::Random),
        }
    }

    /// Makes a key for whoever only writes it, as [`to_pem`](Self::to_pem) does. To hold one, `ring` works its public half
    /// out a second time.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn generate_pem(kind: KeyKind) -> Result<Secret, KeyError> {
        let algorithm = match kind {
            KeyKind::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            KeyKind::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            KeyKind::Rsa => return Err(KeyError::CannotGenerate(kind)),
        };
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        Ok(armor::secret("PRIVATE KEY", pkcs8.map_err(|_| KeyError::Random)?.as_ref()))
    }

    /// Reads a key file: one private key, with `EC PARAMETERS` or text before it as OpenSSL writes
    /// them.
    ///
    /// # Errors
    /// When there is not exactly one unencrypted key of a kind we take, or its parts do not fit.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let mut keys = armor::blocks(text, MAX_KEY_PEM).map_err(KeyError::Pem)?;
        keys.retain(|block| block.label != "EC PARAMETERS");
        if keys.len() > 1 {
            return Err(KeyError::Pem(PemError::Blocks(keys.len())));
        }
        let key = keys.pop().ok_or(KeyError::Pem(PemError::NoBlock))?;
        let der = key.der.expose();
        match key.label.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8(der),
            "EC PRIVATE KEY" => Self::from_sec1(der, None),
            "RSA PRIVATE KEY" => Self::from_pkcs1(der),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            _ => Err(KeyError::Pem(PemError::Label(key.label))),
        }
    }

    /// RFC 5958 (and its forerunner RFC 5208).
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters_oid().map_err(|_| KeyError::Unsupported)?;
                Self::from_sec1(info.private_key.as_bytes(), Some(curve))
            }
            // RFC 8017, appendix A.1: the parameters are NULL; OpenSSL refuses anything else.
            RSA_ENCRYPTION if info.algorithm.parameters.is_some_and(AnyRef::is_null) => {
                Self::from_pkcs1(info.private_key.as_bytes())
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// RFC 5915. The curve may be named outside (PKCS#8), inside, or by the length of the key alone.
    fn from_sec1(der: &[u8], outer: Option<ObjectIdentifier>) -> Result<Self, KeyError> {
        let key = EcPrivateKey::from_der(der).map_err(|_| KeyError::Malformed)?;
        let inner = key.parameters.map(|EcParameters::NamedCurve(oid)| oid);
        if let (Some(outer), Some(inner)) = (outer, inner)
            && outer != inner
        {
            return Err(KeyError::Malformed);
        }
        let kind = match (outer.or(inner), key.private_key.len()) {
            (Some(SECP256R1) | None, 32) => KeyKind::P256,
            (Some(SECP384R1) | None, 48) => KeyKind::P384,
            (Some(SECP256R1 | SECP384R1), _) => return Err(KeyError::Malformed),
            _ => return Err(KeyError::Unsupported),
        };
        match key.public_key {
            Some(public) => Self::from_ec_parts(kind, key.private_key, public),
            None => {
                let public = derive_public(kind, key.private_key).ok_or(KeyError::Malformed)?;
                Self::from_ec_parts(kind, key.private_key, &public)
            }
        }
    }

    /// `ring` recomputes the public half and refuses one that does not fit.
    fn from_ec_parts(kind: KeyKind, scalar: &[u8], public: &[u8]) -> Result<Self, KeyError> {
        let curve = if kind == KeyKind::P384 { SECP384R1 } else { SECP256R1 };
        let key = EcPrivateKey { private_key: scalar, parameters: None, public_key: Some(public) };
        let key = Zeroizing::new(key.to_der().map_err(|_| KeyError::Malformed)?);
        let algorithm = AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some((&curve).into()) };
        Self::from_parts(kind, algorithm, &key)
    }

    /// RFC 8017, appendix A.1.2.
    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::from(Null)) };
        let key = Self::from_parts(KeyKind::Rsa, algorithm, der)?;
        if !rsa::is_whole(der) {
            return Err(KeyError::Malformed);
        }
        // ring takes 2047-bit moduli for 2048; the public half is judged by the same rule as a CSR's.
        key.public().map(|_| key)
    }

    fn from_parts(
        kind: KeyKind,
        algorithm: AlgorithmIdentifierRef<'_>,
        key: &[u8],
    ) -> Result<Self, KeyError> {
        let key = OctetStringRef::new(key).map_err(|_| KeyError::Malformed)?;
        let pkcs8 = PrivateKeyInfoRef::new(algorithm, key).to_der().map_err(|_| KeyError::Malformed)?;
        let pkcs8 = Zeroizing::new(pkcs8);
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_slice().into(), kind.algorithm())
            .map_err(|e| match e {
                rcgen::Error::RingKeyRejected(why) if why == "TooSmall" || why == "TooLarge" => {
                    KeyError::Unsupported
                }
                _ => KeyError::Malformed,
            })?;
        Ok(Self { pair, kind })
    }

    /// The key as `PRIVATE KEY` PEM (PKCS#8), LF line ends.
    #[must_use]
    pub fn to_pem(&self) -> Secret {
        armor::secret("PRIVATE KEY", self.pair.serialized_der())
    }

    /// What kind of key this is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half.
    ///
    /// # Errors
    /// When it is one that we would refuse in a request (an RSA modulus out of bounds).
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki(&self.pair.subject_public_key_info())
    }

    /// Its PKCS#8 form, for `ring`.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// For `rcgen`, which signs with it.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, ..)", self.kind)
    }
}

/// The uncompressed public point of a private scalar; `None` when the scalar is out of range.
fn derive_public(kind: KeyKind, scalar: &[u8]) -> Option<Vec<u8>> {
    match kind {
        KeyKind::P256 => {
            let secret = p256::SecretKey::from_slice(scalar).ok()?;
            Some(secret.public_key().to_sec1_point(false).as_bytes().to_vec())
        }
        KeyKind::P384 => {
            let secret = p384::SecretKey::from_slice(scalar).ok()?;
            Some(secret.public_key().to_sec1_point(false).as_bytes().to_vec())
        }
        KeyKind::Rsa => None,
    }
}

/// A public key of a kind we certify, in the one encoding of its SubjectPublicKeyInfo that rcgen
/// writes: what is put into a certificate is byte for byte what was in the request.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
    bits: Vec<u8>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 5480, RFC 3279).
    ///
    /// # Errors
    /// When the key is of another kind, an RSA modulus is out of bounds, or the encoding is not the
    /// one that the certificate would carry.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let (rest, spki) = <SubjectPublicKeyInfo<'_> as x509_parser::prelude::FromDer<_>>::from_der(der)
            .map_err(|_| KeyError::Malformed)?;
        if !rest.is_empty() {
            return Err(KeyError::Malformed);
        }
        let kind = match spki.parsed().map_err(|_| KeyError::Unsupported)? {
            ParsedKey::RSA(rsa) => {
                let bits = significant_bits(rsa.modulus);
                if !RSA_BITS.contains(&bits) {
                    return Err(KeyError::RsaBits(bits));
                }
                KeyKind::Rsa
            }
            // A point that is not on the curve makes OpenSSL refuse the whole certificate.
            ParsedKey::EC(point) => match (point.data(), point.data().len()) {
                (point @ [4, ..], 65) if p256::PublicKey::from_sec1_bytes(point).is_ok() => KeyKind::P256,
                (point @ [4, ..], 97) if p384::PublicKey::from_sec1_bytes(point).is_ok() => KeyKind::P384,
                _ => return Err(KeyError::Unsupported),
            },
            _ => return Err(KeyError::Unsupported),
        };
        let bits = spki.subject_public_key.data.to_vec();
        let key = Self { kind, spki: der.to_vec(), bits };
        // The curve's name, RSA's NULL: all that is not the key itself is compared here.
        if key.subject_public_key_info() == der { Ok(key) } else { Err(KeyError::Unsupported) }
    }

    /// What kind of key this is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the SubjectPublicKeyInfo, lower-case hex: the ledger's `spki_sha256`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.spki);
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }
}

/// Bits of a DER INTEGER's magnitude: leading zero bytes and bits do not count.
fn significant_bits(integer: &[u8]) -> usize {
    let mut magnitude = integer;
    while let [0, rest @ ..] = magnitude {
        magnitude = rest;
    }
    let unused = magnitude.first().map_or(0, |byte| byte.leading_zeros() as usize);
    magnitude.len() * 8 - unused
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.kind.algorithm()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.kind, self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_written_is_read_back() {
        for kind in [KeyKind::P256, KeyKind::P384] {
            let key = PrivateKey::generate(kind).unwrap();
            let back = PrivateKey::from_pem(key.to_pem().expose()).unwrap();
            assert_eq!(back.public().unwrap(), key.public().unwrap());
            assert_eq!(back.kind(), kind);
        }
    }

    #[test]
    fn a_key_that_is_only_written_has_the_form_of_the_others() {
        for kind in [KeyKind::P256, KeyKind::P384] {
            let pem = PrivateKey::generate_pem(kind).unwrap();
            let back = PrivateKey::from_pem(pem.expose()).unwrap();
            assert_eq!((back.kind(), back.to_pem().expose()), (kind, pem.expose()));
        }
        assert!(matches!(PrivateKey::generate_pem(KeyKind::Rsa), Err(KeyError::CannotGenerate(_))));
    }

    #[test]
    fn a_sec1_key_without_its_public_half_gets_it_back() {
        for kind in [KeyKind::P256, KeyKind::P384] {
            let key = PrivateKey::generate(kind).unwrap();
            let info = PrivateKeyInfoRef::from_der(key.pair().serialized_der()).unwrap();
            let ec = EcPrivateKey::from_der(info.private_key.as_bytes()).unwrap();
            let bare = EcPrivateKey { private_key: ec.private_key, parameters: None, public_key: None };
            let pem = armor::secret("EC PRIVATE KEY", &bare.to_der().unwrap());
            let back = PrivateKey::from_pem(pem.expose()).unwrap();
            assert_eq!(back.public().unwrap(), key.public().unwrap());
        }
    }

    #[test]
    fn halves_that_do_not_fit_are_refused() {
        let one = PrivateKey::generate(KeyKind::P256).unwrap();
        let other = PrivateKey::generate(KeyKind::P256).unwrap();
        let info = PrivateKeyInfoRef::from_der(one.pair().serialized_der()).unwrap();
        let ec = EcPrivateKey::from_der(info.private_key.as_bytes()).unwrap();
        let mixed = EcPrivateKey {
            private_key: ec.private_key,
            parameters: None,
            public_key: Some(other.pair().der_bytes()),
        };
        let pem = armor::secret("EC PRIVATE KEY", &mixed.to_der().unwrap());
        assert_eq!(PrivateKey::from_pem(pem.expose()).unwrap_err(), KeyError::Malformed);
    }

    #[test]
    fn rsa_keys_are_not_made_here() {
        assert!(matches!(PrivateKey::generate(KeyKind::Rsa), Err(KeyError::CannotGenerate(_))));
    }
}
