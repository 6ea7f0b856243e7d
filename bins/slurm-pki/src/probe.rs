//! One TLS connection to a daemon, to see what it serves. Nobody is trusted here: certificates are compared, by others.
//!
//! Slurm's ports accept any TLS client without a certificate. With one, under TLS 1.2, the handshake completes only when
//! the daemon has loaded its CA; under TLS 1.3 the client sees success although it was refused (slurm-contract.md 3.5).

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pki::x509::X509;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
    SupportedProtocolVersion, version,
};

use crate::handshake::{self, Pair};
use crate::parameters::Parameters;
use crate::slurm_conf::SlurmConf;

/// Both versions that Slurm's TLS speaks.
const ALL: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];

/// Where a daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name or address of the host.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// Whether Slurm's files turn IPv4 off: then a name's addresses of IPv6 are the daemon's.
    pub(crate) only_ipv6: bool,
}

impl Address {
    /// Reads `host:port` or `[fe80::1]:port`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let is_address = host.contains(':') == bare.is_some();
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (is_address && crate::members::is_host(host)).then(|| Self {
            host: host.to_owned(),
            port,
            only_ipv6: false,
        })
    }
}

impl Address {
    /// Where the name leads, of that only where Slurm listens ([`listened_at`]).
    ///
    /// # Errors
    /// When the name cannot be looked up.
    pub(crate) fn places(&self) -> io::Result<Vec<SocketAddr>> {
        let found = (self.host.as_str(), self.port).to_socket_addrs()?;
        Ok(listened_at(found, self.only_ipv6))
    }

    /// The same where the daemon listens as its file of Slurm's says (CommunicationParameters in slurm.conf(5) and
    /// slurmdbd.conf(5)).
    pub(crate) fn by(self, conf: Option<&SlurmConf>) -> Self {
        let words = Parameters::of(conf.and_then(|conf| conf.get("CommunicationParameters")));
        Self { only_ipv6: words.has("DisableIPv4"), ..self }
    }
}

/// A daemon listens on IPv4 unless Slurm's files turn that off (`only_ipv6`), and with both it listens on both. Of a name with addresses
/// of both kinds those of IPv6 are left out: anybody on its host could have taken the port there (`::1` of localhost), and
/// be asked in the daemon's place.
fn listened_at(found: impl Iterator<Item = SocketAddr>, only_ipv6: bool) -> Vec<SocketAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = found.partition(SocketAddr::is_ipv4);
    if v4.is_empty() || only_ipv6 { v6 } else { v4 }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub(crate) struct Probe<'a> {
    /// To whom.
    pub(crate) address: &'a Address,
    /// Whether only TLS 1.2 is offered.
    pub(crate) tls12_only: bool,
    /// What this side shows, if it is asked.
    pub(crate) client: Option<&'a Pair>,
    /// The limit on all of it.
    pub(crate) wait: Duration,
}

/// What a daemon shows.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// "TLS 1.3" or "TLS 1.2".
    pub(crate) version: &'static str,
    /// The cipher suite, by its IANA name.
    pub(crate) cipher: String,
    /// Its certificate, and what it sends after it.
    pub(crate) chain: Vec<X509>,
    /// Whether it asked for this side's certificate, and got it: else a handshake says nothing of what it trusts.
    pub(crate) asked: bool,
}

impl Served {
    /// The certificate itself.
    pub(crate) fn leaf(&self) -> Option<&X509> {
        self.chain.first()
    }
}

/// Why nothing was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProbeError {
    /// No connection at all.
    Unreachable(String),
    /// Somebody answers, and not in TLS.
    NotTls(String),
    /// It speaks TLS and refused this handshake.
    Refused(String),
    /// It did not end the handshake in time.
    Silent,
    /// This side cannot even ask.
    Own(String),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "nobody answers: {why}"),
            Self::NotTls(why) => write!(f, "it does not speak TLS ({why})"),
            Self::Refused(why) => write!(f, "it refused the handshake: {why}"),
            Self::Silent => f.write_str("it did not complete the handshake in time"),
            Self::Own(why) => f.write_str(why),
        }
    }
}

impl Probe<'_> {
    /// Connects, shakes hands and hangs up.
    ///
    /// # Errors
    /// When there was no handshake.
    pub(crate) fn run(&self) -> Result<Served, ProbeError> {
        let deadline = Instant::now() + self.wait;
        let asked = Arc::new(AtomicBool::new(false));
        let config = self.config(&asked).map_err(ProbeError::Own)?;
        let name = ServerName::try_from("slurm").map_err(|e| ProbeError::Own(e.to_string()))?;
        let mut tls =
            ClientConnection::new(Arc::new(config), name).map_err(|e| ProbeError::Own(e.to_string()))?;
        let stream = connect(self.address, deadline)?;
        shake(&mut tls, &stream, deadline)?;
        tls.send_close_notify();
        let _ = tls.write_tls(&mut &stream);
        served(&tls, asked.load(Ordering::Relaxed))
    }

    fn config(&self, asked: &Arc<AtomicBool>) -> Result<ClientConfig, String> {
        let versions = if self.tls12_only { TLS12 } else { ALL };
        let provider = handshake::provider();
        let builder = ClientConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(versions).map_err(|e| e.to_string())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        match self.client {
            None => Ok(builder.with_no_client_auth()),
            Some(pair) => {
                let (chain, key) = (handshake::chain(pair)?, handshake::key(pair)?);
                let key = CertifiedKey::from_der(chain, key, &handshake::provider());
                let key = Arc::new(key.map_err(|e| e.to_string())?);
                Ok(builder.with_client_cert_resolver(Arc::new(Shown { key, asked: asked.clone() })))
            }
        }
    }
}

/// Every address in turn at which the daemon could answer.
fn connect(address: &Address, deadline: Instant) -> Result<TcpStream, ProbeError> {
    let unreachable = |e: io::Error| ProbeError::Unreachable(format!("{address}: {e}"));
    let found = address.places().map_err(unreachable)?;
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for one in found {
        match TcpStream::connect_timeout(&one, left(deadline)) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(unreachable(last))
}

/// What is left, and never zero, which would mean no limit.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn shake(tls: &mut ClientConnection, stream: &TcpStream, deadline: Instant) -> Result<(), ProbeError> {
    let mut heard = false;
    while tls.is_handshaking() || tls.wants_write() {
        if Instant::now() >= deadline {
            return Err(ProbeError::Silent);
        }
        let limit = Some(left(deadline));
        let limited = stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit));
        limited.map_err(|e| ProbeError::Own(e.to_string()))?;
        if tls.wants_write() {
            tls.write_tls(&mut &*stream).map_err(|e| broken(&e, heard))?;
            continue;
        }
        match tls.read_tls(&mut &*stream) {
            Ok(0) => return Err(broken(&ErrorKind::UnexpectedEof.into(), heard)),
            Ok(_) => {}
            Err(e) => return Err(broken(&e, heard)),
        }
        if let Err(e) = tls.process_new_packets() {
            // Its alert, or ours: the other side may want to hear why.
            let _ = tls.write_tls(&mut &*stream);
            return Err(not_spoken(&e, heard));
        }
        heard = true;
    }
    Ok(())
}

/// A connection that ends before a word of TLS was heard belongs to somebody who does not speak it.
fn broken(e: &io::Error, heard: bool) -> ProbeError {
    match (e.kind(), heard) {
        (ErrorKind::WouldBlock | ErrorKind::TimedOut, _) => ProbeError::Silent,
        (_, true) => ProbeError::Refused("it closed the connection".into()),
        (_, false) => ProbeError::NotTls("it closed the connection at the first words of TLS".into()),
    }
}

fn not_spoken(e: &Error, heard: bool) -> ProbeError {
    match e {
        Error::InvalidMessage(_) if !heard => ProbeError::NotTls("its answer is something else".into()),
        e => ProbeError::Refused(e.to_string()),
    }
}

fn served(tls: &ClientConnection, asked: bool) -> Result<Served, ProbeError> {
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "an unknown version of TLS",
    };
    let suite = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let mut chain = Vec::new();
    for der in tls.peer_certificates().unwrap_or_default() {
        let read = X509::from_der(der);
        chain.push(read.map_err(|e| ProbeError::Refused(format!("its certificate cannot be read: {e}")))?);
    }
    Ok(Served { version, cipher: suite.unwrap_or_default(), chain, asked })
}

/// One pair, and whether it was asked for.
#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        Some(self.key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whoever it is: only that the peer holds the key of the certificate that it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use rustls::server::WebPkiClientVerifier;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::handshake::tests::{new_ca, pair};

    const WAIT: Duration = Duration::from_secs(5);

    /// A server for one connection, and what a probe sees of it.
    fn probe(
        serve: impl FnOnce(TcpStream) + Send + 'static,
        tls12_only: bool,
        client: Option<&Pair>,
        wait: Duration,
    ) -> Result<Served, ProbeError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0));
        let address = Address { host: "127.0.0.1".into(), port, only_ipv6: false };
        let seen = Probe { address: &address, tls12_only, client, wait }.run();
        server.join().unwrap();
        seen
    }

    /// Serves TLS with this pair, and trusts these anchors if a client shows something.
    fn tls(own: &Pair, anchors: &[u8]) -> impl FnOnce(TcpStream) + Send + use<> {
        let judge = WebPkiClientVerifier::builder_with_provider(
            handshake::roots(anchors).unwrap(),
            handshake::provider(),
        );
        let judge = judge.allow_unauthenticated().build().unwrap();
        let builder = ServerConfig::builder_with_provider(handshake::provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let (chain, key) = (handshake::chain(own).unwrap(), handshake::key(own).unwrap());
        let config = builder.with_client_cert_verifier(judge).with_single_cert(chain, key).unwrap();
        move |stream| {
            let tls = ServerConnection::new(Arc::new(config)).unwrap();
            let mut tls = StreamOwned::new(tls, stream);
            let _ = tls.read(&mut [0]);
            let _ = tls.flush();
        }
    }

    #[test]
    fn it_sees_the_certificate_the_version_and_the_cipher() {
        let (anchors, ca) = new_ca();
        let own = pair(&ca, "slurmctld");
        for (tls12_only, version) in [(false, "TLS 1.3"), (true, "TLS 1.2")] {
            let seen = probe(tls(&own, &anchors), tls12_only, None, WAIT).unwrap();
            assert_eq!(seen.version, version);
            assert!(seen.cipher.contains("AES"), "{}", seen.cipher);
            assert_eq!(seen.leaf().unwrap().to_pem().as_bytes(), own.chain);
        }
    }

    #[test]
    fn under_tls_1_2_a_completed_handshake_says_that_the_clients_ca_is_loaded() {
        let ((anchors, ca), (_, other)) = (new_ca(), new_ca());
        let own = pair(&ca, "n1");
        assert!(probe(tls(&own, &anchors), true, Some(&pair(&ca, "c")), WAIT).unwrap().asked);
        let refused = probe(tls(&own, &anchors), true, Some(&pair(&other, "c")), WAIT).unwrap_err();
        assert!(matches!(refused, ProbeError::Refused(_)), "{refused:?}");
    }

    #[test]
    fn who_does_not_speak_tls_is_told_from_who_is_not_there_and_who_says_nothing() {
        let hello = |mut stream: TcpStream| {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        };
        let seen = probe(hello, false, None, WAIT).unwrap_err();
        assert!(matches!(seen, ProbeError::NotTls(_)), "{seen:?}");
        let hang_up = |mut stream: TcpStream| {
            let _ = stream.read(&mut [0; 512]);
        };
        let seen = probe(hang_up, false, None, WAIT).unwrap_err();
        assert!(matches!(seen, ProbeError::NotTls(_)), "{seen:?}");
        let silent = |mut stream: TcpStream| {
            let _ = stream.read_to_end(&mut Vec::new());
        };
        assert_eq!(probe(silent, false, None, Duration::from_millis(200)).unwrap_err(), ProbeError::Silent);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = Address { host: "127.0.0.1".into(), port, only_ipv6: false };
        let nobody = Probe { address: &address, tls12_only: false, client: None, wait: WAIT }.run();
        assert!(matches!(nobody.unwrap_err(), ProbeError::Unreachable(_)));
    }

    #[test]
    fn of_a_name_with_addresses_of_both_kinds_only_those_are_asked_at_which_slurm_listens() {
        let at = |places: &[&str], only_ipv6| {
            listened_at(places.iter().map(|place| place.parse().unwrap()), only_ipv6)
        };
        let both = ["[::1]:6817", "127.0.0.1:6817"];
        assert_eq!(at(&both, false), at(&["127.0.0.1:6817"], false));
        assert_eq!(at(&both, true), at(&["[::1]:6817"], true));
        assert_eq!(at(&["[fe80::1]:6817"], false).len(), 1);
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let shown = |text| Address::parse(text).map(|address| address.to_string());
        assert_eq!(shown("h1:6817").unwrap(), "h1:6817");
        assert_eq!(shown("[fe80::1]:6817").unwrap(), "[fe80::1]:6817");
        for bad in ["h1", "h1:", "h1:0", "h1:x", "fe80::1:6817", ":1", "[h1]:1", "a b:1"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
