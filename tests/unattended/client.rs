//! A client that connects again and again, and judges what it is shown as s2n does in Slurm: chain and dates, by the
//! clock that it shares with all the others, and no host name.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::x509::X509;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::server;
use crate::site::Site;

/// Between two connections.
const NAP: Duration = Duration::from_millis(10);

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// One daemon's client.
#[derive(Debug)]
pub(crate) struct Client {
    port: u16,
    ca_cert: PathBuf,
    /// What it has loaded; `None`: it reads ca_cert at each connection, as Slurm's commands do.
    loaded: Option<Mutex<Arc<ClientConfig>>>,
    /// How many handshakes it has done, failed ones too, for whoever waits for some.
    done: AtomicU64,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Where.
    pub(crate) port: u16,
    pub(crate) handshakes: u64,
    pub(crate) failures: Vec<String>,
    /// The certificates that it was shown.
    pub(crate) serials: BTreeSet<String>,
    /// Who had issued them, in the order in which that changed.
    pub(crate) issuers: Vec<String>,
    /// The longest that one took.
    pub(crate) longest: Duration,
}

impl Client {
    /// One that loads ca_cert now, and again when it is told to.
    pub(crate) fn lasting(site: &Site, port: u16) -> Self {
        let client = Self::new(site, port);
        Self { loaded: Some(Mutex::new(config(&client.ca_cert))), ..client }
    }

    /// One that reads ca_cert at each connection.
    pub(crate) fn new(site: &Site, port: u16) -> Self {
        Self { port, ca_cert: site.path("ca_cert.pem"), loaded: None, done: AtomicU64::new(0) }
    }

    /// Loads ca_cert anew.
    pub(crate) fn load(&self) {
        if let Some(loaded) = &self.loaded {
            *loaded.lock().unwrap() = config(&self.ca_cert);
        }
    }

    /// Connects without end, until it is over.
    pub(crate) fn connect_until(&self, over: &AtomicBool) -> Seen {
        let mut seen = Seen { port: self.port, ..Seen::default() };
        while !over.load(Ordering::Relaxed) {
            let begin = Instant::now();
            seen.handshakes += 1;
            match self.connect() {
                Ok(Shown { serial, issuer }) => {
                    seen.serials.insert(serial);
                    if seen.issuers.last() != Some(&issuer) {
                        seen.issuers.push(issuer);
                    }
                }
                Err(why) => seen.failures.push(why),
            }
            seen.longest = seen.longest.max(begin.elapsed());
            self.done.store(seen.handshakes, Ordering::Relaxed);
            sleep(NAP);
        }
        seen
    }

    /// Waits until it has done so many more. A handshake that hangs fails in the end, and counts.
    pub(crate) fn wait_for(&self, more: u64) {
        let enough = self.done.load(Ordering::Relaxed) + more;
        while self.done.load(Ordering::Relaxed) < enough {
            sleep(NAP);
        }
    }

    /// One handshake, and what it showed.
    fn connect(&self) -> Result<Shown, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| format!("connect: {e}"))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        let name = ServerName::try_from("slurm").map_err(|e| e.to_string())?;
        let loaded = self.loaded.as_ref().map(|loaded| loaded.lock().unwrap().clone());
        let config = loaded.unwrap_or_else(|| config(&self.ca_cert));
        let mut tls = ClientConnection::new(config, name).map_err(|e| e.to_string())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).map_err(|e| format!("handshake: {e}"))?;
        }
        let leaf = tls.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
        let leaf = X509::from_der(leaf).map_err(|e| e.to_string())?;
        let shown = Shown { serial: leaf.facts().serial.clone(), issuer: leaf.facts().issuer.clone() };
        tls.send_close_notify();
        tls.complete_io(&mut stream).map_err(|e| format!("close: {e}"))?;
        stream.flush().map_err(|e| e.to_string())?;
        Ok(shown)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "port {}: {} handshakes, {} failed; {} certificates; longest wait for a handshake {} ms",
            self.port,
            self.handshakes,
            self.failures.len(),
            self.serials.len(),
            self.longest.as_millis(),
        )
    }
}

/// What a server's certificate says.
struct Shown {
    serial: String,
    issuer: String,
}

fn config(ca_cert: &Path) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap().dangerous();
    let judge = Arc::new(NoHostNames { roots: server::roots(ca_cert), provider });
    let mut config = builder.with_custom_certificate_verifier(judge).with_no_client_auth();
    // A session that is resumed would show no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Chain, dates, purpose and signatures.
#[derive(Debug)]
struct NoHostNames {
    roots: RootCertStore,
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
