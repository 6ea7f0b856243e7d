//! slurm.jwks in memory (RFC 7517): changed one key at a time, everything else in it kept as it stands.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use pki::secret::Secret;
use serde_json::{Map, Value, json};

/// What the key that signs has in `use` (slurm-contract.md 5).
const DEFAULT: &str = "default";

/// Longest list that is read. A key takes some 150 bytes.
pub(super) const MAX_JWKS: usize = 1024 * 1024;

/// A list of keys. Wiped on drop; no `Debug`.
pub(super) struct Keyring(Value);

impl Keyring {
    /// A list of one key, which signs.
    pub(super) fn of(kid: &str, secret: &Secret) -> Self {
        let mut ring = Self(json!({ "keys": [] }));
        ring.push(kid, secret);
        ring.make_default(kid);
        ring
    }

    /// Reads a list, as far as it is changed here: whether daemons load it is for [`super::files`] to judge.
    ///
    /// # Errors
    /// What is wrong with it, without its contents.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document = serde_json::from_slice(text)
            .map_err(|e| format!("it is no JSON (line {}, column {})", e.line(), e.column()))?;
        let ring = Self(document);
        if ring.0.get("keys").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err("it is no list of keys".into());
        }
        let mut seen = BTreeSet::new();
        for (n, key) in ring.keys().enumerate() {
            let Some(kid) = key.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty()) else {
                return Err(format!("key {} has no kid", n + 1));
            };
            if !seen.insert(kid) {
                return Err(format!("two keys have the kid {kid}"));
            }
        }
        match ring.keys().filter(|key| is_default(key)).count() {
            0 | 1 => Ok(ring),
            _ => Err("two keys are the default".into()),
        }
    }

    /// The names of the keys, in their order.
    pub(super) fn kids(&self) -> Vec<&str> {
        self.keys().filter_map(kid).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.keys().any(|key| kid(key) == Some(name))
    }

    /// The key that signs: the one that says so, else the first.
    pub(super) fn default_kid(&self) -> &str {
        let named = self.keys().find(|key| is_default(key));
        named.or_else(|| self.keys().next()).and_then(kid).unwrap_or_default()
    }

    /// When a key ends, in seconds since 1970: a number or a text with one; 0 is never.
    pub(super) fn end(&self, name: &str) -> Option<i64> {
        let exp = self.keys().find(|key| kid(key) == Some(name))?.get("exp")?;
        let end = exp.as_i64().or_else(|| exp.as_str()?.parse().ok())?;
        (end != 0).then_some(end)
    }

    /// One more key, which nobody signs with: what signed until now says so, whatever the order of the list.
    pub(super) fn add(&mut self, kid: &str, secret: &Secret) {
        let signs = self.default_kid().to_owned();
        self.make_default(&signs);
        self.push(kid, secret);
    }

    /// This key signs from now on. Its own end would be looked at by those who verify and never by those who sign, so it has
    /// none.
    pub(super) fn make_default(&mut self, name: &str) {
        for key in self.keys_mut() {
            if kid_of(key) == Some(name) {
                key.insert("use".into(), DEFAULT.into());
                key.remove("exp");
            } else if key.get("use").and_then(Value::as_str) == Some(DEFAULT) {
                key.remove("use");
            }
        }
    }

    /// A key less. The one that signs stays.
    ///
    /// # Errors
    /// When it signs.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), String> {
        if self.default_kid() == name {
            return Err(format!("{name} is the key that signs"));
        }
        // What is left may have no default, and would then take another first key.
        let signs = self.default_kid().to_owned();
        self.make_default_only(&signs);
        if let Some(keys) = self.0.get_mut("keys").and_then(Value::as_array_mut) {
            for key in keys.iter_mut().filter(|key| kid(key) == Some(name)) {
                wipe(key);
            }
            keys.retain(|key| !key.is_null());
        }
        Ok(())
    }

    fn make_default_only(&mut self, name: &str) {
        for key in self.keys_mut().filter(|key| kid_of(key) == Some(name)) {
            key.insert("use".into(), DEFAULT.into());
        }
    }

    /// The file's bytes.
    pub(super) fn to_json(&self) -> Secret {
        // One buffer, large enough from the start: growing would leave unwiped copies behind.
        let mut text = Vec::with_capacity(2 * MAX_JWKS);
        let _ = serde_json::to_writer_pretty(&mut text, &self.0);
        text.push(b'\n');
        Secret::new(text)
    }

    /// RFC 7518 6.4: `k` is base64url without padding, which every release of Slurm decodes (slurm-contract.md 5).
    fn push(&mut self, kid: &str, secret: &Secret) {
        let k = BASE64URL_NOPAD.encode(secret.expose());
        let key = json!({ "kid": kid, "kty": "oct", "alg": "HS256", "k": k });
        // `json!` has a copy of its own.
        wipe(&mut Value::String(k));
        if let Some(keys) = self.0.get_mut("keys").and_then(Value::as_array_mut) {
            keys.push(key);
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Value> {
        self.0.get("keys").and_then(Value::as_array).into_iter().flatten()
    }

    fn keys_mut(&mut self) -> impl Iterator<Item = &mut Map<String, Value>> {
        let keys = self.0.get_mut("keys").and_then(Value::as_array_mut);
        keys.into_iter().flatten().filter_map(Value::as_object_mut)
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Takes all of it apart: every text goes the way of a secret.
fn wipe(value: &mut Value) {
    match value.take() {
        Value::String(text) => drop(Secret::new(text.into_bytes())),
        Value::Array(mut all) => all.iter_mut().for_each(wipe),
        Value::Object(mut members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn kid(key: &Value) -> Option<&str> {
    key.get("kid")?.as_str()
}

fn kid_of(key: &Map<String, Value>) -> Option<&str> {
    key.get("kid")?.as_str()
}

fn is_default(key: &Value) -> bool {
    key.get("use").and_then(Value::as_str) == Some(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = r#"{"note":"ours","keys":[
        {"kid":"a","kty":"oct","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAA","x":1},
        {"kid":"b","kty":"OCT","alg":"hs256","k":"BBBBBBBBBBBBBBBBBBBBBA","exp":"1800000000"}]}"#;

    fn secret() -> Secret {
        Secret::new(vec![7; 32])
    }

    fn value(ring: &Keyring) -> Value {
        serde_json::from_slice(ring.to_json().expose()).unwrap()
    }

    #[test]
    fn a_new_list_has_one_key_that_signs_and_never_ends() {
        let ring = Keyring::of("n", &secret());
        let key = json!({"kid":"n","kty":"oct","alg":"HS256","use":"default",
            "k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"});
        assert_eq!(value(&ring), json!({ "keys": [key] }));
    }

    #[test]
    fn a_key_comes_and_another_goes_and_all_else_stays() {
        let mut ring = Keyring::parse(OTHER.as_bytes()).unwrap();
        assert_eq!((ring.default_kid(), ring.end("b"), ring.end("a")), ("a", Some(1_800_000_000), None));
        ring.add("n", &secret());
        assert_eq!((ring.kids(), ring.default_kid()), (vec!["a", "b", "n"], "a"));
        let shown = value(&ring);
        assert_eq!((&shown["note"], &shown["keys"][0]["x"]), (&json!("ours"), &json!(1)));
        assert_eq!(
            (&shown["keys"][0]["use"], &shown["keys"][1]["exp"]),
            (&json!("default"), &json!("1800000000"))
        );
        ring.make_default("n");
        assert_eq!((ring.default_kid(), value(&ring)["keys"][0].get("use")), ("n", None));
        ring.remove("a").unwrap();
        assert_eq!((ring.kids(), ring.default_kid()), (vec!["b", "n"], "n"));
        assert!(ring.remove("n").is_err());
    }

    #[test]
    fn the_first_that_signs_without_saying_so_says_so_once_another_leaves() {
        let mut ring = Keyring::parse(OTHER.as_bytes()).unwrap();
        ring.remove("b").unwrap();
        assert_eq!(value(&ring)["keys"][0]["use"], json!("default"));
    }

    #[test]
    fn what_is_no_list_is_refused_without_a_word_of_it() {
        for bad in [
            "",
            "{",
            "[]",
            r#"{"keys":[]}"#,
            r#"{"keys":{}}"#,
            r#"{"keys":["AAAAAAAAAAAAAAAAAAAAAA"]}"#,
            r#"{"keys":[{"k":"AAAAAAAAAAAAAAAAAAAAAA"}]}"#,
            r#"{"keys":[{"kid":"a"},{"kid":"a"}]}"#,
            r#"{"keys":[{"kid":"a","use":"default"},{"kid":"b","use":"default"}]}"#,
        ] {
            let why = Keyring::parse(bad.as_bytes()).err().unwrap();
            assert!(!why.contains("AAAA"), "{why}");
        }
    }
}
