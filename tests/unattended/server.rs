//! A daemon as far as TLS goes: reads its pair and ca_cert at its start, and serves that pair until it ends. It asks for a
//! client's certificate, and takes it when what it read stands behind it; a client without one is served too. To each it
//! says which certificate it took, by its serial number.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use pki::x509::X509;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};

/// Between two looks for a connection.
const NAP: Duration = Duration::from_millis(2);

/// A client that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// What it says to a client without a certificate.
pub(crate) const NOTHING: &str = "nothing";

/// Serves the socket on stdin until the file `stop` is there.
pub(crate) fn serve(cert: &Path, key: &Path, stop: &Path, ca_cert: &Path) -> ExitCode {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let config = Arc::new(config(cert, key, ca_cert));
    while !stop.exists() {
        match listener.accept() {
            Ok((stream, _)) => answer(&config, stream),
            Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(NAP),
            Err(e) => panic!("accept: {e}"),
        }
    }
    ExitCode::SUCCESS
}

/// Certificates and key, as they lie there.
pub(crate) fn pair(cert: &Path, key: &Path) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (chain(cert), PrivateKeyDer::from_pem_file(key).unwrap())
}

/// The certificates of a file.
pub(crate) fn chain(cert: &Path) -> Vec<CertificateDer<'static>> {
    let chain = CertificateDer::pem_reader_iter(BufReader::new(File::open(cert).unwrap()));
    chain.map(Result::unwrap).collect()
}

fn config(cert: &Path, key: &Path, ca_cert: &Path) -> ServerConfig {
    let (chain, key) = pair(cert, key);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots(ca_cert).into(), provider.clone());
    let clients = clients.allow_unauthenticated().build().unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap()
}

/// What a ca_cert holds.
pub(crate) fn roots(ca_cert: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_reader_iter(BufReader::new(File::open(ca_cert).unwrap())) {
        roots.add(root.unwrap()).unwrap();
    }
    roots
}

/// The handshake, the word about the client's certificate, and then whatever the client says until it hangs up.
fn answer(config: &Arc<ServerConfig>, mut stream: TcpStream) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = ServerConnection::new(config.clone()).unwrap();
    while tls.is_handshaking() {
        // The client may hear no more than that the connection is gone.
        if let Err(why) = tls.complete_io(&mut stream) {
            return eprintln!("a server refused a handshake: {why}");
        }
    }
    let shown = tls.peer_certificates().and_then(<[_]>::first);
    let serial = shown.map(|leaf| X509::from_der(leaf).unwrap().facts().serial.clone());
    let line = format!("{}\n", serial.as_deref().unwrap_or(NOTHING));
    if Stream::new(&mut tls, &mut stream).write_all(line.as_bytes()).is_err() {
        return;
    }
    let _ = io::copy(&mut Stream::new(&mut tls, &mut stream).take(1024), &mut io::sink());
}
