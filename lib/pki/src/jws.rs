//! Tokens in the compact form of RFC 7515 §3.1 with the two algorithms that Slurm takes (docs/slurm-contract.md 6), HS256 and
//! RS256 (RFC 7518 §3.2, §3.3): read without a key, signed, and verified with one.
//!
//! What a token claims is judged in [`crate::jwt`] by Slurm's rules, which are not those of any library.

use std::collections::HashSet;
use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::{hmac, signature};
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::explain::Explain;
use crate::key::{KeyError, KeyKind, PrivateKey};
use crate::secret::Secret;

/// Longest token that is read. Identity providers put lists of groups into theirs; HTTP servers take headers of 8 to 16 KiB.
pub const MAX_TOKEN: usize = 32 * 1024;

/// Why a text is no token, or none can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN`].
    TooLong,
    /// Not three parts with two dots between them.
    Parts,
    /// A part is not base64url without padding.
    Base64(Part),
    /// A part is not one JSON object, each name of which is there once (RFC 7515 §4, RFC 7519 §4).
    Json(Part),
    /// The key does not sign with RS256.
    NotRsa(KeyKind),
    /// The key is refused.
    Key(KeyError),
}

/// A part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Claims,
    /// The third.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is no token: longer than {MAX_TOKEN} bytes"),
            Self::Parts => f.write_str("it is no token: not three parts with two dots between them"),
            Self::Base64(part) => write!(f, "it is no token: its {part} is not base64url"),
            Self::Json(part) => {
                write!(f, "it is no token: its {part} is not a JSON object with each name once")
            }
            Self::NotRsa(kind) => write!(f, "a {kind} key cannot sign with RS256"),
            Self::Key(e) => e.fmt(f),
        }
    }
}

impl Explain for TokenError {
    fn hint(&self) -> String {
        match self {
            Self::NotRsa(_) => "Slurm takes RS256 alone beside HS256: give an RSA key".into(),
            Self::Key(e) => e.hint(),
            _ => "give the token itself, as in aaa.bbb.ccc, or a line SLURM_JWT=aaa.bbb.ccc".into(),
        }
    }
}

/// A token that was read; nothing in it is verified.
pub struct Token {
    text: Secret,
    /// Where the last dot is: what is signed ends there.
    signed: usize,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: Zeroizing<Vec<u8>>,
}

impl Token {
    /// Reads a token: the text itself, with or without `SLURM_JWT=` before and line ends after it, as scontrol prints it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let text = text.trim_ascii();
        let text = text.strip_prefix(b"SLURM_JWT=").unwrap_or(text);
        if text.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
        let &[header, claims, signature] = parts.as_slice() else { return Err(TokenError::Parts) };
        let decoded = |part, text: &[u8]| {
            BASE64URL_NOPAD.decode(text).map(Zeroizing::new).map_err(|_| TokenError::Base64(part))
        };
        let object = |part, text: &[u8]| {
            let Object(members) =
                serde_json::from_slice(&decoded(part, text)?).map_err(|_| TokenError::Json(part))?;
            Ok(members)
        };
        Ok(Self {
            signed: header.len() + 1 + claims.len(),
            header: object(Part::Header, header)?,
            claims: object(Part::Claims, claims)?,
            signature: decoded(Part::Signature, signature)?,
            text: Secret::new(text.to_vec()),
        })
    }

    /// The JOSE header.
    #[must_use]
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// What it claims.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    fn signed(&self) -> &[u8] {
        self.text.expose().get(..self.signed).unwrap_or_default()
    }

    /// Whether this key made the signature, by HS256. In constant time.
    #[must_use]
    pub fn is_by_hs256(&self, key: &Secret) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        hmac::verify(&key, self.signed(), &self.signature).is_ok()
    }

    /// Whether the private half of this key made the signature, by RS256; both numbers big-endian without leading zeros.
    /// Keys of 1024 bits are verified too: whether they should be in use is another question.
    #[must_use]
    pub fn is_by_rs256(&self, n: &[u8], e: &[u8]) -> bool {
        let rule = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        let key = signature::RsaPublicKeyComponents { n, e };
        key.verify(rule, self.signed(), &self.signature).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A JSON object, each name of which is there once: two readers could take different ones of two.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Object, A::Error> {
                let (mut seen, mut members) = (HashSet::new(), Map::new());
                while let Some((name, value)) = from.next_entry::<String, Value>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom("a name is there twice"));
                    }
                    members.insert(name, value);
                }
                Ok(Object(members))
            }
        }
        from.deserialize_map(Members)
    }
}

/// Makes a token with HS256. Slurm ignores a kid here, so there is none.
#[must_use]
pub fn sign_hs256(key: &Secret, claims: &Map<String, Value>) -> Secret {
    let mut text = unsigned(&serde_json::json!({"alg": "HS256", "typ": "JWT"}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let signature = hmac::sign(&key, text.as_bytes());
    finish(&mut text, signature.as_ref())
}

/// Makes a token with RS256, whose key Slurm finds by the kid.
///
/// # Errors
/// When the key is none of RSA.
pub fn sign_rs256(key: &PrivateKey, kid: &str, claims: &Map<String, Value>) -> Result<Secret, TokenError> {
    if key.kind() != KeyKind::Rsa {
        return Err(TokenError::NotRsa(key.kind()));
    }
    let mut text = unsigned(&serde_json::json!({"alg": "RS256", "kid": kid, "typ": "JWT"}), claims);
    let refused = |_| TokenError::Key(KeyError::Malformed);
    let pair = key.pkcs8();
    let pair = signature::RsaKeyPair::from_pkcs8(pair).map_err(refused)?;
    let mut signed = vec![0; pair.public().modulus_len()];
    pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signed)
        .map_err(|_| TokenError::Key(KeyError::Random))?;
    Ok(finish(&mut text, &signed))
}

/// Header and claims, with room for the signature: growing would leave unwiped copies behind.
fn unsigned(header: &Value, claims: &Map<String, Value>) -> Zeroizing<String> {
    let claims = Zeroizing::new(Value::Object(claims.clone()).to_string());
    let mut text = Zeroizing::new(String::with_capacity(2 * claims.len() + 2048));
    BASE64URL_NOPAD.encode_append(header.to_string().as_bytes(), &mut text);
    text.push('.');
    BASE64URL_NOPAD.encode_append(claims.as_bytes(), &mut text);
    text
}

fn finish(text: &mut Zeroizing<String>, signature: &[u8]) -> Secret {
    text.push('.');
    BASE64URL_NOPAD.encode_append(signature, text);
    Secret::new(std::mem::take(&mut **text).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Map<String, Value> {
        let Value::Object(claims) = serde_json::json!({"sun": "alice", "iat": 1, "exp": 2}) else {
            unreachable!()
        };
        claims
    }

    /// RFC 7515, appendix A.1: somebody else's token.
    #[test]
    fn the_example_of_the_rfc_verifies() {
        let key = BASE64URL_NOPAD
            .decode(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let text = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let token = Token::parse(text).unwrap();
        assert_eq!(token.claims()["iss"], "joe");
        assert!(token.is_by_hs256(&Secret::new(key)));
        assert!(!token.is_by_hs256(&Secret::new(vec![0; 64])));
    }

    #[test]
    fn a_token_of_ours_is_read_back_and_a_changed_one_does_not_verify() {
        let key = Secret::new(vec![7; 32]);
        let text = sign_hs256(&key, &claims());
        let token = Token::parse(text.expose()).unwrap();
        assert_eq!((token.claims(), token.header()["alg"].as_str()), (&claims(), Some("HS256")));
        assert!(token.is_by_hs256(&key));
        for at in 0..text.expose().len() {
            let mut other = text.expose().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            if let Ok(other) = Token::parse(&other) {
                assert!(!other.is_by_hs256(&key), "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_told_apart() {
        let object = BASE64URL_NOPAD.encode(b"{}");
        let twice = BASE64URL_NOPAD.encode(br#"{"sun":"a","sun":"root"}"#);
        let read = |text: &str| Token::parse(text.as_bytes()).map(|_| ());
        assert_eq!(read(&format!("SLURM_JWT={object}.{object}.\n")), Ok(()));
        assert_eq!(read(""), Err(TokenError::Parts));
        assert_eq!(read("a.b"), Err(TokenError::Parts));
        assert_eq!(read("a.b.c.d.e"), Err(TokenError::Parts));
        assert_eq!(read(&format!("{object}=.{object}.")), Err(TokenError::Base64(Part::Header)));
        assert_eq!(read(&format!("{object}.{twice}.")), Err(TokenError::Json(Part::Claims)));
        assert_eq!(read(&format!("{object}.W10.")), Err(TokenError::Json(Part::Claims)));
        assert_eq!(read(&format!("{object}.{object}.!")), Err(TokenError::Base64(Part::Signature)));
        assert_eq!(read(&"a".repeat(MAX_TOKEN + 1)), Err(TokenError::TooLong));
    }

    #[test]
    fn a_key_of_another_kind_signs_nothing() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        assert_eq!(sign_rs256(&key, "a", &claims()).unwrap_err(), TokenError::NotRsa(KeyKind::P256));
    }
}
