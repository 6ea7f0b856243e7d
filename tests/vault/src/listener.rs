//! The listener: TLS with a certificate that is right, or wrong in one way; a thread per connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme, StreamOwned,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::core::Core;
use crate::fault::{Armed, Fault};
use crate::http::{self, Ends, Request, Response};
use crate::live::Live;

/// What the listener shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A good certificate.
    Sound,
    /// One of a CA that nobody was told of.
    OtherCa,
    /// One that expired yesterday.
    Expired,
    /// One for another name.
    OtherName,
    /// None: plain HTTP.
    Plain,
}

/// A running server. It ends with the value.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    listener: Listener,
    ca: String,
    core: Arc<Mutex<Core>>,
    ended: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    /// Whether what was made on a live server goes with it.
    is_first: bool,
}

impl StandIn {
    /// Starts an initialised, unsealed server with a root token, as `-dev` does, but without any engine.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as(Listener::Sound)
    }

    /// The same, seen through this listener.
    #[must_use]
    pub fn start_as(listener: Listener) -> Self {
        Self::start_with(listener, Arc::new(Mutex::new(Core::new().with(Live::wanted()))))
    }

    /// The stand-in itself, even where tests run on a live server.
    #[must_use]
    pub fn of_its_own() -> Self {
        Self::start_with(Listener::Sound, Arc::new(Mutex::new(Core::new())))
    }

    /// Another listener of the same server: another member of a cluster.
    #[must_use]
    pub fn beside(&self, listener: Listener) -> Self {
        let mut other = Self::start_with(listener, Arc::clone(&self.core));
        other.is_first = false;
        other
    }

    fn start_with(listener: Listener, core: Arc<Mutex<Core>>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (ca, tls) = tls(listener);
        let ended = Arc::new(AtomicBool::new(false));
        let (of_thread, end) = (Arc::clone(&core), Arc::clone(&ended));
        let connections = Arc::new(AtomicUsize::new(0));
        let came = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in socket.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                came.fetch_add(1, Ordering::SeqCst);
                let (core, tls) = (Arc::clone(&of_thread), tls.clone());
                // A client that breaks off is its own affair.
                thread::spawn(move || serve(stream, tls, &core));
            }
        });
        Self { address, listener, ca, core, ended, connections, is_first: true }
    }

    /// `https://127.0.0.1:PORT`, or `http://`.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = if self.listener == Listener::Plain { "http" } else { "https" };
        format!("{scheme}://{}", self.address)
    }

    /// The address with another scheme than the listener's.
    #[must_use]
    pub fn address_as(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// PEM of the CA to trust it by.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> String {
        self.core().root_token()
    }

    /// Arms a fault for the next `times` requests whose path, or method and path, begins with `prefix`.
    pub fn fail(&self, prefix: &str, fault: Fault, times: u32) {
        self.core().faults.push(Armed { prefix: prefix.into(), fault, times });
    }

    /// Disarms all faults.
    pub fn recover(&self) {
        self.core().faults.clear();
    }

    /// Seals it, or unseals it.
    pub fn seal(&self, sealed: bool) {
        self.core().sealed = sealed;
    }

    /// Puts its clock ahead, for tokens to age.
    ///
    /// # Panics
    /// On a live server, whose clock nobody turns.
    pub fn pass(&self, time: Duration) {
        let mut core = self.core();
        assert!(
            core.live.is_none(),
            "no test turns the clock of a live server: leave it out there (xtask/src/vault.rs)"
        );
        core.ahead += time;
    }

    /// From now on all paths are in this namespace and in no other.
    pub fn move_to_namespace(&self, namespace: &str) {
        self.core().namespace = Some(namespace.into());
    }

    /// Method and path of every request so far, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.core().seen.clone()
    }

    /// How many requests of this kind it has done with: what was asked for last may still be under way.
    #[must_use]
    pub fn answered(&self, call: &str) -> usize {
        self.core().done.iter().filter(|one| one.starts_with(call)).count()
    }

    /// How many connections came so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Does what a request with the root token would do, without the network.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn root(&self, method: &str, path: &str, body: Value) -> Value {
        let mut core = self.core();
        let headers = vec![("X-Vault-Token".to_owned(), core.root_token())];
        let headers = match &core.namespace {
            Some(namespace) => [headers, vec![("X-Vault-Namespace".into(), namespace.clone())]].concat(),
            None => headers,
        };
        let (method, path) = (method.into(), path.into());
        let response =
            core.handle(&Request { method, path, query: Vec::new(), headers, body, peer: Vec::new() });
        let text = String::from_utf8(response.body).unwrap();
        assert!(response.status < 300, "{}: {text}", response.status);
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The listener wakes up, sees it, and goes.
        let _ = TcpStream::connect(self.address);
        // Here and not in a thread that serves: the process may end before those do.
        let live = if self.is_first { self.core().live.take() } else { None };
        drop(live);
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, core: &Mutex<Core>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let _ = stream.set_nodelay(true);
    match tls {
        None => answer(stream, core, |_| Vec::new()),
        Some(_) if is_plain(&stream) => {
            // What Go's server says to it.
            let said = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
            let _ = (&stream).write_all(said.as_bytes());
        }
        Some(config) => {
            let Ok(connection) = ServerConnection::new(config) else { return };
            answer(StreamOwned::new(connection, stream), core, |stream| {
                let peer = stream.conn.peer_certificates().unwrap_or_default();
                peer.iter().map(|one| one.as_ref().to_vec()).collect()
            });
        }
    }
}

/// Whether the first byte is none of a TLS handshake.
fn is_plain(stream: &TcpStream) -> bool {
    let mut first = [0];
    stream.peek(&mut first).is_ok_and(|count| count == 1 && first != [0x16])
}

fn answer<S: Read + Write>(mut stream: S, core: &Mutex<Core>, peer: impl Fn(&S) -> Vec<Vec<u8>>) {
    while answer_one(&mut stream, core, &peer) {}
}

/// Whether another request may come over the same connection: not after a fault, nor where the client wants no more.
fn answer_one<S: Read + Write>(
    mut stream: &mut S,
    core: &Mutex<Core>,
    peer: &impl Fn(&S) -> Vec<Vec<u8>>,
) -> bool {
    let mut request = match http::read(&mut stream) {
        Ok(Some(request)) => request,
        Ok(None) => {
            let _ = Response::new(400, "400 Bad Request").write(&mut stream, Ends::Closed);
            return false;
        }
        Err(_) => return false,
    };
    request.peer = peer(stream);
    let lock = || core.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = {
        let mut core = lock();
        core.seen.push(format!("{} {}", request.method, request.path));
        crate::fault::take(&mut core.faults, &request.method, &request.path)
    };
    let is_last = request.header("Connection").is_some_and(|said| said.eq_ignore_ascii_case("close"));
    let mut ends = if is_last || fault.is_some() { Ends::Closed } else { Ends::Open };
    let response = match fault {
        Some(Fault::Closed) => return false,
        Some(Fault::Lost) => {
            lock().handle(&request);
            return false;
        }
        Some(Fault::Warned(warning)) => {
            lock().handle(&request);
            Response::json(200, &json!({ "data": null, "warnings": [warning] }))
        }
        Some(Fault::Status(status, body)) => Response::new(status, body),
        Some(Fault::TooMany(rest)) => {
            Response::errors(429, &["request path is rate limited"]).with("Retry-After", rest.to_string())
        }
        Some(Fault::Redirect(to)) => {
            Response::new(307, "").with("Location", format!("{to}/v1/{}", request.path))
        }
        Some(Fault::Huge) => Response::new(200, vec![b' '; 16 * 1024 * 1024]),
        Some(Fault::Page) => Response::new(200, "<html><body>Welcome</body></html>"),
        Some(Fault::Slow(time)) => {
            thread::sleep(time);
            lock().handle(&request)
        }
        Some(Fault::Truncated) => {
            ends = Ends::CutOff;
            lock().handle(&request)
        }
        None => lock().handle(&request),
    };
    lock().done.push(format!("{} {}", request.method, request.path));
    response.write(&mut stream, ends).is_ok() && ends == Ends::Open
}

/// PEM of the CA to be told of, and the listener's settings.
fn tls(listener: Listener) -> (String, Option<Arc<ServerConfig>>) {
    let (ca_params, ca_key) = ca("Stand-in CA");
    let told = crate::issuing::to_pem(ca_params.self_signed(&ca_key).unwrap().der()) + "\n";
    let (signer_params, signer_key) =
        if listener == Listener::OtherCa { ca("Another CA") } else { (ca_params, ca_key) };
    if listener == Listener::Plain {
        return (told, None);
    }
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    let name = if listener == Listener::OtherName { "elsewhere.example" } else { "localhost" };
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
    if listener != Listener::OtherName {
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    }
    let now = OffsetDateTime::now_utc();
    let days = time::Duration::days;
    params.not_before = now - days(30);
    params.not_after = if listener == Listener::Expired { now - days(1) } else { now + days(30) };
    let issuer = Issuer::from_params(&signer_params, &signer_key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient(provider)))
        .with_single_cert(chain, key)
        .unwrap();
    (told, Some(Arc::new(config)))
}

fn ca(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params, KeyPair::generate().unwrap())
}

/// As Vault's listener: a client certificate is asked for and not judged; the login by certificate judges it. That the
/// client holds its key is always checked.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
