//! What s2n, as Slurm uses it, loads and accepts: our own check by the rules of slurm-contract.md 3.1-3.4.
//!
//! A slurmd that is given something s2n refuses crashes without a log line (slurm-contract.md 1.3), so every
//! certificate, key and bundle passes here before it is printed or installed. The crate `s2n-tls`
//! proves these rules right in the tests.

use std::fmt;
use std::net::IpAddr;

use pkcs8::der::Decode as _;
use sec1::EcPrivateKey;

use crate::armor::{self, PemError};
use crate::explain::Explain;
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::time::UnixTime;
use crate::x509::{X509, X509Error};

/// A handshake message is bounded by 64 KiB for the whole chain (slurm-contract.md 1.4).
pub const MAX_CHAIN_PEM: usize = 64 * 1024;

/// Longest bundle of trusted certificates: some 500 of them.
pub const MAX_BUNDLE_PEM: usize = 1024 * 1024;

/// Most certificates that s2n takes from a peer, anchor not counted.
const MAX_DEPTH: usize = 7;

/// The CA file is mapped and read as a C string: a file of whole pages has no terminator.
const PAGE: usize = 4096;

/// Longest CN that s2n compares.
const MAX_CN: usize = 254;

/// Why s2n would refuse it, or a peer would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unloadable {
    /// Not PEM as s2n reads it.
    Pem(PemError),
    /// `--` in text outside the blocks: s2n takes it for the start of one.
    Dashes,
    /// A NUL byte: Slurm's C string ends there, and what follows is lost.
    Nul,
    /// Text after the last block of a bundle.
    TrailingText,
    /// A bundle of exactly so many bytes, a multiple of the page size.
    PageSize(usize),
    /// A certificate that cannot be read.
    Certificate(X509Error),
    /// More certificates than a peer takes.
    TooMany(usize),
    /// A certificate that is not the issuer of one before it: a CA before the leaf, or a stranger.
    Order,
    /// The private key is not one that s2n reads.
    Key(KeyError),
    /// A key that is whole, in a file that s2n cannot read: see [`own_pair`].
    KeyFile,
    /// Key and leaf do not belong together.
    Pair,
    /// A CN that reads as an IP address, with no name beside it.
    IpName,
    /// A CN longer than 254 bytes, or an empty DNS name.
    BadName,
    /// A leaf with its issuer's name: OpenSSL takes it for self-signed.
    SelfIssued,
    /// A critical extension that TLS libraries do not know.
    CriticalExtension(String),
    /// A CA on the way may not certify this name.
    NameConstraints,
    /// Two CA certificates that OpenSSL cannot tell apart, and only one of them is the issuer.
    Namesakes(String),
    /// No way from the leaf to a trusted certificate.
    Untrusted,
    /// A certificate on the way is outside its life at this time.
    OutsideLife(String),
    /// keyUsage or extendedKeyUsage does not allow use as server and client.
    Purpose,
    /// A signature that policy 20230317 refuses.
    WeakSignature(String),
}

impl fmt::Display for Unloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(e) => e.fmt(f),
            Self::Dashes => f.write_str("\"--\" in the text around the PEM blocks"),
            Self::Nul => f.write_str("a NUL byte in it"),
            Self::TrailingText => f.write_str("text after the last certificate"),
            Self::PageSize(size) => write!(f, "its size of {size} bytes is a multiple of the page size"),
            Self::Certificate(e) => e.fmt(f),
            Self::TooMany(n) => write!(f, "{n} certificates, where at most {MAX_DEPTH} are taken"),
            Self::Order => f.write_str("the certificates are not a leaf followed by its issuers"),
            Self::Key(e) => e.fmt(f),
            Self::KeyFile => f.write_str("the private key is in a form that s2n does not read"),
            Self::Pair => f.write_str("the private key does not belong to the certificate"),
            Self::IpName => f.write_str("its common name is an IP address"),
            Self::BadName => f.write_str("a common name of over 254 bytes, or an empty DNS name"),
            Self::SelfIssued => f.write_str("the certificate carries the name of its own issuer"),
            Self::CriticalExtension(subject) => {
                write!(f, "{subject} has a critical extension that TLS libraries do not know")
            }
            Self::Namesakes(subject) => {
                write!(f, "peers cannot tell which of two certificates of {subject} to take")
            }
            Self::NameConstraints => f.write_str("its names are outside the CA's name constraints"),
            Self::Untrusted => f.write_str("no chain of signatures leads to a certificate in ca_cert"),
            Self::OutsideLife(subject) => write!(f, "{subject} is expired or not yet valid"),
            Self::Purpose => f.write_str("its usages do not allow both server and client"),
            Self::WeakSignature(subject) => {
                write!(f, "{subject} is signed with an algorithm that Slurm's TLS refuses")
            }
        }
    }
}

impl Explain for Unloadable {
    fn hint(&self) -> String {
        match self {
            Self::Pem(e) => e.hint(),
            Self::Certificate(e) => e.hint(),
            Self::Key(e) => e.hint(),
            Self::Dashes | Self::Nul | Self::TrailingText => {
                "keep only the lines from -----BEGIN to -----END of each certificate".into()
            }
            Self::PageSize(_) => "add one newline at its end".into(),
            Self::Order => "put the leaf first, then its issuer, then the issuer's issuer".into(),
            Self::KeyFile => "write it anew with: openssl pkey -in KEY -out NEW".into(),
            Self::Pair => "find the key that was made with this certificate, or issue a new pair".into(),
            Self::OutsideLife(_) => "check the clock; renew what is expired".into(),
            Self::Untrusted => "put the root of this chain into ca_cert: slurm-pki ca show".into(),
            Self::TooMany(_) => "leave out roots and what does not belong to the chain".into(),
            Self::Namesakes(_) => "take the wrong or older one out of ca_cert and ca_chain".into(),
            Self::NameConstraints => {
                "use a CA without name constraints on these names, or names that it may certify".into()
            }
            Self::IpName
            | Self::BadName
            | Self::Purpose
            | Self::SelfIssued
            | Self::CriticalExtension(_)
            | Self::WeakSignature(_) => "issue it anew: slurm-pki cert issue".into(),
        }
    }
}

/// A certificate file as a daemon loads it for itself: leaf, then intermediates.
///
/// # Errors
/// The first rule that it breaks.
pub fn own_chain(pem: &[u8]) -> Result<Vec<X509>, Unloadable> {
    only_blocks_and_plain_text(pem)?;
    let chain = X509::all_from_pem(pem, MAX_CHAIN_PEM).map_err(|e| match e {
        X509Error::Pem(e) => Unloadable::Pem(e),
        e => Unloadable::Certificate(e),
    })?;
    if chain.len() > MAX_DEPTH {
        return Err(Unloadable::TooMany(chain.len()));
    }
    for (n, issuer) in chain.iter().enumerate().skip(1) {
        let certifies_one_before = chain.iter().take(n).any(|below| below.is_issued_by(issuer));
        let same_ca_again = chain.iter().take(n).skip(1).any(|other| other.same_subject(issuer));
        if !issuer.facts().ca || !(certifies_one_before || same_ca_again) {
            return Err(Unloadable::Order);
        }
    }
    let leaf = chain.first().ok_or(Unloadable::Pem(PemError::NoBlock))?;
    if leaf.facts().ca && chain.len() > 1 {
        return Err(Unloadable::Order);
    }
    for one in &chain {
        PublicKey::from_spki(&one.facts().spki).map_err(Unloadable::Key)?;
    }
    leaf_name(leaf)?;
    Ok(chain)
}

/// A certificate file and its key file as a daemon loads them together. In the key file s2n wants one
/// key and nothing before it, but `EC PARAMETERS` before a SEC1 key, and a SEC1 key has to name its curve.
///
/// # Errors
/// The first rule that they break.
pub fn own_pair(chain_pem: &[u8], key_pem: &[u8]) -> Result<Vec<X509>, Unloadable> {
    let chain = own_chain(chain_pem)?;
    fits(chain, &key_file(key_pem)?)
}

/// The same for a key that is at hand, which is written in the one form that s2n reads.
///
/// # Errors
/// The first rule that they break.
pub fn own_pair_with(chain_pem: &[u8], key: &PrivateKey) -> Result<Vec<X509>, Unloadable> {
    fits(own_chain(chain_pem)?, key)
}

fn fits(chain: Vec<X509>, key: &PrivateKey) -> Result<Vec<X509>, Unloadable> {
    let public = key.public().map_err(Unloadable::Key)?;
    match chain.first() {
        Some(leaf) if leaf.facts().spki == public.spki() => Ok(chain),
        _ => Err(Unloadable::Pair),
    }
}

fn key_file(pem: &[u8]) -> Result<PrivateKey, Unloadable> {
    only_blocks_and_plain_text(pem)?;
    let key = PrivateKey::from_pem(pem).map_err(Unloadable::Key)?;
    let blocks = armor::blocks(pem, crate::key::MAX_KEY_PEM).map_err(Unloadable::Pem)?;
    let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
    let readable = match (labels.as_slice(), blocks.last()) {
        (["EC PRIVATE KEY"] | ["EC PARAMETERS", "EC PRIVATE KEY"], Some(sec1)) => {
            EcPrivateKey::from_der(sec1.der.expose()).is_ok_and(|key| key.parameters.is_some())
        }
        (labels, _) => labels.len() == 1,
    };
    if readable { Ok(key) } else { Err(Unloadable::KeyFile) }
}

/// A file of trusted certificates as every daemon and client loads it.
///
/// # Errors
/// The first rule that it breaks.
pub fn trust_bundle(pem: &[u8]) -> Result<Vec<X509>, Unloadable> {
    only_blocks_and_plain_text(pem)?;
    let bundle = X509::all_from_pem(pem, MAX_BUNDLE_PEM).map_err(|e| match e {
        X509Error::Pem(e) => Unloadable::Pem(e),
        e => Unloadable::Certificate(e),
    })?;
    if !trim_end(pem).ends_with(b"-----END CERTIFICATE-----") {
        return Err(Unloadable::TrailingText);
    }
    if pem.len().is_multiple_of(PAGE) {
        return Err(Unloadable::PageSize(pem.len()));
    }
    for one in &bundle {
        PublicKey::from_spki(&one.facts().spki).map_err(Unloadable::Key)?;
    }
    Ok(bundle)
}

/// Whether a peer that trusts `anchors` accepts `chain` at `now`, as server and as client.
///
/// # Errors
/// The first rule that it breaks.
pub fn accepted_by_peers(chain: &[X509], anchors: &[X509], now: UnixTime) -> Result<(), Unloadable> {
    let leaf = chain.first().ok_or(Unloadable::Untrusted)?;
    for sent in chain {
        let facts = sent.facts();
        if !sent.is_valid_at(now) {
            return Err(Unloadable::OutsideLife(facts.subject.clone()));
        }
        if facts.weak_signature && !sent.is_self_issued() {
            return Err(Unloadable::WeakSignature(facts.subject.clone()));
        }
        if facts.unknown_critical {
            return Err(Unloadable::CriticalExtension(facts.subject.clone()));
        }
        // An anchor is exempt; every other CA has to serve both purposes, or name none.
        if facts.extended_key_usage.is_some_and(|both| both != (true, true)) && !anchors.contains(sent) {
            return Err(Unloadable::Purpose);
        }
    }
    serves_both_ways(leaf)?;
    if leaf.is_self_issued() && !anchors.contains(leaf) && !leaf.is_issued_by(leaf) {
        return Err(Unloadable::SelfIssued);
    }
    reaches_an_anchor(leaf, chain, anchors, now)
}

fn serves_both_ways(leaf: &X509) -> Result<(), Unloadable> {
    let facts = leaf.facts();
    let signs = facts.key_usage.is_none_or(|(signs, _)| signs);
    let named = [facts.extended_key_usage, facts.netscape_type];
    if signs && named.iter().flatten().all(|both| *both == (true, true)) {
        Ok(())
    } else {
        Err(Unloadable::Purpose)
    }
}

/// Whether the leaf leads to an anchor; where it does not, why.
fn reaches_an_anchor(leaf: &X509, chain: &[X509], anchors: &[X509], now: UnixTime) -> Result<(), Unloadable> {
    let sent = chain.get(1..).unwrap_or_default();
    let way = Way { leaf, sent, anchors, now };
    way.climb(leaf, 0).map_err(|why| match why {
        Unloadable::Untrusted if anchors.iter().chain(sent).any(|ca| !ca.permits(leaf)) => {
            Unloadable::NameConstraints
        }
        Unloadable::Untrusted => way.expired_anchor().unwrap_or(why),
        why => why,
    })
}

/// The way up, as OpenSSL goes it: it takes the first certificate that the names fit, trusted ones
/// before sent ones, valid ones before others, and never goes back for another. So wherever there is a
/// choice, each has to be right.
struct Way<'a> {
    leaf: &'a X509,
    sent: &'a [X509],
    anchors: &'a [X509],
    now: UnixTime,
}

impl Way<'_> {
    /// From a certificate with `depth` CA certificates below it to a trusted one (any trusted certificate
    /// is an end: PARTIAL_CHAIN, slurm-contract.md 3.4).
    fn climb(&self, from: &X509, depth: usize) -> Result<(), Unloadable> {
        if self.anchors.contains(from) && from.is_valid_at(self.now) {
            return Ok(());
        }
        if depth == MAX_DEPTH {
            return Err(Unloadable::Untrusted);
        }
        let named = self.anchors.iter().chain(self.sent).filter(|ca| *ca != from && from.names_as_issuer(ca));
        let (sound, wrong): (Vec<_>, Vec<_>) = named.partition(|ca| self.may_issue(ca, from, depth));
        if let (Some(_), Some(wrong)) = (sound.first(), wrong.first()) {
            return Err(Unloadable::Namesakes(wrong.facts().subject.clone()));
        }
        let valid: Vec<_> = sound.into_iter().filter(|ca| ca.is_valid_at(self.now)).collect();
        if valid.iter().any(|ca| self.anchors.contains(ca)) {
            return Ok(());
        }
        if valid.is_empty() {
            return Err(Unloadable::Untrusted);
        }
        valid.into_iter().try_for_each(|ca| self.climb(ca, depth + 1))
    }

    /// All but the dates.
    fn may_issue(&self, ca: &X509, below: &X509, depth: usize) -> bool {
        let facts = ca.facts();
        facts.ca
            && facts.key_usage.is_none_or(|(_, cert_sign)| cert_sign)
            && facts.path_len.is_none_or(|most| most as usize >= depth)
            && !facts.unknown_critical
            && ca.permits(self.leaf)
            && below.is_issued_by(ca)
    }

    fn expired_anchor(&self) -> Option<Unloadable> {
        let over = |anchor: &&X509| !anchor.is_valid_at(self.now) && self.leaf.is_issued_by(anchor);
        let anchor = self.anchors.iter().find(over)?;
        Some(Unloadable::OutsideLife(anchor.facts().subject.clone()))
    }
}

fn leaf_name(leaf: &X509) -> Result<(), Unloadable> {
    let facts = leaf.facts();
    if facts.dns.iter().flatten().any(String::is_empty) {
        return Err(Unloadable::BadName);
    }
    let has_names = facts.dns.as_ref().is_some_and(|dns| !dns.is_empty()) || facts.other_names;
    for name in &facts.common_names {
        if name.len() > MAX_CN && !has_names {
            return Err(Unloadable::BadName);
        }
        let is_ip = std::str::from_utf8(name).is_ok_and(|text| text.parse::<IpAddr>().is_ok());
        if is_ip && !has_names {
            return Err(Unloadable::IpName);
        }
    }
    Ok(())
}

/// Text around the blocks is skipped by s2n unless it contains `--` (slurm-contract.md 3.2). A line that opens
/// or closes a block has nothing else on it: readers differ on what they make of more.
fn only_blocks_and_plain_text(pem: &[u8]) -> Result<(), Unloadable> {
    if pem.contains(&0) {
        return Err(Unloadable::Nul);
    }
    let is_plain = |line: &[u8]| !line.windows(2).any(|pair| pair == b"--");
    let mut lines = pem.split(|byte| *byte == b'\n').map(trim_end);
    if lines.all(|line| is_marker(line) || is_plain(line)) { Ok(()) } else { Err(Unloadable::Dashes) }
}

fn is_marker(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"-----BEGIN ").or_else(|| line.strip_prefix(b"-----END "));
    let label = rest.and_then(|rest| rest.strip_suffix(b"-----"));
    label.is_some_and(|label| !label.contains(&b'-'))
}

/// Without the white space that s2n skips; a form feed is none to it.
fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}

/// Puts one newline after a bundle whose size is a multiple of the page size, so that it loads.
#[must_use]
pub fn pad_bundle(mut pem: String) -> String {
    if pem.len().is_multiple_of(PAGE) {
        pem.push('\n');
    }
    pem
}

/// For key files that a person brings: the text of a key that s2n reads, in the form we write.
///
/// # Errors
/// When it is not a key that we take.
pub fn own_key(key_pem: &[u8]) -> Result<PrivateKey, Unloadable> {
    match armor::blocks(key_pem, crate::key::MAX_KEY_PEM) {
        Ok(_) => PrivateKey::from_pem(key_pem).map_err(Unloadable::Key),
        Err(e) => Err(Unloadable::Pem(e)),
    }
}

/// The real s2n is asked about all of this, and more, in tests/interop.
#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn params(name: &str, ca: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        if ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    fn root(name: &str) -> (X509, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let made = params(name, true).self_signed(&key).unwrap();
        (X509::from_der(made.der()).unwrap(), key)
    }

    fn leaf(params: &CertificateParams, issuer: &str, key: &KeyPair) -> X509 {
        let above = self::params(issuer, true);
        let issuer = Issuer::from_params(&above, key);
        let made = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        X509::from_der(made.der()).unwrap()
    }

    fn verdict(leaf: &X509, anchors: &[X509]) -> Result<(), Unloadable> {
        accepted_by_peers(std::slice::from_ref(leaf), anchors, NOW)
    }

    #[test]
    fn any_extended_key_usage_names_neither_purpose() {
        let (root, key) = root("root");
        let mut params = params("n1", false);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Any];
        assert_eq!(verdict(&leaf(&params, "root", &key), &[root]), Err(Unloadable::Purpose));
    }

    #[test]
    fn the_last_second_of_a_life_is_no_longer_in_it() {
        let (root, key) = root("root");
        let mut params = params("n1", false);
        params.not_after = NOW.to_certificate_time().unwrap();
        let leaf = leaf(&params, "root", &key);
        assert!(matches!(verdict(&leaf, &[root]), Err(Unloadable::OutsideLife(_))));
        assert!(leaf.is_valid_at(UnixTime(NOW.0 - 1)));
    }

    #[test]
    fn a_leaf_of_its_issuers_name_is_refused_in_any_case_of_letters() {
        let (root, key) = root("root");
        for name in ["root", "ROOT"] {
            let leaf = leaf(&params(name, false), "root", &key);
            assert_eq!(verdict(&leaf, std::slice::from_ref(&root)), Err(Unloadable::SelfIssued));
        }
    }

    #[test]
    fn of_two_anchors_that_cannot_be_told_apart_none_is_guessed() {
        let ((right, key), (wrong, _)) = (root("root"), root("root"));
        let leaf = leaf(&params("n1", false), "root", &key);
        assert_eq!(verdict(&leaf, std::slice::from_ref(&right)), Ok(()));
        let both = [right, wrong];
        assert!(matches!(verdict(&leaf, &both), Err(Unloadable::Namesakes(_))));
    }

    #[test]
    fn lines_that_are_neither_markers_nor_free_of_dashes_are_refused() {
        let pem = root("root").0.to_pem();
        for text in [format!("--\n{pem}"), format!("{} --\n", pem.trim_end()), format!(" {pem}")] {
            assert_eq!(trust_bundle(text.as_bytes()), Err(Unloadable::Dashes), "{text}");
        }
        assert_eq!(trust_bundle(format!("{pem}\0").as_bytes()), Err(Unloadable::Nul));
        assert_eq!(trust_bundle(format!("{pem}\u{c}").as_bytes()), Err(Unloadable::TrailingText));
        assert!(trust_bundle(format!("our root\n{pem} \n").as_bytes()).is_ok());
    }

    #[test]
    fn a_bundle_of_whole_pages_is_refused_until_it_is_padded() {
        let pem = root("root").0.to_pem();
        let pages = format!("{pem:\n<PAGE$}");
        assert_eq!(trust_bundle(pages.as_bytes()), Err(Unloadable::PageSize(PAGE)));
        assert!(trust_bundle(pad_bundle(pages).as_bytes()).is_ok());
    }

    #[test]
    fn a_sec1_key_without_its_curve_is_a_key_but_not_one_for_s2n() {
        let key = KeyPair::generate().unwrap();
        let sec1 = key.serialized_der().windows(2).rposition(|pair| pair == [0x30, 0x6b]).unwrap();
        let pem = armor::public("EC PRIVATE KEY", &key.serialized_der()[sec1..]);
        assert!(own_key(pem.as_bytes()).is_ok());
        assert_eq!(key_file(pem.as_bytes()).unwrap_err(), Unloadable::KeyFile);
    }
}
