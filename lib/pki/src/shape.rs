//! The shape of a certificate, to the letter of RFC 5280 §4.1 and DER.
//!
//! x509-parser lets wrong tags and lengths inside names and algorithms pass, where OpenSSL and AWS-LC
//! under s2n refuse the certificate, and a daemon that is given one crashes. What passes here has the
//! one encoding that all of them read.

use pkcs8::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use pkcs8::der::{Decode, Reader, SliceReader, Tag, Tagged};

/// Whether `der` is one certificate of version 3 (or 1, without extensions), in strict DER.
pub(crate) fn is_strict(der: &[u8]) -> bool {
    AnyRef::from_der(der).ok().and_then(certificate).is_some()
}

fn certificate(any: AnyRef<'_>) -> Option<()> {
    let [tbs, outer, signature] = parts(any, Tag::Sequence)?.try_into().ok()?;
    bit_string(signature)?;
    let mut fields = parts(tbs, Tag::Sequence)?.into_iter().peekable();
    if let Some(version) = fields.next_if(|field| number_of(field) == Some(0)) {
        let [version] = elements(version.value())?.try_into().ok()?;
        (version.tag() == Tag::Integer && version.value() == [2]).then_some(())?;
    }
    let serial = fields.next()?;
    UintRef::try_from(serial).ok()?;
    let inner = fields.next()?;
    algorithm(inner)?;
    (inner == outer).then_some(())?;
    name(fields.next()?)?;
    let [from, until] = parts(fields.next()?, Tag::Sequence)?.try_into().ok()?;
    (is_time(from) && is_time(until)).then_some(())?;
    name(fields.next()?)?;
    let [key_algorithm, key] = parts(fields.next()?, Tag::Sequence)?.try_into().ok()?;
    algorithm(key_algorithm)?;
    bit_string(key)?;
    // Unique identifiers went out of use with version 2; [3] are the extensions.
    match (fields.next(), fields.next()) {
        (None, None) => Some(()),
        (Some(last), None) if number_of(&last) == Some(3) => extensions(last),
        _ => None,
    }
}

fn extensions(explicit: AnyRef<'_>) -> Option<()> {
    let [list] = elements(explicit.value())?.try_into().ok()?;
    let list = parts(list, Tag::Sequence)?;
    (!list.is_empty()).then_some(())?;
    list.into_iter().try_for_each(|extension| {
        let all = parts(extension, Tag::Sequence)?;
        let (oid, value) = match all.as_slice() {
            [oid, value] => (oid, value),
            [oid, critical, value] if is_boolean(*critical) => (oid, value),
            _ => return None,
        };
        is_oid(*oid).then_some(())?;
        let oid = oid.decode_as().ok()?;
        let [content] = elements(value.value())?.try_into().ok()?;
        (value.tag() == Tag::OctetString && content_fits(oid, content)?).then_some(())
    })
}

/// The extensions that OpenSSL looks into; of others only the outermost element is judged.
fn content_fits(oid: ObjectIdentifier, content: AnyRef<'_>) -> Option<bool> {
    Some(match oid {
        SUBJECT_KEY_ID => content.tag() == Tag::OctetString,
        KEY_USAGE | NETSCAPE_TYPE => content.decode_as::<BitStringRef<'_>>().is_ok(),
        BASIC_CONSTRAINTS => match parts(content, Tag::Sequence)?.as_slice() {
            [] => true,
            [one] => is_boolean(*one) || is_number(*one),
            [ca, path_len] => is_boolean(*ca) && is_number(*path_len),
            _ => false,
        },
        EXTENDED_KEY_USAGE => {
            let usages = parts(content, Tag::Sequence)?;
            !usages.is_empty() && usages.into_iter().all(is_oid)
        }
        SUBJECT_ALT_NAME => {
            let names = parts(content, Tag::Sequence)?;
            !names.is_empty() && names.into_iter().all(is_general_name)
        }
        AUTHORITY_KEY_ID => is_authority_key_id(&parts(content, Tag::Sequence)?)?,
        NAME_CONSTRAINTS => {
            let lists = parts(content, Tag::Sequence)?;
            let numbers: Vec<_> = lists.iter().map(number_of).collect();
            let subtrees =
                lists.into_iter().map(|list| elements(list.value())).collect::<Option<Vec<_>>>()?;
            matches!(numbers.as_slice(), [Some(0 | 1)] | [Some(0), Some(1)])
                && subtrees.into_iter().flatten().all(is_subtree)
        }
        _ => true,
    })
}

const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const NETSCAPE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1");

/// `[0]` key identifier, `[1]` issuer's name, `[2]` its serial number; the last two only together.
fn is_authority_key_id(fields: &[AnyRef<'_>]) -> Option<bool> {
    let (id, issuer) = match fields {
        [id, issuer @ ..] if primitive_number_of(id) == Some(0) => (Some(id), issuer),
        issuer => (None, issuer),
    };
    Some(match issuer {
        [] => id.is_some(),
        [names, serial] if number_of(names) == Some(1) && primitive_number_of(serial) == Some(2) => {
            elements(names.value())?.into_iter().all(is_general_name)
                && is_number(AnyRef::new(Tag::Integer, serial.value()).ok()?)
        }
        _ => false,
    })
}

/// RFC 5280 §4.2.1.6, without the kinds that nobody uses (x400Address, ediPartyName).
fn is_general_name(any: AnyRef<'_>) -> bool {
    match (primitive_number_of(&any), number_of(&any)) {
        (Some(1 | 2 | 6), _) => any.value().is_ascii(),
        (Some(7), _) => matches!(any.value().len(), 4 | 8 | 16 | 32),
        (Some(8), _) => AnyRef::new(Tag::ObjectIdentifier, any.value()).is_ok_and(is_oid),
        (_, Some(0)) => true,
        (_, Some(4)) => elements(any.value())
            .is_some_and(|names| matches!(names.as_slice(), [one] if name(*one).is_some())),
        _ => false,
    }
}

/// A name; minimum and maximum are not used (RFC 5280 §4.2.1.10).
fn is_subtree(any: AnyRef<'_>) -> bool {
    parts(any, Tag::Sequence).is_some_and(|all| matches!(all.as_slice(), [base] if is_general_name(*base)))
}

fn is_boolean(any: AnyRef<'_>) -> bool {
    any.tag() == Tag::Boolean && matches!(any.value(), [0 | 0xff])
}

fn is_number(any: AnyRef<'_>) -> bool {
    any.decode_as::<UintRef<'_>>().is_ok()
}

fn primitive_number_of(any: &AnyRef<'_>) -> Option<u32> {
    match any.tag() {
        Tag::ContextSpecific { constructed: false, number } => Some(number.value()),
        _ => None,
    }
}

fn name(any: AnyRef<'_>) -> Option<()> {
    for set in parts(any, Tag::Sequence)? {
        let attributes = parts(set, Tag::Set)?;
        (!attributes.is_empty()).then_some(())?;
        for attribute in attributes {
            let [kind, value] = parts(attribute, Tag::Sequence)?.try_into().ok()?;
            is_oid(kind).then_some(())?;
            is_text(value).then_some(())?;
        }
    }
    Some(())
}

fn is_text(value: AnyRef<'_>) -> bool {
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(value.value()).is_ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::TeletexString => value.value().is_ascii(),
        _ => false,
    }
}

/// UTCTime or GeneralizedTime in the form of RFC 5280 §4.1.2.5: digits to the second, and a Z.
fn is_time(any: AnyRef<'_>) -> bool {
    let digits = match any.tag() {
        Tag::UtcTime => 12,
        Tag::GeneralizedTime => 14,
        _ => return false,
    };
    matches!(any.value(), [time @ .., b'Z'] if time.len() == digits && time.iter().all(u8::is_ascii_digit))
}

fn algorithm(any: AnyRef<'_>) -> Option<()> {
    let all = parts(any, Tag::Sequence)?;
    let (oid, parameters) = all.split_first()?;
    is_oid(*oid).then_some(())?;
    let whole = |one: &AnyRef<'_>| match one.tag() {
        Tag::ObjectIdentifier => is_oid(*one),
        Tag::Null => one.value().is_empty(),
        _ => true,
    };
    (parameters.len() <= 1 && parameters.iter().all(whole)).then_some(())
}

fn bit_string(any: AnyRef<'_>) -> Option<()> {
    BitStringRef::try_from(any).ok()?.as_bytes().map(|_| ())
}

fn parts<'a>(any: AnyRef<'a>, tag: Tag) -> Option<Vec<AnyRef<'a>>> {
    if any.tag() == tag { elements(any.value()) } else { None }
}

fn elements(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(der).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(found)
}

/// The number of an explicit context-specific tag.
fn number_of(any: &AnyRef<'_>) -> Option<u32> {
    match any.tag() {
        Tag::ContextSpecific { constructed: true, number } => Some(number.value()),
        _ => None,
    }
}

/// Each number in as few bytes as it takes, and the last one whole.
fn is_oid(any: AnyRef<'_>) -> bool {
    let bytes = any.value();
    let starts = |n: usize| n == 0 || bytes.get(n - 1).is_some_and(|before| before & 0x80 == 0);
    any.tag() == Tag::ObjectIdentifier
        && bytes.last().is_some_and(|last| last & 0x80 == 0)
        && !bytes.iter().enumerate().any(|(n, byte)| *byte == 0x80 && starts(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["n1".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_as_rcgen_writes_it_is_strict() {
        assert!(is_strict(&certificate()));
    }

    #[test]
    fn a_certificate_cut_short_or_prolonged_is_not() {
        let der = certificate();
        assert!((0..der.len()).all(|end| !is_strict(&der[..end])));
        assert!(!is_strict(&[der.as_slice(), &[0]].concat()));
    }

    #[test]
    fn numbers_of_an_oid_are_not_padded_and_not_cut() {
        let is_oid = |bytes| is_oid(AnyRef::new(Tag::ObjectIdentifier, bytes).unwrap());
        assert!(is_oid(&[0x2a, 0x86, 0x48]));
        assert!(!is_oid(&[0x2a, 0x80, 0x48]));
        assert!(!is_oid(&[0x2a, 0x86]));
        assert!(!is_oid(&[]));
    }

    #[test]
    fn a_time_has_seconds_and_a_z() {
        let is_time = |bytes: &[u8]| is_time(AnyRef::new(Tag::UtcTime, bytes).unwrap());
        assert!(is_time(b"261122031859Z"));
        for other in [&b"2611220318Z"[..], b"261122031859+0100", b"26112203185Z", b"2611220318 9Z"] {
            assert!(!is_time(other));
        }
    }
}
