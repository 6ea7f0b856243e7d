//! A list of keys (RFC 7517), as far as Slurm reads it.

use std::borrow::Cow;
use std::collections::HashSet;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use pki::secret::Secret;
use serde::Deserialize;

/// One key; what is secret in it is borrowed from the file's own bytes, which are wiped.
#[derive(Deserialize)]
pub(super) struct Jwk<'a> {
    #[serde(borrow)]
    pub(super) kid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) kty: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) alg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) k: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) n: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) e: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "use")]
    pub(super) used: Option<Cow<'a, str>>,
    pub(super) exp: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct Jwks<'a> {
    #[serde(borrow)]
    pub(super) keys: Vec<Jwk<'a>>,
}

impl<'a> Jwks<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// Where it is none, without its contents.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes)
            .map_err(|e| format!("no list of keys (line {}, column {})", e.line(), e.column()))
    }

    /// What is wrong with the names: every key has one, and no two have the same.
    pub(super) fn names(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for (n, key) in self.keys.iter().enumerate() {
            match &key.kid {
                None => return Err(format!("key {} has no kid", n + 1)),
                Some(kid) if !seen.insert(kid.as_ref()) => {
                    return Err(format!("two keys have the kid {kid}"));
                }
                Some(_) => {}
            }
        }
        if self.keys.is_empty() { Err("it has no key".into()) } else { Ok(()) }
    }
}

impl Jwk<'_> {
    /// Its name, for a message.
    pub(super) fn name(&self) -> &str {
        self.kid.as_deref().unwrap_or_default()
    }

    /// The bytes that sign, where they can be read: base64 or base64url, with or without padding.
    pub(super) fn secret(&self) -> Option<Secret> {
        let text = self.k.as_deref()?.trim_end_matches('=');
        let alphabet = if text.contains(['+', '/']) { BASE64_NOPAD } else { BASE64URL_NOPAD };
        alphabet.decode(text.as_bytes()).ok().map(Secret::new)
    }

    /// Its end in unix seconds, a number or a text with one; 0 is never.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn end(&self) -> Result<Option<i64>, ()> {
        let end = match &self.exp {
            None => return Ok(None),
            Some(serde_json::Value::Number(number)) => number.as_i64(),
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        end.map(|end| Some(end).filter(|end| *end != 0)).ok_or(())
    }
}
