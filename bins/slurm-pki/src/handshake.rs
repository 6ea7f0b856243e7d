//! TLS handshakes in memory, between the certificates that a cluster's peers would present.
//!
//! As Slurm's TLS plugin does, both sides judge chain, dates and purpose, and nobody looks at host names.

use std::sync::Arc;

use pki::secret::Secret;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};

/// More rounds than any handshake takes: two ends that only wait must not hold us.
const MAX_ROUNDS: usize = 20;

/// A certificate, leaf first, and its key: PEM as the programs print them.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Secret,
}

/// Both sides show a certificate and trust `anchors`, as two daemons do.
///
/// # Errors
/// What the side that refused says.
pub(crate) fn mutual(server: &Pair, client: &Pair, anchors: &[u8]) -> Result<(), String> {
    let roots = roots(anchors)?;
    let judge = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider());
    let judge = judge.build().map_err(|e| e.to_string())?;
    let server_config =
        server_builder()?.with_client_cert_verifier(judge).with_single_cert(chain(server)?, key(server)?);
    let client_config = client_builder(roots)?.with_client_auth_cert(chain(client)?, key(client)?);
    shake(server_config.map_err(side("server"))?, client_config.map_err(side("client"))?)
}

/// Only the server shows a certificate, and the client trusts nothing else, as a daemon does that calls
/// a client command back.
///
/// # Errors
/// What the side that refused says.
pub(crate) fn pinned(server: &Pair) -> Result<(), String> {
    let server_config =
        server_builder()?.with_no_client_auth().with_single_cert(chain(server)?, key(server)?);
    let client_config = client_builder(roots(&server.chain)?)?.with_no_client_auth();
    shake(server_config.map_err(side("server"))?, client_config)
}

/// The cryptography under every handshake: ring's.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn server_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, String> {
    let builder = ServerConfig::builder_with_provider(provider());
    builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())
}

fn client_builder(
    roots: Arc<RootCertStore>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, String> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let judge = NoHostNames { roots, provider: provider() };
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(judge)))
}

/// Trust anchors from PEM.
///
/// # Errors
/// What cannot be read.
pub(crate) fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|e| format!("trust anchor: {e}"))?;
    }
    Ok(Arc::new(roots))
}

/// A pair's certificates, leaf first.
///
/// # Errors
/// What cannot be read.
pub(crate) fn chain(pair: &Pair) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates(&pair.chain)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| format!("certificate: {e}"))
}

/// A pair's key.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn key(pair: &Pair) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pair.key.expose()).map_err(|e| format!("key: {e}"))
}

fn side(name: &'static str) -> impl Fn(Error) -> String {
    move |e| format!("{name}: {e}")
}

/// Carries bytes between the two until both have finished.
fn shake(server: ServerConfig, client: ClientConfig) -> Result<(), String> {
    let name = ServerName::try_from("slurm").map_err(|e| e.to_string())?;
    let mut client = ClientConnection::new(Arc::new(client), name).map_err(side("client"))?;
    let mut server = ServerConnection::new(Arc::new(server)).map_err(side("server"))?;
    for _ in 0..MAX_ROUNDS {
        carry(&mut client, &mut server).map_err(|e| format!("server: {e}"))?;
        carry(&mut server, &mut client).map_err(|e| format!("client: {e}"))?;
        let done = !client.is_handshaking() && !server.is_handshaking();
        if done && !client.wants_write() && !server.wants_write() {
            return Ok(());
        }
    }
    Err("the handshake does not end".to_owned())
}

fn carry<A, B>(
    from: &mut rustls::ConnectionCommon<A>,
    to: &mut rustls::ConnectionCommon<B>,
) -> Result<(), String> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).map_err(|e| e.to_string())?;
    }
    let mut wire = wire.as_slice();
    while !wire.is_empty() {
        to.read_tls(&mut wire).map_err(|e| e.to_string())?;
        to.process_new_packets().map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Chain, dates, purpose and signatures, as for every TLS client, but no host name.
#[derive(Debug)]
struct NoHostNames {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoHostNames {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use pki::ca::{CaCertificates, LocalCa, NewCa, client_certificate, new_root};
    use pki::key::{KeyKind, PrivateKey};
    use pki::policy::Plan;
    use pki::profile::Serial;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    pub(crate) fn new_ca() -> (Vec<u8>, LocalCa) {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let serial = Serial::new([7; 16]);
        let new = NewCa { common_name: "Test CA", subject: &[], serial, validity: 9 * DAY, backdate: DAY };
        let pem = new_root(&key, &new, site::clock::now()).unwrap().to_pem().into_bytes();
        let certificates = CaCertificates::from_pem(&pem, None).unwrap();
        (pem, LocalCa::new(certificates, key).unwrap())
    }

    pub(crate) fn pair(ca: &LocalCa, name: &str) -> Pair {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let now = site::clock::now();
        let plan =
            Plan::for_daemon(name, vec![name.into()], key.public().unwrap(), &[], DAY, Duration::ZERO, now);
        let certificate = ca.issue(&plan, Serial::new([8; 16]), now).unwrap();
        Pair { chain: certificate.to_pem().as_bytes().to_vec(), key: key.to_pem() }
    }

    #[test]
    fn two_pairs_of_one_ca_shake_hands_whatever_they_are_called() {
        let (anchors, ca) = new_ca();
        mutual(&pair(&ca, "slurmctld"), &pair(&ca, "0"), &anchors).unwrap();
    }

    #[test]
    fn a_pair_of_another_ca_is_refused_on_either_side() {
        let ((anchors, ca), (_, other)) = (new_ca(), new_ca());
        mutual(&pair(&other, "slurmctld"), &pair(&ca, "n1"), &anchors).unwrap_err();
        mutual(&pair(&ca, "slurmctld"), &pair(&other, "n1"), &anchors).unwrap_err();
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let (anchors, ca) = new_ca();
        let mixed = Pair { key: pair(&ca, "n1").key, ..pair(&ca, "n1") };
        mutual(&pair(&ca, "slurmctld"), &mixed, &anchors).unwrap_err();
        mutual(&mixed, &pair(&ca, "slurmctld"), &anchors).unwrap_err();
        pinned(&mixed).unwrap_err();
    }

    #[test]
    fn a_client_commands_certificate_is_its_own_anchor_while_it_lasts() {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let made = |now| client_certificate(&key, "h1", Serial::new([9; 16]), DAY, DAY, now).unwrap();
        let now = site::clock::now();
        let pair = |now| Pair { chain: made(now).into_bytes(), key: key.to_pem() };
        pinned(&pair(now)).unwrap();
        pinned(&pair(now.minus(3 * DAY))).unwrap_err();
    }
}
