//! A change of roots: a leaf under the new root, followed by the new root's cross certificate from the
//! old one, is accepted by peers that know only one of the two (slurm-contract.md 3.5).
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use interop::handshake::{Side, VERSIONS, handshake};
use interop::making::{Kind, Shape, key, new_ca, node_certificate, now, site, text_of};
use interop::{making, openssl, rustls};
use pki::ca::{self, CaCertificates, LocalCa};
use pki::key::PrivateKey;
use pki::loads_in_s2n;
use pki::x509::X509;

struct Roots {
    old: X509,
    new: X509,
    /// The text of ca_chain: the cross certificate, and the intermediate that signed it.
    chain: String,
    new_key: PrivateKey,
}

fn roots(old: Kind, shape: Shape, new_kind: Kind) -> Roots {
    let signer = site(old, shape);
    let old = making::read(&signer.trust).remove(0);
    let new_key = key(new_kind);
    let new = ca::new_root(&new_key, &new_ca("New Root"), now()).unwrap();
    let cross = signer.ca.cross_sign(&new, &new_ca("New Root"), now()).unwrap();
    let above: String = signer.ca.certificates().chain.iter().map(X509::to_pem).collect();
    Roots { old, new, chain: cross.to_pem() + &above, new_key }
}

/// A node that already has the new leaf and knows `trust`, and a peer that does too.
fn is_accepted_by_peers_that_know(trust: &X509, chain: &str, key: &PrivateKey, sent: usize) {
    let anchors = [trust.clone()];
    loads_in_s2n::accepted_by_peers(&making::read(chain), &anchors, now()).unwrap();
    rustls::verify(&making::read(chain), &anchors, now()).unwrap();
    let (trust, key) = (trust.to_pem(), text_of(key));
    openssl::verify(chain.as_bytes(), trust.as_bytes()).unwrap();
    let own = loads_in_s2n::own_pair(chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(own.len(), sent);
    let side = Side { pair: Some((chain.as_bytes(), key.as_bytes())), trust: trust.as_bytes() };
    for tls in VERSIONS {
        handshake(side, side, tls).unwrap_or_else(|no| panic!("{tls:?}: {no:?}"));
    }
}

fn leaf_followed_by_the_cross_certificate_is_accepted(old: Kind, shape: Shape, new: Kind) {
    let roots = roots(old, shape, new);
    let sent = if shape == Shape::Root { 2 } else { 3 };
    let bundle = roots.new.to_pem() + &roots.old.to_pem();
    let certificates = CaCertificates::from_pem(bundle.as_bytes(), Some(roots.chain.as_bytes())).unwrap();
    let ca = LocalCa::new(certificates, roots.new_key).unwrap();
    let leaf = key(Kind::P256);
    let chain = node_certificate(&ca, &leaf);
    is_accepted_by_peers_that_know(&roots.old, &chain, &leaf, sent);
    is_accepted_by_peers_that_know(&roots.new, &chain, &leaf, sent);
    mixed_peers_shake_hands(&roots.old.to_pem(), &roots.new.to_pem(), &chain, &leaf);
}

/// One peer knows the old root alone, the other the new one alone.
fn mixed_peers_shake_hands(old: &str, new: &str, chain: &str, key: &PrivateKey) {
    let key = text_of(key);
    let pair = Some((chain.as_bytes(), key.as_bytes()));
    let (old, new) = (Side { pair, trust: old.as_bytes() }, Side { pair, trust: new.as_bytes() });
    for tls in VERSIONS {
        handshake(old, new, tls).unwrap();
        handshake(new, old, tls).unwrap();
    }
}

#[test]
fn a_leaf_followed_by_the_cross_certificate_is_accepted_on_both_sides_of_a_rollover() {
    leaf_followed_by_the_cross_certificate_is_accepted(Kind::P256, Shape::Root, Kind::P256);
}

/// Four certificates are on the way then: leaf, cross certificate, intermediate, old root.
#[test]
fn an_intermediate_may_sign_the_cross_certificate() {
    leaf_followed_by_the_cross_certificate_is_accepted(Kind::P256, Shape::Intermediate, Kind::P256);
    leaf_followed_by_the_cross_certificate_is_accepted(Kind::Rsa2048, Shape::Intermediate, Kind::P384);
}

#[test]
fn a_rollover_may_change_the_kind_of_key() {
    leaf_followed_by_the_cross_certificate_is_accepted(Kind::Rsa2048, Shape::Root, Kind::P384);
    leaf_followed_by_the_cross_certificate_is_accepted(Kind::P384, Shape::Root, Kind::Rsa3072);
}

/// The cross certificate alone, with the new root in nobody's bundle yet: it is the issuer.
#[test]
fn a_cross_certificate_alone_in_the_chain_is_issuer_enough() {
    let roots = roots(Kind::P256, Shape::Root, Kind::P256);
    let old = roots.old.to_pem();
    let certificates = CaCertificates::from_pem(old.as_bytes(), Some(roots.chain.as_bytes())).unwrap();
    let ca = LocalCa::new(certificates, roots.new_key).unwrap();
    assert_eq!(ca.issuer().to_pem(), roots.chain);
    let leaf = key(Kind::P256);
    let chain = node_certificate(&ca, &leaf);
    is_accepted_by_peers_that_know(&roots.old, &chain, &leaf, 2);
    is_accepted_by_peers_that_know(&roots.new, &chain, &leaf, 2);
}

/// In the middle of a rollover: both roots in every bundle, leaves of either.
#[test]
fn with_both_roots_in_the_bundle_old_and_new_leaves_shake_hands() {
    let (old, new) = (site(Kind::P256, Shape::Root), site(Kind::P384, Shape::Root));
    let both = format!("{}{}", old.trust, new.trust);
    let keys = [key(Kind::P256), key(Kind::P256)];
    let (one, other) = (node_certificate(&old.ca, &keys[0]), node_certificate(&new.ca, &keys[1]));
    let [one_key, other_key] = keys.map(|key| text_of(&key));
    let server = Side { pair: Some((one.as_bytes(), one_key.as_bytes())), trust: both.as_bytes() };
    let client = Side { pair: Some((other.as_bytes(), other_key.as_bytes())), trust: both.as_bytes() };
    for tls in VERSIONS {
        handshake(server, client, tls).unwrap();
        handshake(client, server, tls).unwrap();
    }
}
