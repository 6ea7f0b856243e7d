//! s2n behind a TCP port: daemons that load their files when they are told to, and their calls to each other.
//!
//! s2n's own pair of connections over memory does the talking (the crate's sockets want unsafe code), one end of it
//! fed from the socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::{Arc, RwLock};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use s2n_tls::config::Config;
use s2n_tls::testing::TestPair;

use crate::handshake::{Side, load, load_for_tls12};

/// Far longer than any handshake here.
const WAIT: Duration = Duration::from_secs(20);

/// What a daemon has in memory, of its files.
#[derive(Debug)]
struct Loaded {
    own: Config,
    tls12: Config,
}

impl Loaded {
    fn of(chain: &str, key: &str, trust: &str) -> Arc<Self> {
        let side = Side { pair: Some((chain.as_bytes(), key.as_bytes())), trust: trust.as_bytes() };
        Arc::new(Self { own: load(side).unwrap(), tls12: load_for_tls12(side).unwrap() })
    }
}

/// One of Slurm's daemons, as its peers see it: a TLS server with an optional client certificate, and a client.
#[derive(Debug)]
pub struct Daemon {
    /// What it is called.
    pub name: String,
    port: u16,
    loaded: Arc<RwLock<Arc<Loaded>>>,
}

impl Daemon {
    /// Listens on this port of 127.0.0.1, with these files. (The thread ends with the process.)
    #[must_use]
    pub fn start(name: &str, port: u16, chain: &str, key: &str, trust: &str) -> Self {
        let loaded = Arc::new(RwLock::new(Loaded::of(chain, key, trust)));
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let of_server = loaded.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, now) = (stream.unwrap(), of_server.read().unwrap().clone());
                thread::spawn(move || serve(&stream, &now.own));
            }
        });
        Self { name: name.to_owned(), port, loaded }
    }

    /// Loads these files, as a restart or a renewal does; connections that are open stay as they are.
    pub fn load(&self, chain: &str, key: &str, trust: &str) {
        *self.loaded.write().unwrap() = Loaded::of(chain, key, trust);
    }

    /// Calls another daemon, shows its certificate, and hears that it was accepted.
    ///
    /// # Errors
    /// What went wrong, at which end.
    pub fn call(&self, other: &Self, tls12: bool) -> Result<(), String> {
        let loaded = self.loaded.read().unwrap().clone();
        let config = if tls12 { &loaded.tls12 } else { &loaded.own };
        let failed = |why: String| {
            format!("{} to {}{}: {why}", self.name, other.name, if tls12 { " (1.2)" } else { "" })
        };
        let stream = TcpStream::connect(("127.0.0.1", other.port)).map_err(|e| failed(e.to_string()))?;
        call(&stream, config).map_err(failed)
    }
}

fn serve(stream: &TcpStream, config: &Config) {
    let mut pair = TestPair::from_configs(config, config);
    let wire = |pair: &TestPair| carry(stream, &pair.io.server_tx_stream, &pair.io.client_tx_stream);
    let begun = Instant::now();
    while begun.elapsed() < WAIT {
        match pair.server.poll_negotiate().map(|done| done.is_ok()) {
            Poll::Ready(true) => break,
            // s2n says nothing and hangs up only after a while, lest its time tell anything (blinding).
            Poll::Ready(false) => return thread::sleep(WAIT),
            Poll::Pending if wire(&pair).is_err() => return,
            Poll::Pending => {}
        }
    }
    let mut heard = [0];
    while begun.elapsed() < WAIT {
        match pair.server.poll_recv(&mut heard).map(|heard| heard.is_ok_and(|length| length == 1)) {
            Poll::Ready(true) => break,
            Poll::Ready(false) => return,
            Poll::Pending if wire(&pair).is_err() => return,
            Poll::Pending => {}
        }
    }
    let _ = pair.server.poll_send(&heard);
    let _ = flush(stream, &pair.io.server_tx_stream);
}

/// Under TLS 1.3 a client is done before its certificate was judged: only an answer says that it was accepted.
fn call(stream: &TcpStream, config: &Config) -> Result<(), String> {
    let mut pair = TestPair::from_configs(config, config);
    let wire = |pair: &TestPair| carry(stream, &pair.io.client_tx_stream, &pair.io.server_tx_stream);
    let begun = Instant::now();
    loop {
        match pair.client.poll_negotiate().map(|done| done.map(drop).map_err(|e| e.name().to_owned())) {
            Poll::Ready(done) => break done?,
            Poll::Pending => wire(&pair)?,
        }
        within(begun)?;
    }
    let _ = pair.client.poll_send(b"x");
    let mut heard = [0];
    loop {
        match pair.client.poll_recv(&mut heard).map(|heard| heard.map_err(|e| e.name().to_owned())) {
            Poll::Ready(heard) => return heard.map(drop),
            Poll::Pending => wire(&pair)?,
        }
        within(begun)?;
    }
}

fn within(begun: Instant) -> Result<(), String> {
    if begun.elapsed() < WAIT { Ok(()) } else { Err("no end of it".into()) }
}

/// Sends what one end has said, then waits for what the other says.
fn carry(
    mut stream: &TcpStream,
    said: &impl Deref<Target = RefCell<VecDeque<u8>>>,
    heard: &impl Deref<Target = RefCell<VecDeque<u8>>>,
) -> Result<(), String> {
    flush(stream, said)?;
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let mut bytes = [0; 16 * 1024];
    match stream.read(&mut bytes) {
        Ok(0) => Err("the other end hung up".into()),
        Ok(length) => {
            heard.borrow_mut().extend(&bytes[..length]);
            Ok(())
        }
        Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
        Err(e) => Err(format!("the other end says nothing: {e}")),
    }
}

fn flush(mut stream: &TcpStream, said: &impl Deref<Target = RefCell<VecDeque<u8>>>) -> Result<(), String> {
    let bytes: Vec<u8> = said.borrow_mut().drain(..).collect();
    stream.write_all(&bytes).map_err(|e| e.to_string())
}
