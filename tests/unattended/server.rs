//! A daemon as far as TLS goes: reads its pair at its start, and serves that one until it ends.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// Between two looks for a connection.
const NAP: Duration = Duration::from_millis(2);

/// A client that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves the socket on stdin until the file `stop` is there.
pub(crate) fn serve(cert: &Path, key: &Path, stop: &Path) -> ExitCode {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let config = Arc::new(config(cert, key));
    while !stop.exists() {
        match listener.accept() {
            Ok((stream, _)) => answer(&config, stream),
            Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(NAP),
            Err(e) => panic!("accept: {e}"),
        }
    }
    ExitCode::SUCCESS
}

fn config(cert: &Path, key: &Path) -> ServerConfig {
    let chain: Vec<_> = CertificateDer::pem_reader_iter(BufReader::new(File::open(cert).unwrap()))
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// The handshake, and then whatever the client says until it hangs up.
fn answer(config: &Arc<ServerConfig>, mut stream: TcpStream) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = ServerConnection::new(config.clone()).unwrap();
    let _ = io::copy(&mut Stream::new(&mut tls, &mut stream).take(1024), &mut io::sink());
}
