//! What a program is given in a case.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use data_encoding::HEXLOWER;
use pki::armor;
use pki::time::UnixTime;
use pki::token::NodeSecret;
use support::openssl;
use support::request::{CHALLENGE_PASSWORD, COMMON_NAME, Request};
use support::site::{Site, now, random};

use crate::case_file::{BindingSpec, Case, CsrSpec, TokenWord, Word};

/// The arguments: the case's own, else what Slurm would give for node n1.
pub(crate) fn argv(case: &Case, program: &str, site: &Site) -> Vec<OsString> {
    if let Some(words) = &case.argv {
        return words.iter().map(|word| OsString::from_vec(bytes(word, site))).collect();
    }
    match program {
        "keygen" => Vec::new(),
        "certgen" => vec![openssl::new_key("EC", &["ec_paramgen_curve:P-256"]).into()],
        "sign_csr" => vec![OsString::from_vec(request(&case.csr, site))],
        "validate_node_token" => vec!["n1".into(), site.token("n1").into()],
        _ => vec!["n1".into()],
    }
}

/// A time relative to now: `-8d`, `10m`.
pub(crate) fn time(relative: &str) -> UnixTime {
    let span = |text| humantime::parse_duration(text).unwrap_or_else(|e| panic!("{relative}: {e}"));
    match relative.strip_prefix('-') {
        Some(ago) => now().minus(span(ago)),
        None => now().plus(span(relative)),
    }
}

fn bytes(word: &Word, site: &Site) -> Vec<u8> {
    match word {
        Word::Text(text) => text.clone().into_bytes(),
        Word::Hex(word) => HEXLOWER.decode(word.hex.as_bytes()).unwrap(),
        Word::Fill(word) => word.fill.repeat(word.times).into_bytes(),
        Word::Key(word) => {
            format!("{}{}{}", word.before, new_key(&word.openssl_key), word.after).into_bytes()
        }
        Word::Token(word) => token(word, site).into_bytes(),
    }
}

fn token(word: &TokenWord, site: &Site) -> String {
    let token = site.token(&word.token_of);
    let kept = &token[word.cut_front..token.len() - word.cut_back];
    format!("{}{kept}{}", word.before, word.after)
}

fn request(spec: &CsrSpec, site: &Site) -> Vec<u8> {
    let mut der = match &spec.openssl_key {
        Some(key) => by_openssl(spec, key),
        None => assembled(spec, site).der(),
    };
    if let Some(back) = spec.flip {
        let at = der.len() - 1 - back;
        der[at] ^= 1;
    }
    der.truncate(der.len() - spec.cut);
    der.extend(HEXLOWER.decode(spec.trailing.as_bytes()).unwrap());
    let block = armor::public(&spec.label, &der).repeat(spec.copies);
    let blank = "\n".repeat(spec.blank_lines);
    format!("{}{blank}{block}{}", spec.before, spec.after).into_bytes()
}

fn by_openssl(spec: &CsrSpec, key: &[String]) -> Vec<u8> {
    let options: Vec<_> = spec.openssl_options.iter().map(String::as_str).collect();
    let pem = openssl::request(&new_key(key), &format!("/CN={}", spec.names[0]), &options);
    armor::only_block(pem.as_bytes(), &["CERTIFICATE REQUEST"], usize::MAX).unwrap().expose().to_vec()
}

fn new_key(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    openssl::new_key(words[0], &words[1..])
}

fn assembled(spec: &CsrSpec, site: &Site) -> Request {
    let mut request = Request::new();
    for (oid, value) in &spec.subject {
        request = request.subject(oid, spec.name_type.tag(), value.as_bytes());
    }
    for name in &spec.names {
        request = request.subject(COMMON_NAME, spec.name_type.tag(), name.as_bytes());
    }
    for [oid, der] in &spec.extensions {
        request = request.extension(oid, &HEXLOWER.decode(der.as_bytes()).unwrap());
    }
    for attribute in &spec.attributes {
        let values: Vec<_> =
            attribute.values.iter().map(|hex| HEXLOWER.decode(hex.as_bytes()).unwrap()).collect();
        request = request.raw_attribute(&attribute.oid, &values);
    }
    if spec.bound {
        let text = binding(spec, &request, site).into_bytes();
        let values = vec![(spec.binding.r#type.tag(), text); spec.binding.values];
        for _ in 0..spec.binding.attributes {
            request = request.attribute(CHALLENGE_PASSWORD, &values);
        }
    }
    request
}

fn binding(spec: &CsrSpec, request: &Request, site: &Site) -> String {
    let BindingSpec { by, name, made, other_key, cut, text, .. } = &spec.binding;
    if let Some(text) = text {
        return text.clone();
    }
    let stranger = NodeSecret::new(random());
    let secret = if by == "a stranger" { &stranger } else { site.secret(by) };
    // A name that no node can have cannot be bound either; the request is refused before that matters.
    let own = spec.names.first().map_or("n1", String::as_str);
    let own = if pki::name::NodeName::parse(own.as_bytes()).is_ok() { own } else { "n1" };
    let name = if name.is_empty() { own } else { name };
    let mut text = if *other_key {
        Request::new().binding_text(secret, name, time(made))
    } else {
        request.binding_text(secret, name, time(made))
    };
    text.truncate(text.len() - cut);
    text
}
