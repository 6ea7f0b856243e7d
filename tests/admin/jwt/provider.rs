//! An identity provider's key server: real TLS on loopback, and whatever answer a test wants.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pki::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What is answered from now on.
#[derive(Clone)]
pub(crate) enum Answer {
    /// 200 with this body, and an ETag that follows from it; 304 to whoever has that.
    List(String),
    /// The first of these to whoever asks with a query, else the second.
    OfOne(String, String),
    /// Nothing but this status.
    Status(u16),
    /// To another place.
    Redirect(String),
    /// 200, and less than was announced.
    CutOff(String),
    /// 200, and no end.
    Endless,
    /// A byte now and then, for ever.
    Slow,
    /// No HTTP.
    Noise,
}

/// A running server. It ends with the value.
pub(crate) struct Provider {
    address: SocketAddr,
    ca: String,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Provider {
    pub(crate) fn with(answer: Answer) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (ca, tls) = tls();
        let answer = Arc::new(Mutex::new(answer));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&answer), Arc::clone(&requests), Arc::clone(&ended));
        thread::spawn(move || {
            let (answer, requests, ended) = shared;
            for stream in socket.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (tls, requests, ended) = (Arc::clone(&tls), Arc::clone(&requests), Arc::clone(&ended));
                let answer = answer.lock().unwrap().clone();
                // A client that breaks off is its own affair.
                thread::spawn(move || serve(stream, tls, &answer, &requests, &ended));
            }
        });
        Self { address, ca, answer, requests, ended }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/certs", self.address)
    }

    pub(crate) fn ca(&self) -> &str {
        &self.ca
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The listener wakes up, sees it, and goes.
        let _ = TcpStream::connect(self.address);
    }
}

/// A CA, and a server certificate of it.
fn tls() -> (String, Arc<ServerConfig>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "provider's CA");
    let pem = X509::from_der(ca.self_signed(&ca_key).unwrap().der()).unwrap().to_pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (pem, Arc::new(config))
}

fn serve(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    answer: &Answer,
    requests: &Mutex<Vec<String>>,
    ended: &AtomicBool,
) {
    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    requests.lock().unwrap().push(head.clone());
    let _ = reply(&mut stream, answer, &head, ended);
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn reply(
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    answer: &Answer,
    head: &str,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let short = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{more}\r\n");
    match answer {
        Answer::List(list) => {
            let etag = format!("\"{}\"", data_encoding::HEXLOWER.encode(&crc(list).to_be_bytes()));
            if head.to_ascii_lowercase().contains(&format!("if-none-match: {etag}")) {
                return stream.write_all(short("304 Not Modified", "").as_bytes());
            }
            let length = list.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: {etag}\r\n\r\n{list}")
        }
        Answer::OfOne(own, everybodys) => {
            let list = if head.lines().next().unwrap_or_default().contains('?') { own } else { everybodys };
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len())
        }
        Answer::Status(status) => stream.write_all(short(&format!("{status} Status"), "").as_bytes()),
        Answer::Redirect(to) => {
            stream.write_all(short("302 Found", &format!("Location: {to}\r\n")).as_bytes())
        }
        Answer::CutOff(list) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len() + 100)
        }
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
            while !ended.load(Ordering::SeqCst) {
                stream.write_all(&[b' '; 16 * 1024])?;
            }
            Ok(())
        }
        Answer::Slow => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            while !ended.load(Ordering::SeqCst) {
                stream.write_all(b" ")?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(200));
            }
            Ok(())
        }
        Answer::Noise => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"),
    }
}

/// Something that follows from a text.
fn crc(text: &str) -> u64 {
    text.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
