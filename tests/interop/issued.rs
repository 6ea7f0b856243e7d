//! Every certificate that lib/pki issues is accepted by s2n, OpenSSL and webpki, in both roles.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use interop::handshake::{Side, VERSIONS, handshake};
use interop::making::{
    DAY, KINDS, Kind, Shape, Site, daemon_certificate, key, key_pem, leaf_params, new_ca, node_certificate,
    now, read, site, text_of,
};
use interop::{openssl, rustls};
use pki::ca::{self, CaCertificates, LocalCa};
use pki::key::PrivateKey;
use pki::loads_in_s2n;

fn is_accepted_by_everyone(chain: &str, key: &str, trust: &str) {
    let sent = loads_in_s2n::own_pair(chain.as_bytes(), key.as_bytes()).unwrap();
    let anchors = loads_in_s2n::trust_bundle(trust.as_bytes()).unwrap();
    loads_in_s2n::accepted_by_peers(&sent, &anchors, now()).unwrap();
    openssl::verify(chain.as_bytes(), trust.as_bytes()).unwrap();
    rustls::verify(&sent, &anchors, now()).unwrap();
    shakes_hands_both_ways(chain, key, trust);
}

/// With a peer that holds another pair of the same site; each is once the server, once the client.
fn shakes_hands_both_ways(chain: &str, key: &str, trust: &str) {
    let judged = Side { pair: Some((chain.as_bytes(), key.as_bytes())), trust: trust.as_bytes() };
    for tls in VERSIONS {
        handshake(judged, judged, tls).unwrap_or_else(|no| panic!("{tls:?}: {no:?}"));
    }
}

fn site_serves_every_leaf_kind(ca_kind: Kind, shape: Shape) {
    let Site { ca, trust } = site(ca_kind, shape);
    for kind in KINDS {
        let text = key_pem(kind);
        let key = PrivateKey::from_pem(text.as_bytes()).unwrap();
        is_accepted_by_everyone(&node_certificate(&ca, &key), &text_of(&key), &trust);
        is_accepted_by_everyone(&daemon_certificate(&ca, &key), &text, &trust);
    }
}

#[test]
fn a_p256_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::P256, Shape::Root);
}

#[test]
fn a_p384_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::P384, Shape::Root);
}

#[test]
fn an_rsa_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::Rsa2048, Shape::Root);
}

#[test]
fn a_larger_rsa_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::Rsa3072, Shape::Root);
}

#[test]
fn an_intermediate_under_a_p256_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::P256, Shape::Intermediate);
}

#[test]
fn an_intermediate_under_a_p384_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::P384, Shape::Intermediate);
}

#[test]
fn an_intermediate_under_an_rsa_root_serves_every_kind_of_key() {
    site_serves_every_leaf_kind(Kind::Rsa2048, Shape::Intermediate);
}

#[test]
fn peers_with_certificates_from_different_kinds_of_key_accept_each_other() {
    let Site { ca, trust } = site(Kind::P256, Shape::Root);
    let pairs: Vec<_> = KINDS
        .into_iter()
        .map(|kind| {
            let key = key(kind);
            (node_certificate(&ca, &key), text_of(&key))
        })
        .collect();
    for (server, server_key) in &pairs {
        for (client, client_key) in &pairs {
            let server =
                Side { pair: Some((server.as_bytes(), server_key.as_bytes())), trust: trust.as_bytes() };
            let client =
                Side { pair: Some((client.as_bytes(), client_key.as_bytes())), trust: trust.as_bytes() };
            for tls in VERSIONS {
                handshake(server, client, tls).unwrap();
            }
        }
    }
}

#[test]
fn an_intermediate_alone_in_the_bundle_is_anchor_enough() {
    let Site { ca, .. } = site(Kind::P256, Shape::Intermediate);
    let trust = ca.issuer().to_pem();
    let key = key(Kind::P256);
    let chain = node_certificate(&ca, &key);
    openssl::verify(chain.as_bytes(), trust.as_bytes()).unwrap();
    shakes_hands_both_ways(&chain, &text_of(&key), &trust);
    let anchors = loads_in_s2n::trust_bundle(trust.as_bytes()).unwrap();
    loads_in_s2n::accepted_by_peers(&read(&chain), &anchors, now()).unwrap();
}

#[test]
fn a_ca_made_by_the_openssl_command_issues_what_everyone_accepts() {
    for curve in ["prime256v1", "secp384r1"] {
        let key = openssl::openssl(&[], &format!("ecparam -name {curve} -genkey")).unwrap();
        let args = "req -x509 -new -key key.pem -days 30 -subj /O=Site/CN=Made_by_openssl";
        let root = openssl::openssl(&[("key.pem", key.as_bytes())], args).unwrap();
        let certificates = CaCertificates::from_pem(root.as_bytes(), None).unwrap();
        let ca = LocalCa::new(certificates, PrivateKey::from_pem(key.as_bytes()).unwrap()).unwrap();
        let leaf = self::key(Kind::P256);
        is_accepted_by_everyone(&node_certificate(&ca, &leaf), &text_of(&leaf), &root);
    }
}

/// Two roots with one subject, told apart by their key identifiers alone (slurm-contract.md 3.4).
#[test]
fn of_two_anchors_with_one_name_the_right_one_is_found() {
    let Site { ca, trust } = site(Kind::P256, Shape::Root);
    let namesake = ca::new_root(&key(Kind::P256), &new_ca("Test Root"), now()).unwrap().to_pem();
    let leaf = key(Kind::P384);
    let chain = node_certificate(&ca, &leaf);
    for bundle in [format!("{trust}{namesake}"), format!("{namesake}{trust}")] {
        let anchors = loads_in_s2n::trust_bundle(bundle.as_bytes()).unwrap();
        loads_in_s2n::accepted_by_peers(&read(&chain), &anchors, now()).unwrap();
        openssl::verify(chain.as_bytes(), bundle.as_bytes()).unwrap();
        shakes_hands_both_ways(&chain, &text_of(&leaf), &bundle);
    }
}

/// OpenSSL calls a certificate expired in the very second of its notAfter, and so do we.
#[test]
fn the_first_and_the_last_second_of_a_life_are_the_same_for_s2n_and_for_us() {
    use interop::handshake::{No, load_at, shake};
    let forge = interop::making::Forge::root("Test Root");
    let (chain, key) = forge.leaf(|params| {
        params.not_after = now().plus(DAY / 2).to_certificate_time().unwrap();
        params.not_before = now().minus(DAY / 2).to_certificate_time().unwrap();
    });
    assert_ne!(leaf_params().not_after, read(&chain)[0].facts().not_after.to_certificate_time().unwrap());
    let side = Side { pair: Some((chain.as_bytes(), key.as_bytes())), trust: forge.pem.as_bytes() };
    let anchors = read(&forge.pem);
    for offset in [-1, 0, 1] {
        for edge in [now().minus(DAY / 2), now().plus(DAY / 2)] {
            let at = pki::time::UnixTime(edge.0 + offset);
            let config = load_at(side, at).unwrap();
            let s2n = shake(&config, &config).map(|_| ());
            let ours = loads_in_s2n::accepted_by_peers(&read(&chain), &anchors, at);
            assert_eq!(s2n.is_ok(), ours.is_ok(), "{at}: s2n {s2n:?}, ours {ours:?}");
            assert!(!matches!(s2n, Err(No::Load(_))));
        }
    }
}
