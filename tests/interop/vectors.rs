//! Files that crash a daemon or cut it off from its peers, and files that do not: each by name, with
//! what `pki::loads_in_s2n` and s2n must say of it. lib/pki may be stricter than s2n, never laxer.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ED25519, SanType,
};

use crate::making::{
    DAY, Forge, HOUR, Kind, ca_params, certificate_pem, key_pem, leaf_params, now, pkcs8_pem, read,
};
use crate::openssl::openssl;
use pki::armor;

/// What a daemon has on its disk; its peer has the same.
#[derive(Clone, Debug)]
pub struct Files {
    /// Its certificate file.
    pub chain: String,
    /// Its key file.
    pub key: String,
    /// The file of trusted certificates.
    pub trust: String,
}

/// How files of one kind are made.
pub type Make = fn() -> Files;

/// What s2n says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S2n {
    /// It does not load: the daemon crashes.
    Crashes,
    /// It loads, and peers refuse it: the daemon is cut off.
    CutOff,
    /// It is taken. This is why we refuse it all the same.
    Takes(&'static str),
}

/// One row of the table.
pub struct Vector {
    /// What is wrong.
    pub name: &'static str,
    /// Makes the files.
    pub make: Make,
    /// The variant of `Unloadable` that names it.
    pub ours: &'static str,
    /// What s2n says.
    pub s2n: S2n,
}

const fn row(name: &'static str, make: Make, ours: &'static str, s2n: S2n) -> Vector {
    Vector { name, make, ours, s2n }
}

use S2n::{Crashes, CutOff, Takes};

/// What must be refused.
pub const BAD: &[Vector] = &[
    // The pair.
    row("a key of another certificate", mismatched_pair, "Pair", Crashes),
    row("a CA before the leaf", ca_before_leaf, "Order", Crashes),
    row("the private key before the certificate in one file", key_before_certificate, "Pem", Crashes),
    row("garbage after the leaf's DER", garbage_after_leaf, "Certificate", Crashes),
    row("an Ed25519 leaf key", ed25519_leaf, "Key", Crashes),
    row("an encrypted PKCS#8 key", encrypted_pkcs8, "Key", Crashes),
    row("an encrypted PKCS#1 key", encrypted_pkcs1, "Key", Crashes),
    row("a key with bytes after its DER", bytes_after_key, "Key", Crashes),
    row("EC PARAMETERS before a PKCS#8 key", parameters_before_pkcs8, "KeyFile", Crashes),
    row("a certificate before the key in the key file", certificate_in_key_file, "Key", Crashes),
    row("a SEC1 key that names no curve", sec1_without_curve, "KeyFile", Crashes),
    row(
        "two keys in the key file",
        two_keys,
        "Key",
        Takes("s2n reads the first and never sees the second: which is meant is a guess"),
    ),
    row(
        "the leaf twice",
        leaf_twice,
        "Order",
        Takes("s2n ignores certificates that no path needs; two leaves are a mistake in the making"),
    ),
    row("an RSA key of 1024 bits", rsa_1024, "Key", Takes("the policy has no least RSA size; we want 2048")),
    row("an RSA key whose private exponent is another", wrong_exponent, "Key", Crashes),
    row("a leaf with a wrong tag in its subject", wrong_tag, "Certificate", Crashes),
    row("a leaf with a padded OID", padded_oid, "Certificate", Crashes),
    // The text.
    row("text with -- before the chain", dashes_before_chain, "Dashes", Crashes),
    row("text with -- after the chain", dashes_after_chain, "Dashes", Crashes),
    row("text with -- behind an END line of the chain", dashes_behind_end, "Dashes", Crashes),
    row("text with -- in the key file", dashes_in_key_file, "Dashes", Crashes),
    row("text with -- in the bundle", dashes_in_bundle, "Dashes", Crashes),
    row("text after the bundle", text_after_bundle, "TrailingText", Crashes),
    row("a form feed after the bundle", form_feed_after_bundle, "TrailingText", Crashes),
    row("an empty bundle", empty_bundle, "Pem", Crashes),
    row("a blank bundle", blank_bundle, "Pem", Crashes),
    row("a private key in the bundle", key_in_bundle, "Pem", Crashes),
    // s2n's own binding refuses a NUL; in Slurm it ends the text, and the certificates behind it are lost.
    row("a NUL in the bundle", nul_in_bundle, "Nul", Crashes),
    row(
        "a bundle of whole pages",
        page_size_bundle,
        "PageSize",
        Takes("Slurm maps the file and hands it over as a C string; here, in memory, it has an end"),
    ),
    row("half a certificate at the end of the chain", cut_chain, "Pem", Crashes),
    // What the leaf says.
    row("a leaf signed with Ed25519, by such a root", ed25519_signed, "Key", CutOff),
    row("a leaf signed with SHA-1", sha1_signed, "WeakSignature", CutOff),
    row("a leaf for servers alone", server_only, "Purpose", CutOff),
    row("a leaf for clients alone", client_only, "Purpose", CutOff),
    row("a leaf for any purpose, unnamed", any_purpose, "Purpose", CutOff),
    row("a leaf whose Netscape type is server", netscape_server, "Purpose", CutOff),
    row("keyUsage without digitalSignature", no_digital_signature, "Purpose", CutOff),
    row("an expired leaf", expired_leaf, "OutsideLife", CutOff),
    row("a leaf of tomorrow", leaf_of_tomorrow, "OutsideLife", CutOff),
    row("an IPv4 address for a CN, and no SAN", ipv4_name, "IpName", CutOff),
    row("an IPv6 address for a CN, and no SAN", ipv6_name, "IpName", CutOff),
    row("a CN of 255 bytes, and no SAN", long_name, "BadName", CutOff),
    row("an empty DNS name", empty_dns, "BadName", CutOff),
    row("the CA's own subject, without keyUsage", ca_subject_without_usage, "SelfIssued", CutOff),
    row(
        "the CA's own subject",
        ca_subject,
        "SelfIssued",
        Takes("s2n then no longer looks at its signature algorithm; one extension less and it is cut off"),
    ),
    row("an unknown critical extension", unknown_critical, "CriticalExtension", CutOff),
    row("an extension that comes twice", extension_twice, "Certificate", CutOff),
    // The way up.
    row("no anchor for it", no_anchor, "Untrusted", CutOff),
    row("an expired intermediate", expired_intermediate, "OutsideLife", CutOff),
    row("an expired root", expired_root, "OutsideLife", CutOff),
    row("an intermediate left out", missing_intermediate, "Untrusted", CutOff),
    row("an intermediate for servers alone", server_only_intermediate, "Purpose", CutOff),
    row("an intermediate without keyCertSign", intermediate_cannot_sign, "Untrusted", CutOff),
    row("an issuer that is no CA", leaf_under_leaf, "Order", CutOff),
    row("more CAs than an intermediate's path length", path_too_long, "Untrusted", CutOff),
    row(
        "more CAs than the root's path length",
        path_too_long_for_root,
        "Untrusted",
        Takes("AWS-LC, under s2n here, does not judge the anchor's; OpenSSL, under it elsewhere, does"),
    ),
    row("eight certificates", eight_certificates, "TooMany", CutOff),
    row("a cross certificate with another key identifier", foreign_key_identifier, "Order", CutOff),
    row("two roots of one name, and no key identifiers", namesakes, "Namesakes", CutOff),
    row("a second intermediate of the same key that leads nowhere", dead_end, "Untrusted", CutOff),
    row("a name that the root's constraints exclude", excluded_name, "NameConstraints", CutOff),
    row("a name that the root's constraints do not permit", unpermitted_name, "NameConstraints", CutOff),
];

/// What must be taken.
pub const GOOD: &[(&str, Make)] = &[
    ("a leaf under a root", plain),
    ("text before and between the blocks, without --", text_around),
    ("text after the chain, without --", text_after_chain),
    ("CR LF line ends", carriage_returns),
    ("no line end at the end", no_last_line_end),
    ("an anchor twice in the bundle", anchor_twice),
    ("a strange root first in the bundle", strange_root_first),
    ("a bundle of whole pages and one newline", padded_bundle),
    ("an intermediate", with_intermediate),
    ("an intermediate and the root sent after the leaf", root_sent),
    ("an older root of the trusted root's key sent", older_root_sent),
    ("an expired root before its renewal in the bundle", expired_before_renewal),
    ("an expired root after its renewal in the bundle", expired_after_renewal),
    ("seven certificates", seven_certificates),
    ("EC PARAMETERS before a SEC1 key", stock_key),
    ("a PKCS#1 key", pkcs1_key),
    ("neither keyUsage nor extendedKeyUsage", no_usages),
    ("neither CN nor SAN", nameless),
    ("an IPv4 address for a CN, beside a SAN", ip_with_san),
    ("a name inside the root's constraints", permitted_name),
    ("an RSA chain", rsa_chain),
];

fn files((chain, key): (String, String), trust: &str) -> Files {
    Files { chain, key, trust: trust.to_owned() }
}

fn plain() -> Files {
    changed(|_| ())
}

/// A leaf under a root of its own, after `change`.
fn changed(change: impl FnOnce(&mut CertificateParams)) -> Files {
    let root = Forge::root("Test Root");
    files(root.leaf(change), &root.pem)
}

/// A leaf under an intermediate, after `change` to the intermediate.
fn intermediate(change: impl FnOnce(&mut CertificateParams)) -> Files {
    under(&Forge::root("Test Root"), change)
}

fn under(root: &Forge, change: impl FnOnce(&mut CertificateParams)) -> Files {
    let mut params = ca_params("Test Intermediate");
    change(&mut params);
    let intermediate = root.below(params);
    let (leaf, key) = intermediate.leaf(|_| ());
    files((leaf + &intermediate.pem, key), &root.pem)
}

fn mismatched_pair() -> Files {
    Files { key: key_pem(Kind::P256), ..plain() }
}

fn ca_before_leaf() -> Files {
    let files = plain();
    Files { chain: format!("{}{}", files.trust, files.chain), ..files }
}

fn key_before_certificate() -> Files {
    let files = plain();
    Files { chain: format!("{}{}", files.key, files.chain), ..files }
}

fn garbage_after_leaf() -> Files {
    let files = plain();
    let mut der = read(&files.chain)[0].der().to_vec();
    der.extend_from_slice(b"garbage");
    Files { chain: certificate_pem(&der), ..files }
}

fn of_key(root: &Forge, key: &KeyPair) -> Files {
    files((root.sign(&leaf_params(), key), pkcs8_pem(key)), &root.pem)
}

fn ed25519_leaf() -> Files {
    of_key(&Forge::root("Test Root"), &KeyPair::generate_for(&PKCS_ED25519).unwrap())
}

fn converted_key(args: &str) -> Files {
    let files = plain();
    Files { key: openssl(&[("key.pem", files.key.as_bytes())], args).unwrap(), ..files }
}

fn encrypted_pkcs8() -> Files {
    converted_key("pkcs8 -topk8 -in key.pem -passout pass:secret")
}

fn encrypted_pkcs1() -> Files {
    converted_key("ec -in key.pem -aes128 -passout pass:secret")
}

fn stock_key() -> Files {
    let files = converted_key("ec -in key.pem");
    let parameters = openssl(&[], "ecparam -name prime256v1").unwrap();
    Files { key: parameters + &files.key, ..files }
}

fn parameters_before_pkcs8() -> Files {
    let files = plain();
    let parameters = openssl(&[], "ecparam -name prime256v1").unwrap();
    Files { key: parameters + &files.key, ..files }
}

fn certificate_in_key_file() -> Files {
    let files = plain();
    Files { key: format!("{}{}", files.chain, files.key), ..files }
}

/// RFC 5915 lets the curve be left out; OpenSSL then has none.
fn sec1_without_curve() -> Files {
    let root = Forge::root("Test Root");
    let key = KeyPair::generate().unwrap();
    let sec1 = key.serialized_der().windows(2).rposition(|pair| pair == [0x30, 0x6b]).unwrap();
    let text = armor::public("EC PRIVATE KEY", &key.serialized_der()[sec1..]);
    Files { key: text, ..of_key(&root, &key) }
}

fn bytes_after_key() -> Files {
    let files = plain();
    let blocks = armor::blocks(files.key.as_bytes(), 9999).unwrap();
    let der = [blocks[0].der.expose(), b"more"].concat();
    Files { key: armor::public("PRIVATE KEY", &der), ..files }
}

fn patched(pem: &str, label: &str, from: &[u8], to: &[u8]) -> String {
    let mut der = armor::only_block(pem.as_bytes(), &[label], 9999).unwrap().expose().to_vec();
    let at = der.windows(from.len()).rposition(|window| window == from).unwrap();
    der.splice(at..at + from.len(), to.iter().copied());
    armor::public(label, &der)
}

/// `ring` never looks at it.
fn wrong_exponent() -> Files {
    let files = rsa_chain();
    let der = armor::only_block(files.key.as_bytes(), &["PRIVATE KEY"], 9999).unwrap();
    let public = [2, 3, 1, 0, 1];
    let private = der.expose().windows(5).position(|window| window == public).unwrap() + 64;
    let one = &der.expose()[private..private + 8];
    let other: Vec<u8> = one.iter().map(|byte| byte ^ 1).collect();
    Files { key: patched(&files.key, "PRIVATE KEY", one, &other), ..files }
}

/// The SET around the common name becomes something without a meaning, at its old length.
fn wrong_tag() -> Files {
    let files = plain();
    let set = [0x31, 13, 0x30, 11, 6, 3, 0x55, 4, 3];
    let params = |leaf: &mut CertificateParams| named(leaf, "n123", &["n123"]);
    let (chain, key) = Forge::root("Test Root").leaf(params);
    let broken = patched(&chain, "CERTIFICATE", &set, &[0, 13, 0x30, 11, 6, 3, 0x55, 4, 3]);
    Files { chain: broken, key, ..files }
}

/// id-ecPublicKey with a number that begins with a needless 0x80.
fn padded_oid() -> Files {
    let files = plain();
    let (oid, padded) = ([0x86, 0x48, 0xce, 0x3d, 2, 1], [0x80, 0x48, 0xce, 0x3d, 2, 1]);
    Files { chain: patched(&files.chain, "CERTIFICATE", &oid, &padded), ..files }
}

fn two_keys() -> Files {
    let files = plain();
    Files { key: files.key + &key_pem(Kind::P256), ..files }
}

fn leaf_twice() -> Files {
    let files = plain();
    Files { chain: files.chain.repeat(2), ..files }
}

/// A leaf over a key that rcgen cannot make or hold, signed by the `openssl` command.
fn made_by_openssl(genkey: &str, sign: &str) -> Files {
    let root = Forge::root("Test Root");
    let key = openssl(&[], genkey).unwrap();
    let csr = openssl(&[("key.pem", key.as_bytes())], "req -new -key key.pem -subj /CN=n1").unwrap();
    let ca_key = pkcs8_pem(&root.key);
    let inputs =
        [("csr.pem", csr.as_bytes()), ("ca.pem", root.pem.as_bytes()), ("ca_key.pem", ca_key.as_bytes())];
    let args = format!("x509 -req -in csr.pem -CA ca.pem -CAkey ca_key.pem -days 30 {sign}");
    files((openssl(&inputs, &args).unwrap(), key), &root.pem)
}

fn rsa_1024() -> Files {
    made_by_openssl("genrsa 1024", "-sha256")
}

fn sha1_signed() -> Files {
    made_by_openssl("ecparam -name prime256v1 -genkey -noout", "-sha1")
}

fn ed25519_signed() -> Files {
    let root = Forge::root_with(KeyPair::generate_for(&PKCS_ED25519).unwrap(), ca_params("Test Root"));
    files(root.leaf(|_| ()), &root.pem)
}

fn dashes_before_chain() -> Files {
    let files = plain();
    Files { chain: format!("-- the certificate of n1 --\n{}", files.chain), ..files }
}

fn dashes_after_chain() -> Files {
    let files = plain();
    Files { chain: format!("{}-- \nn1\n", files.chain), ..files }
}

fn dashes_behind_end() -> Files {
    let files = plain();
    Files { chain: format!("{} -- n1\n", files.chain.trim_end()), ..files }
}

fn dashes_in_key_file() -> Files {
    let files = plain();
    Files { key: format!("-- the key of n1 --\n{}", files.key), ..files }
}

fn dashes_in_bundle() -> Files {
    let files = plain();
    Files { trust: format!("-- roots --\n{}", files.trust), ..files }
}

fn text_after_bundle() -> Files {
    let files = plain();
    Files { trust: format!("{}the last root\n", files.trust), ..files }
}

fn form_feed_after_bundle() -> Files {
    let files = plain();
    Files { trust: format!("{}\u{c}\n", files.trust), ..files }
}

fn empty_bundle() -> Files {
    Files { trust: String::new(), ..plain() }
}

fn blank_bundle() -> Files {
    Files { trust: "\n \n".to_owned(), ..plain() }
}

fn key_in_bundle() -> Files {
    let files = plain();
    Files { trust: format!("{}{}", files.trust, files.key), ..files }
}

fn nul_in_bundle() -> Files {
    let files = plain();
    Files { trust: format!("old\0\n{}", files.trust), ..files }
}

fn page_size_bundle() -> Files {
    let files = plain();
    let pages = files.trust.len().next_multiple_of(4096);
    Files { trust: format!("{:\n<pages$}", files.trust), ..files }
}

fn padded_bundle() -> Files {
    let files = page_size_bundle();
    Files { trust: pki::loads_in_s2n::pad_bundle(files.trust), ..files }
}

fn cut_chain() -> Files {
    let files = intermediate(|_| ());
    Files { chain: files.chain[..files.chain.len() - 40].to_owned(), ..files }
}

fn server_only() -> Files {
    changed(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])
}

fn client_only() -> Files {
    changed(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
}

fn any_purpose() -> Files {
    changed(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any])
}

/// nsCertType, a BIT STRING with the bit of SSL servers, as old tools still write it.
fn netscape_server() -> Files {
    changed(|leaf| {
        let oid = [2, 16, 840, 1, 113_730, 1, 1];
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&oid, vec![3, 2, 6, 0x40])];
    })
}

fn no_digital_signature() -> Files {
    changed(|leaf| leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment])
}

fn no_usages() -> Files {
    changed(|leaf| {
        leaf.key_usages.clear();
        leaf.extended_key_usages.clear();
    })
}

fn expired(params: &mut CertificateParams) {
    params.not_after = now().minus(HOUR).to_certificate_time().unwrap();
}

fn expired_leaf() -> Files {
    changed(expired)
}

fn leaf_of_tomorrow() -> Files {
    changed(|leaf| {
        leaf.not_before = now().plus(DAY / 2).to_certificate_time().unwrap();
    })
}

fn named(leaf: &mut CertificateParams, common_name: &str, dns: &[&str]) {
    leaf.distinguished_name = DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, common_name);
    leaf.subject_alt_names = dns.iter().map(|&dns| SanType::DnsName(dns.try_into().unwrap())).collect();
}

fn ipv4_name() -> Files {
    changed(|leaf| named(leaf, "10.0.0.1", &[]))
}

fn ipv6_name() -> Files {
    changed(|leaf| named(leaf, "fd00::1", &[]))
}

fn ip_with_san() -> Files {
    changed(|leaf| named(leaf, "10.0.0.1", &["n1"]))
}

fn long_name() -> Files {
    changed(|leaf| named(leaf, &"n".repeat(255), &[]))
}

fn empty_dns() -> Files {
    changed(|leaf| named(leaf, "n1", &[""]))
}

fn nameless() -> Files {
    changed(|leaf| {
        leaf.distinguished_name = DistinguishedName::new();
        leaf.subject_alt_names.clear();
    })
}

fn ca_subject() -> Files {
    changed(|leaf| named(leaf, "Test Root", &["n1"]))
}

fn ca_subject_without_usage() -> Files {
    changed(|leaf| {
        named(leaf, "Test Root", &["n1"]);
        leaf.key_usages.clear();
    })
}

fn unknown_critical() -> Files {
    changed(|leaf| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        leaf.custom_extensions = vec![extension];
    })
}

/// keyUsage stands in the certificate already.
fn extension_twice() -> Files {
    changed(|leaf| {
        let key_usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]);
        leaf.custom_extensions = vec![key_usage];
    })
}

fn no_anchor() -> Files {
    Files { trust: Forge::root("Another Root").pem, ..plain() }
}

fn with_intermediate() -> Files {
    intermediate(|_| ())
}

fn expired_intermediate() -> Files {
    intermediate(expired)
}

fn expired_root() -> Files {
    let mut params = ca_params("Test Root");
    expired(&mut params);
    let root = Forge::root_with(KeyPair::generate().unwrap(), params);
    files(root.leaf(|_| ()), &root.pem)
}

fn missing_intermediate() -> Files {
    let files = with_intermediate();
    Files { chain: read(&files.chain)[0].to_pem(), ..files }
}

fn server_only_intermediate() -> Files {
    intermediate(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])
}

fn intermediate_cannot_sign() -> Files {
    intermediate(|ca| ca.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign])
}

fn leaf_under_leaf() -> Files {
    intermediate(|ca| ca.is_ca = IsCa::ExplicitNoCa)
}

fn path_too_long() -> Files {
    let root = Forge::root("Test Root");
    let mut params = ca_params("Test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let first = root.below(params);
    let files = under(&first, |_| ());
    Files { chain: files.chain + &first.pem, trust: root.pem, ..files }
}

fn path_too_long_for_root() -> Files {
    let mut params = ca_params("Test Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    under(&Forge::root_with(KeyPair::generate().unwrap(), params), |_| ())
}

fn deep(certificates: usize) -> Files {
    let root = Forge::root("Test Root");
    let trust = root.pem.clone();
    let (mut ca, mut above) = (root, String::new());
    for n in 1..certificates {
        ca = ca.below(ca_params(&format!("Test CA {n}")));
        above = format!("{}{above}", ca.pem);
    }
    let (leaf, key) = ca.leaf(|_| ());
    files((leaf + &above, key), &trust)
}

fn seven_certificates() -> Files {
    deep(7)
}

fn eight_certificates() -> Files {
    deep(8)
}

fn root_sent() -> Files {
    let files = with_intermediate();
    Files { chain: format!("{}{}", files.chain, files.trust), ..files }
}

/// The leaf's authorityKeyIdentifier points to the new root's; its cross certificate carries another.
fn foreign_key_identifier() -> Files {
    let (old, new) = (Forge::root("Old Root"), Forge::root("New Root"));
    let mut params = ca_params("New Root");
    params.key_identifier_method = KeyIdMethod::PreSpecified(vec![1; 20]);
    let cross = old.sign(&params, &new.key);
    let (leaf, key) = new.leaf(|_| ());
    files((leaf + &cross, key), &old.pem)
}

/// The wrong one comes first, and the leaf does not say which it means.
fn namesakes() -> Files {
    let files = changed(|leaf| leaf.use_authority_key_identifier_extension = false);
    Files { trust: Forge::root("Test Root").pem + &files.trust, ..files }
}

/// The root was made anew over its own key; the old certificate is still sent.
fn older_root_sent() -> Files {
    let root = Forge::root("Test Root");
    let renewed = ca_params("Test Root").self_signed(&root.key).unwrap();
    let files = files(root.leaf(|_| ()), &certificate_pem(renewed.der()));
    Files { chain: files.chain + &root.pem, ..files }
}

/// Certified by a root that nobody here knows, it comes before the one that the root here knows.
fn dead_end() -> Files {
    let (root, stranger) = (Forge::root("Test Root"), Forge::root("Another Root"));
    let params = ca_params("Test Intermediate");
    let intermediate = root.below(params.clone());
    let strange = stranger.sign(&params, &intermediate.key);
    let (leaf, key) = intermediate.leaf(|_| ());
    files((leaf + &strange + &intermediate.pem, key), &root.pem)
}

fn renewal() -> (Files, String) {
    let root = Forge::root("Test Root");
    let mut params = ca_params("Test Root");
    expired(&mut params);
    let old = params.self_signed(&root.key).unwrap();
    (files(root.leaf(|_| ()), &root.pem), certificate_pem(old.der()))
}

fn expired_before_renewal() -> Files {
    let (files, old) = renewal();
    Files { trust: old + &files.trust, ..files }
}

fn expired_after_renewal() -> Files {
    let (files, old) = renewal();
    Files { trust: files.trust + &old, ..files }
}

fn constrained(permitted: &[&str], excluded: &[&str]) -> Files {
    let subtrees = |names: &[&str]| names.iter().map(|&n| GeneralSubtree::DnsName(n.to_owned())).collect();
    let mut params = ca_params("Test Root");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: subtrees(permitted),
        excluded_subtrees: subtrees(excluded),
    });
    let root = Forge::root_with(KeyPair::generate().unwrap(), params);
    files(root.leaf(|leaf| named(leaf, "n1.cluster.example", &["n1.cluster.example"])), &root.pem)
}

fn excluded_name() -> Files {
    constrained(&[], &["cluster.example"])
}

fn unpermitted_name() -> Files {
    constrained(&["other.example"], &[])
}

fn permitted_name() -> Files {
    constrained(&["cluster.example"], &["n2.cluster.example"])
}

fn text_around() -> Files {
    let files = with_intermediate();
    Files {
        chain: files.chain.replace("-----BEGIN", "subject - n1\n-----BEGIN"),
        key: format!("the key of n1\n{}", files.key),
        trust: format!("# our roots\n{}", files.trust),
    }
}

fn text_after_chain() -> Files {
    let files = plain();
    Files { chain: format!("{}issued for n1\n", files.chain), ..files }
}

fn carriage_returns() -> Files {
    let files = with_intermediate();
    let crlf = |text: String| text.replace('\n', "\r\n");
    Files { chain: crlf(files.chain), key: crlf(files.key), trust: crlf(files.trust) }
}

fn no_last_line_end() -> Files {
    let files = with_intermediate();
    let cut = |text: String| text.trim_end().to_owned();
    Files { chain: cut(files.chain), key: cut(files.key), trust: cut(files.trust) }
}

fn anchor_twice() -> Files {
    let files = plain();
    Files { trust: files.trust.repeat(2), ..files }
}

fn strange_root_first() -> Files {
    let files = plain();
    Files { trust: Forge::root("Another Root").pem + &files.trust, ..files }
}

fn pkcs1_key() -> Files {
    let files = rsa_chain();
    Files {
        key: openssl(&[("key.pem", files.key.as_bytes())], "rsa -in key.pem -traditional").unwrap(),
        ..files
    }
}

fn rsa_chain() -> Files {
    let key = |kind| {
        let der = armor::only_block(key_pem(kind).as_bytes(), &["PRIVATE KEY"], 9999).unwrap();
        KeyPair::from_pkcs8_der_and_sign_algo(&der.expose().into(), &rcgen::PKCS_RSA_SHA512).unwrap()
    };
    let root = Forge::root_with(key(Kind::Rsa3072), ca_params("Test Root"));
    of_key(&root, &key(Kind::Rsa2048))
}
