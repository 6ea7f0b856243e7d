//! A client that connects again and again, and judges what it is shown as s2n does in Slurm: chain and dates, by the
//! clock that it shares with all the others, and no host name. Every other time it shows the daemon's present pair, as
//! slurmd and slurmctld do among each other, and hears from the server that this one was taken.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::x509::X509;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, Stream,
};

use crate::server;
use crate::site::Site;

/// Between two connections.
const NAP: Duration = Duration::from_millis(10);

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that a server's answer may be.
const MAX_ANSWER: u64 = 256;

/// One daemon's client.
#[derive(Debug)]
pub(crate) struct Client {
    port: u16,
    ca_cert: PathBuf,
    /// Certificate and key.
    pair: [PathBuf; 2],
    /// The roots that it has loaded; `None`: it reads ca_cert at each connection, as Slurm's commands do.
    roots: Option<Mutex<RootCertStore>>,
    /// The pair that it has loaded.
    own: Mutex<Own>,
    /// How many handshakes it has done, failed ones too, for whoever waits for some.
    done: AtomicU64,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Where.
    pub(crate) port: u16,
    pub(crate) handshakes: u64,
    /// Those in which it showed a certificate, which the server took.
    pub(crate) with_own: u64,
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
    pub(crate) fn lasting(site: &Site, daemon: &str) -> Self {
        let client = Self::new(site, daemon);
        Self { roots: Some(Mutex::new(server::roots(&client.ca_cert))), ..client }
    }

    /// One that reads ca_cert at each connection.
    pub(crate) fn new(site: &Site, daemon: &str) -> Self {
        let pair = ["cert", "cert_key"].map(|name| site.path(&format!("{daemon}_{name}.pem")));
        let own = Mutex::new(Own::read(&pair));
        let (port, ca_cert) = (site.port(daemon), site.path("ca_cert.pem"));
        Self { port, ca_cert, pair, roots: None, own, done: AtomicU64::new(0) }
    }

    /// Loads ca_cert anew.
    pub(crate) fn load(&self) {
        if let Some(roots) = &self.roots {
            *roots.lock().unwrap() = server::roots(&self.ca_cert);
        }
    }

    /// The pair that lies there, loaded anew once it was renewed, as slurmd does.
    fn own(&self) -> Own {
        let mut own = self.own.lock().unwrap();
        if !own.lies_at(&self.pair) {
            *own = Own::read(&self.pair);
        }
        own.clone()
    }

    /// Connects without end, until it is over.
    pub(crate) fn connect_until(&self, over: &AtomicBool) -> Seen {
        let mut seen = Seen { port: self.port, ..Seen::default() };
        while !over.load(Ordering::Relaxed) {
            let begin = Instant::now();
            seen.handshakes += 1;
            let shows = seen.handshakes.is_multiple_of(2);
            match self.connect(shows) {
                Ok(Shown { serial, issuer }) => {
                    seen.with_own += u64::from(shows);
                    seen.serials.insert(serial);
                    if seen.issuers.last() != Some(&issuer) {
                        seen.issuers.push(issuer);
                    }
                }
                Err(why) => seen.failures.push(if shows { format!("with its own: {why}") } else { why }),
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

    /// One handshake, with its own certificate or without, and what the server showed.
    fn connect(&self, shows: bool) -> Result<Shown, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| format!("connect: {e}"))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        let name = ServerName::try_from("slurm").map_err(|e| e.to_string())?;
        let loaded = self.roots.as_ref().map(|roots| roots.lock().unwrap().clone());
        let roots = loaded.unwrap_or_else(|| server::roots(&self.ca_cert));
        let own = shows.then(|| self.own());
        let config = config(roots, own.as_ref());
        let mut tls = ClientConnection::new(config, name).map_err(|e| e.to_string())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).map_err(|e| format!("handshake: {e}"))?;
        }
        let leaf = tls.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
        let leaf = X509::from_der(leaf).map_err(|e| e.to_string())?;
        let shown = Shown { serial: leaf.facts().serial.clone(), issuer: leaf.facts().issuer.clone() };
        // Under TLS 1.3 the server judges what it was shown after this side is through: so it has to say what it took.
        let mut answer = String::new();
        let said = BufReader::new(Stream::new(&mut tls, &mut stream).take(MAX_ANSWER)).read_line(&mut answer);
        said.map_err(|e| format!("after the handshake: {e}"))?;
        let expected = own.map_or_else(|| server::NOTHING.to_owned(), |own| own.serial);
        if answer.trim_end() != expected {
            return Err(format!("the server was shown {expected} and took {answer:?}"));
        }
        // The answer proved the exchange in both directions: that a server does not wait for the goodbye is no failed
        // handshake.
        tls.send_close_notify();
        let _ = tls.complete_io(&mut stream);
        Ok(shown)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "port {}: {} handshakes, {} of them mutual, {} failed; {} certificates; longest wait for a handshake {} ms",
            self.port,
            self.handshakes,
            self.with_own,
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

/// What a client shows of itself.
#[derive(Debug)]
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    serial: String,
}

impl Own {
    /// A renewal puts both there by one rename: what it came in between of is read again.
    fn read(pair: &[PathBuf; 2]) -> Self {
        loop {
            let [cert, key] = pair;
            let (chain, key) = server::pair(cert, key);
            let serial = X509::from_der(chain.first().unwrap()).unwrap().facts().serial.clone();
            let own = Self { chain, key, serial };
            if own.lies_at(pair) {
                return own;
            }
        }
    }

    fn lies_at(&self, [cert, _]: &[PathBuf; 2]) -> bool {
        server::chain(cert) == self.chain
    }
}

impl Clone for Own {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key(), serial: self.serial.clone() }
    }
}

fn config(roots: RootCertStore, own: Option<&Own>) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap().dangerous();
    let judge = Arc::new(NoHostNames { roots, provider });
    let builder = builder.with_custom_certificate_verifier(judge);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key()).unwrap(),
    };
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
