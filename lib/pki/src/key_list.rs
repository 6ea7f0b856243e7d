//! A list of keys (RFC 7517) as Slurm reads one: which members there are, each as a text. Secrets are borrowed from the file's
//! own bytes, which their owner wipes.
//!
//! Slurm's JSON reader takes things that are no JSON (comments, single quotes); here they are refused.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longest list that is read.
pub(crate) const MAX_LIST: usize = 1024 * 1024;

/// How deep lists and objects may lie in each other: json-c gives up at its 32nd level, and no list of keys has more than a few.
const MAX_DEPTH: usize = 16;

/// A value, as far as Slurm may make a text of it.
pub(crate) enum Text<'a> {
    /// A string.
    Is(Cow<'a, str>),
    /// A number, of which Slurm makes a text in most places.
    Number(String),
    /// null, of which it makes an empty one.
    Null,
    /// A list, an object, or a truth value.
    Other,
}

/// What stands under `keys`.
pub(crate) enum Keys<'a> {
    /// A list.
    List(Vec<Entry<'a>>),
    /// Something else.
    NoList,
    /// Nothing: there is no such member.
    Missing,
}

/// One key. What is in no list of Slurm's is passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entry<'a> {
    #[serde(borrow, deserialize_with = "there")]
    pub(crate) kid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) kty: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) alg: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) k: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) n: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) e: Option<Text<'a>>,
    #[serde(borrow, rename = "use")]
    pub(crate) used: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) exp: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default = "missing")]
    keys: Keys<'a>,
}

fn missing<'a>() -> Keys<'a> {
    Keys::Missing
}

/// A member that is there, null as well.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text<'de>>, D::Error> {
    Text::deserialize(deserializer).map(Some)
}

/// Reads a list.
///
/// # Errors
/// Where it is none, without anything of its contents.
pub(crate) fn parse(bytes: &[u8]) -> Result<Keys<'_>, String> {
    if bytes.len() > MAX_LIST {
        return Err(format!("it is longer than {MAX_LIST} bytes"));
    }
    let none =
        |e: serde_json::Error| format!("it is no list of keys (line {}, column {})", e.line(), e.column());
    if is_too_deep(bytes) {
        return Err(format!("something in it is nested more than {MAX_DEPTH} deep"));
    }
    // A raw NUL is no JSON.
    if bytes.windows(6).any(|part| part == b"\\u0000") {
        return Err("it has \\u0000 in it, where a text of Slurm's ends".into());
    }
    // A derived reader would take a list for an object's members in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice::<IgnoredAny>(bytes).map(|_| Keys::Missing).map_err(none);
    }
    serde_json::from_slice::<Document<'_>>(bytes).map(|document| document.keys).map_err(none)
}

/// Brackets in texts do not count.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// The text of a member that is a string, or a number that Slurm makes one of.
pub(crate) fn text<'t>(member: &'t Option<Text<'_>>) -> Option<&'t str> {
    match member {
        Some(Text::Is(text)) => Some(text.as_ref()),
        Some(Text::Number(text)) => Some(text),
        Some(Text::Null) => Some(""),
        Some(Text::Other) | None => None,
    }
}

/// The text of a member that is a string.
pub(crate) fn string<'t>(member: &'t Option<Text<'_>>) -> Option<&'t str> {
    match member {
        Some(Text::Is(text)) => Some(text.as_ref()),
        _ => None,
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyList)
    }
}

/// An entry that is an object and no list of its members.
struct Object<'a>(Entry<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyObject)
    }
}

struct AnyObject;

impl<'de> Visitor<'de> for AnyObject {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Entry::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

struct AnyList;

impl<'de> Visitor<'de> for AnyList {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some(Object(key)) = seq.next_element()? {
            keys.push(key);
        }
        Ok(Keys::List(keys))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Keys::NoList)
    }

    fn visit_borrowed_str<E: Error>(self, _: &'de str) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Keys::NoList)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text::Is(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text::Is(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text::Number(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text::Number(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Text::Number(number.to_string()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Text::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::Other)
    }
}

/// How many bytes a text of base64 or base64url stands for; padding may be there or not.
///
/// # Errors
/// When it is none to the letter: 26.05 and later then die, releases before pass over what does not belong.
pub(crate) fn decoded_length(text: &str) -> Result<usize, &'static str> {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    if !body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)) {
        return Err("has something in it that is not base64");
    }
    if body.len() % 4 == 1 || padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return Err("is base64 of a wrong length");
    }
    Ok(body.len() * 3 / 4)
}

/// As releases before 26.05 decode it: libjwt's own decoder ends at the first strange character, Debian's passes over it. The
/// shorter key counts.
pub(crate) fn decoded_length_leniently(text: &str) -> usize {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    text.bytes().take_while(belongs).count() * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_of_json_differ_on_is_no_list() {
        let nested = |n: usize| format!("{{\"keys\":[],\"x\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        for bad in [nested(MAX_DEPTH), nested(40), r#"{"keys":[{"kid":"a\u0000b"}]}"#.to_owned()] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(br#"{"keys":[],"x":"[[[[[[[[[[[[[[[[[[[[[[[[\"[[[["}"#).is_ok());
    }

    #[test]
    fn of_two_lenient_decoders_the_one_that_sees_less_counts() {
        assert_eq!(decoded_length_leniently("AAAAAAAA=="), 6);
        assert_eq!(decoded_length_leniently("AAAA\nAAAA"), 3);
    }
}
