//! What `certgen` makes: a client command's self-signed certificate, which is the only thing that the
//! peers it is sent to trust (slurm-contract.md 4).
#![expect(clippy::unwrap_used, reason = "tests")]

use interop::handshake::{No, Side, VERSIONS, handshake};
use interop::making::{DAY, HOUR, KINDS, key_pem, now, serial};
use interop::openssl::{openssl, verify};
use pki::ca;
use pki::key::PrivateKey;
use pki::loads_in_s2n;

/// The command listens with its certificate; the daemon that connects trusts that alone and, as
/// Slurm's own clients of it do, shows none.
fn serves_as_its_own_anchor(key_pem: &str) {
    let key = PrivateKey::from_pem(key_pem.as_bytes()).unwrap();
    let certificate = ca::client_certificate(&key, "login1", serial(), 400 * DAY, HOUR, now()).unwrap();
    loads_in_s2n::own_pair(certificate.as_bytes(), key_pem.as_bytes()).unwrap();
    let anchors = loads_in_s2n::trust_bundle(certificate.as_bytes()).unwrap();
    loads_in_s2n::accepted_by_peers(&anchors, &anchors, now()).unwrap();
    verify(certificate.as_bytes(), certificate.as_bytes()).unwrap();
    let files = [("own.pem", certificate.as_bytes())];
    openssl(&files, "verify -trusted own.pem own.pem").unwrap();
    let own =
        Side { pair: Some((certificate.as_bytes(), key_pem.as_bytes())), trust: certificate.as_bytes() };
    let daemon = Side { pair: None, trust: certificate.as_bytes() };
    for tls in VERSIONS {
        handshake(own, daemon, tls).unwrap();
        handshake(own, own, tls).unwrap();
    }
}

#[test]
fn a_client_certificate_over_every_kind_of_key_is_its_own_anchor() {
    for kind in KINDS {
        serves_as_its_own_anchor(&key_pem(kind));
    }
}

#[test]
fn a_client_certificate_over_the_stock_keygens_output_is_its_own_anchor() {
    for curve in ["secp256r1", "prime256v1", "secp384r1"] {
        let key = openssl(&[], &format!("ecparam -name {curve} -genkey")).unwrap();
        assert!(key.starts_with("-----BEGIN EC PARAMETERS-----"));
        serves_as_its_own_anchor(&key);
    }
}

#[test]
fn a_client_certificate_over_the_other_forms_of_a_key_is_its_own_anchor() {
    for args in [
        "ecparam -name prime256v1 -genkey -noout",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "genrsa -traditional 2048",
        "genrsa 2048",
    ] {
        serves_as_its_own_anchor(&openssl(&[], args).unwrap());
    }
}

#[test]
fn another_clients_certificate_is_not_trusted() {
    let make = || {
        let text = key_pem(KINDS[0]);
        let key = PrivateKey::from_pem(text.as_bytes()).unwrap();
        (ca::client_certificate(&key, "login1", serial(), DAY, HOUR, now()).unwrap(), text)
    };
    let ((one, one_key), (other, _)) = (make(), make());
    let own = Side { pair: Some((one.as_bytes(), one_key.as_bytes())), trust: one.as_bytes() };
    let daemon = Side { pair: None, trust: other.as_bytes() };
    for tls in VERSIONS {
        assert_eq!(handshake(own, daemon, tls), Err(No::Client("S2N_ERR_CERT_UNTRUSTED".to_owned())));
    }
    let (sent, anchors) = (interop::making::read(&one), interop::making::read(&other));
    assert!(loads_in_s2n::accepted_by_peers(&sent, &anchors, now()).is_err());
}
