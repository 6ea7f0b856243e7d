//! A list of keys (RFC 7517), as far as Slurm reads it.

use std::borrow::Cow;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use pki::secret::Secret;
use serde::Deserialize;

/// One key; what is secret in it is borrowed from the file's own bytes, which are wiped.
#[derive(Deserialize)]
pub(super) struct Jwk<'a> {
    #[serde(borrow)]
    pub(super) kid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) k: Option<Cow<'a, str>>,
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

    /// The one that signs: the default, else the first.
    pub(super) fn signs(&self) -> Option<&Jwk<'a>> {
        self.keys.iter().find(|key| key.used.as_deref() == Some("default")).or(self.keys.first())
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
