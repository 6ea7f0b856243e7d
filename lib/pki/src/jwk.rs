//! RSA keys of tokens as lists (RFC 7517) that every Slurm from 25.05 on loads and matches (docs/slurm-contract.md 6): of an
//! identity provider's list only what is of use, or made from key files. Each entry has kid, kty, alg, n and e, and no more.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::digest;
use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::{PublicKey as ParsedKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::armor;
use crate::explain::Explain;
use crate::jwt::Candidate;
use crate::key::{KeyError, MAX_KEY_PEM, PrivateKey};

/// Longest list that is read: a provider's has two to ten keys of 2 KB, with their certificates.
pub const MAX_LIST: usize = 1024 * 1024;

/// Most keys of a list. Slurm goes through them at each token.
pub const MAX_KEYS: usize = 256;

/// Longest kid.
const MAX_KID: usize = 256;

/// Bits of a modulus: RFC 7518 §3.3 wants 2048 at least, `ring` verifies with 8192 at most.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Longest exponent, in bytes; all the world has 65537.
const MAX_EXPONENT: usize = 4;

/// A public RSA key with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaKey {
    kid: String,
    n: Vec<u8>,
    e: Vec<u8>,
}

/// Why something is no key for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// Not of RSA: `kty` as it stands.
    Kty(String),
    /// Not for RS256: `alg` as it stands.
    Alg(String),
    /// For something else than signatures: `use` as it stands.
    Use(String),
    /// `key_ops` without verify.
    KeyOps,
    /// No kid, or none that is a text of 1 to 256 bytes without control characters.
    Kid,
    /// An entry before it has the same kid.
    SecondKid,
    /// `n` or `e` is missing or not base64url without padding.
    Base64,
    /// A modulus of so many bits.
    Bits(usize),
    /// An exponent that is even, 1, or longer than four bytes.
    Exponent,
    /// The private half is in it.
    Private,
    /// Not the PEM of a key or certificate.
    File(KeyError),
    /// Not a JSON object.
    NoObject,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kty(kty) => write!(f, "its kty is {kty}, not RSA"),
            Self::Alg(alg) => write!(f, "its alg is {alg}, not RS256"),
            Self::Use(used) => write!(f, "its use is {used}, not sig"),
            Self::KeyOps => f.write_str("its key_ops have no verify"),
            Self::Kid => f.write_str("it has no kid that Slurm could find it by"),
            Self::SecondKid => f.write_str("an entry before it has the same kid, and Slurm takes the first"),
            Self::Base64 => f.write_str("its n or e is missing, or not base64url without padding"),
            Self::Bits(bits) => write!(f, "its modulus has {bits} bits, not 2048 to 8192"),
            Self::Exponent => f.write_str("its exponent is none that a key has"),
            Self::Private => f.write_str("its private half is in it"),
            Self::File(e) => e.fmt(f),
            Self::NoObject => f.write_str("it is not a JSON object"),
        }
    }
}

impl Explain for NoKey {
    fn hint(&self) -> String {
        match self {
            Self::Private => {
                "whoever saw it is root on the cluster: have the issuer withdraw that key at once".into()
            }
            Self::Kid | Self::SecondKid => "give each key a kid of its own: --kid".into(),
            Self::File(KeyError::Encrypted) => "give its public half: openssl pkey -in KEY -pubout".into(),
            _ => "Slurm takes RSA keys of 2048 bits or more that sign with RS256".into(),
        }
    }
}

/// Why a text is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoList {
    /// Longer than [`MAX_LIST`], or of more keys than [`MAX_KEYS`].
    TooLong,
    /// Not JSON, at this line and column.
    Json(usize, usize),
    /// JSON, and no object with a list `keys`.
    NoKeys,
}

impl fmt::Display for NoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "no list of keys: more than {MAX_LIST} bytes or {MAX_KEYS} keys"),
            Self::Json(line, column) => write!(f, "no list of keys: not JSON (line {line}, column {column})"),
            Self::NoKeys => f.write_str("no list of keys: no object with a list named keys"),
        }
    }
}

impl Explain for NoList {
    fn hint(&self) -> String {
        "it is what the issuer's jwks_uri gives, as its /.well-known/openid-configuration names it".into()
    }
}

/// What is of use in a provider's list, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// In the order of the list, each kid once.
    pub keys: Vec<RsaKey>,
    /// Each by its kid, or its number in the list from 1 on, with the reason.
    pub dropped: Vec<(String, NoKey)>,
    /// The kids of keys that did not say their alg: before 26.05.3 Slurm never matches such an entry as it stands.
    pub without_alg: Vec<String>,
}

/// Takes from a provider's list what every Slurm accepts.
///
/// # Errors
/// When it is no list. A list without a key of use is none of ours to refuse.
pub fn sift(text: &[u8]) -> Result<Sifted, NoList> {
    if text.len() > MAX_LIST {
        return Err(NoList::TooLong);
    }
    let list: Value = serde_json::from_slice(text).map_err(|e| NoList::Json(e.line(), e.column()))?;
    let entries = list.get("keys").and_then(Value::as_array).ok_or(NoList::NoKeys)?;
    if entries.len() > MAX_KEYS {
        return Err(NoList::TooLong);
    }
    let mut sifted = Sifted::default();
    for (number, entry) in (1..).zip(entries) {
        let named = entry.get("kid").and_then(Value::as_str);
        let named = named.map_or_else(|| format!("number {number}"), str::to_owned);
        match RsaKey::of_entry(entry) {
            Ok(key) if sifted.keys.iter().any(|other| other.kid == key.kid) => {
                sifted.dropped.push((named, NoKey::SecondKid));
            }
            Ok(key) => {
                if entry.get("alg").is_none() {
                    sifted.without_alg.push(named);
                }
                sifted.keys.push(key);
            }
            Err(why) => sifted.dropped.push((named, why)),
        }
    }
    Ok(sifted)
}

/// The list as a file, a line for each key: what has changed is then seen by diff.
#[must_use]
pub fn to_list(keys: &[RsaKey]) -> String {
    let entries: Vec<String> = keys.iter().map(|key| format!("    {}", key.to_entry())).collect();
    format!("{{\n  \"keys\": [\n{}\n  ]\n}}\n", entries.join(",\n"))
}

impl RsaKey {
    /// One entry of a list (RFC 7517 §4, RFC 7518 §6.3.1).
    fn of_entry(entry: &Value) -> Result<Self, NoKey> {
        let members = entry.as_object().ok_or(NoKey::NoObject)?;
        let is = |name: &str, wanted: &str, or: fn(String) -> NoKey| match members.get(name) {
            None => Ok(()),
            Some(Value::String(value)) if value == wanted => Ok(()),
            Some(value) => Err(or(value.as_str().map_or_else(|| "no text".to_owned(), str::to_owned))),
        };
        if !members.contains_key("kty") {
            return Err(NoKey::Kty("missing".into()));
        }
        is("kty", "RSA", NoKey::Kty)?;
        if ["d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|name| members.contains_key(*name)) {
            return Err(NoKey::Private);
        }
        is("use", "sig", NoKey::Use)?;
        is("alg", "RS256", NoKey::Alg)?;
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if members.get("key_ops").is_some_and(|ops| !verifies(ops)) {
            return Err(NoKey::KeyOps);
        }
        let kid = members.get("kid").and_then(Value::as_str).ok_or(NoKey::Kid)?;
        Self::new(kid.to_owned(), number(members, "n")?, number(members, "e")?)
    }

    fn new(kid: String, n: Vec<u8>, e: Vec<u8>) -> Result<Self, NoKey> {
        if !(1..=MAX_KID).contains(&kid.len()) || kid.chars().any(char::is_control) {
            return Err(NoKey::Kid);
        }
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !BITS.contains(&bits) {
            return Err(NoKey::Bits(bits));
        }
        // An even modulus or exponent is none of RSA; an exponent of 1 would let anybody sign.
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !is_odd(&n) || !is_odd(&e) || e == [1] || e.len() > MAX_EXPONENT {
            return Err(NoKey::Exponent);
        }
        Ok(Self { kid, n, e })
    }

    /// From a file: a certificate, a public or a private key in PEM. Without a kid its thumbprint is its name.
    ///
    /// # Errors
    /// When there is not exactly one RSA key in it.
    pub fn of_pem(text: &[u8], kid: Option<&str>) -> Result<Self, NoKey> {
        let (n, e) = parts(text)?;
        let kid = kid.map_or_else(|| thumbprint(&n, &e), str::to_owned);
        Self::new(kid, n, e)
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.n.len() * 8 - self.n.first().map_or(0, |first| first.leading_zeros() as usize)
    }

    /// Whether it is the same key, whatever it is called.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        (&self.n, &self.e) == (&other.n, &other.e)
    }

    /// For [`crate::jwt::verify`].
    #[must_use]
    pub fn candidate(&self) -> Candidate<'_> {
        Candidate { kid: &self.kid, n: &self.n, e: &self.e }
    }

    /// RFC 7638, with SHA-256: the same for a key wherever it is computed.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.n, &self.e)
    }

    fn to_entry(&self) -> Value {
        json!({"kid": self.kid, "kty": "RSA", "alg": "RS256", "n": encoded(&self.n), "e": encoded(&self.e)})
    }
}

fn thumbprint(n: &[u8], e: &[u8]) -> String {
    // The members in the order of their names, and no blank (RFC 7638 §3.3).
    let text = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encoded(e), encoded(n));
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn encoded(number: &[u8]) -> String {
    BASE64URL_NOPAD.encode(number)
}

/// Base64urlUInt (RFC 7518 §2); leading zeros, which should not be there, are taken away.
fn number(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, NoKey> {
    let text = members.get(name).and_then(Value::as_str).ok_or(NoKey::Base64)?;
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NoKey::Base64)?;
    Ok(magnitude(&bytes))
}

fn magnitude(mut number: &[u8]) -> Vec<u8> {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number.to_vec()
}

/// Modulus and exponent of the one key in a file.
fn parts(text: &[u8]) -> Result<(Vec<u8>, Vec<u8>), NoKey> {
    let blocks = armor::blocks(text, MAX_KEY_PEM).map_err(|e| NoKey::File(KeyError::Pem(e)))?;
    let malformed = || NoKey::File(KeyError::Malformed);
    let first = blocks.first().ok_or(NoKey::File(KeyError::Pem(armor::PemError::NoBlock)))?;
    let der = first.der.expose();
    match first.label.as_str() {
        // The leaf of a chain.
        "CERTIFICATE" => {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|_| malformed())?;
            of_spki(certificate.public_key())
        }
        _ if blocks.len() > 1 => Err(NoKey::File(KeyError::Pem(armor::PemError::Blocks(blocks.len())))),
        "PUBLIC KEY" => match SubjectPublicKeyInfo::from_der(der) {
            Ok(([], spki)) => of_spki(&spki),
            _ => Err(malformed()),
        },
        "RSA PUBLIC KEY" => match RSAPublicKey::from_der(der) {
            Ok(([], key)) => Ok((magnitude(key.modulus), magnitude(key.exponent))),
            _ => Err(malformed()),
        },
        _ => {
            let public = PrivateKey::from_pem(text).and_then(|key| key.public()).map_err(NoKey::File)?;
            match SubjectPublicKeyInfo::from_der(public.spki()) {
                Ok((_, spki)) => of_spki(&spki),
                Err(_) => Err(malformed()),
            }
        }
    }
}

fn of_spki(spki: &SubjectPublicKeyInfo<'_>) -> Result<(Vec<u8>, Vec<u8>), NoKey> {
    match spki.parsed() {
        Ok(ParsedKey::RSA(key)) => Ok((magnitude(key.modulus), magnitude(key.exponent))),
        Ok(ParsedKey::EC(_)) => Err(NoKey::Kty("EC".into())),
        _ => Err(NoKey::File(KeyError::Unsupported)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn entry(change: impl FnOnce(&mut Map<String, Value>)) -> Value {
        let mut entry = json!({"kid": "a", "kty": "RSA", "use": "sig", "n": N, "e": "AQAB", "x5c": ["x"]});
        change(entry.as_object_mut().unwrap());
        entry
    }

    fn sifted(entries: &[Value]) -> Sifted {
        sift(json!({ "keys": entries }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        let all = sifted(&[entry(|_| ())]);
        assert_eq!(all.keys[0].thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!((all.keys[0].bits(), all.dropped.len()), (2048, 0));
    }

    #[test]
    fn what_was_written_is_read_back_the_same_and_every_slurm_matches_it() {
        let all = sifted(&[entry(|_| ()), entry(|entry| drop(entry.insert("kid".into(), json!("b"))))]);
        let text = to_list(&all.keys);
        assert_eq!(all.without_alg, ["a", "b"]);
        assert_eq!(sift(text.as_bytes()).unwrap(), Sifted { without_alg: Vec::new(), ..all });
        let list: Value = serde_json::from_str(&text).unwrap();
        for key in list["keys"].as_array().unwrap() {
            assert_eq!((&key["kty"], &key["alg"]), (&json!("RSA"), &json!("RS256")));
            assert_eq!(key.as_object().unwrap().len(), 5);
        }
    }

    #[test]
    fn what_is_of_no_use_is_dropped_and_named() {
        let with = |name: &str, value: Value| entry(|entry| drop(entry.insert(name.into(), value)));
        let without = |name: &str| entry(|entry| drop(entry.remove(name)));
        for (entry, why) in [
            (with("kty", json!("EC")), NoKey::Kty("EC".into())),
            (with("kty", json!("rsa")), NoKey::Kty("rsa".into())),
            (without("kty"), NoKey::Kty("missing".into())),
            (with("alg", json!("RSA-OAEP")), NoKey::Alg("RSA-OAEP".into())),
            (with("alg", json!("RS512")), NoKey::Alg("RS512".into())),
            (with("use", json!("enc")), NoKey::Use("enc".into())),
            (with("key_ops", json!(["encrypt"])), NoKey::KeyOps),
            (without("kid"), NoKey::Kid),
            (with("kid", json!(7)), NoKey::Kid),
            (with("kid", json!("")), NoKey::Kid),
            (with("kid", json!("a\nb")), NoKey::Kid),
            (without("n"), NoKey::Base64),
            (with("e", json!("AQAB==")), NoKey::Base64),
            (with("n", json!("a+/b")), NoKey::Base64),
            (with("n", json!("AQAB")), NoKey::Bits(17)),
            (with("e", json!("AQ")), NoKey::Exponent),
            (with("e", json!("AQAA")), NoKey::Exponent),
            (with("d", json!("AQAB")), NoKey::Private),
            (json!(5), NoKey::NoObject),
        ] {
            let all = sifted(std::slice::from_ref(&entry));
            assert_eq!((all.keys.len(), all.dropped[0].1.clone()), (0, why), "{entry}");
        }
        let twice = sifted(&[entry(|_| ()), entry(|_| ())]);
        assert_eq!((twice.keys.len(), twice.dropped), (1, vec![("a".into(), NoKey::SecondKid)]));
    }

    #[test]
    fn what_is_no_list_is_said_without_its_text() {
        assert_eq!(sift(b"<html>"), Err(NoList::Json(1, 1)));
        assert_eq!(sift(b""), Err(NoList::Json(1, 0)));
        assert_eq!(sift(b"[]"), Err(NoList::NoKeys));
        assert_eq!(sift(b"{\"keys\":{}}"), Err(NoList::NoKeys));
        assert_eq!(sift(&vec![b' '; MAX_LIST + 1]), Err(NoList::TooLong));
        let many = json!({ "keys": vec![json!({}); MAX_KEYS + 1] }).to_string();
        assert_eq!(sift(many.as_bytes()), Err(NoList::TooLong));
    }

    #[test]
    fn a_file_without_an_rsa_key_is_refused() {
        let ec = PrivateKey::generate(crate::key::KeyKind::P256).unwrap();
        assert_eq!(RsaKey::of_pem(ec.to_pem().expose(), None), Err(NoKey::Kty("EC".into())));
        let none = Err(NoKey::File(KeyError::Pem(armor::PemError::NoBlock)));
        assert_eq!(RsaKey::of_pem(b"hello", None), none);
    }
}
