//! Servers that stand for Slurm's daemons: they load their files when they start, as those do.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// An `openssl s_server` that asks for a certificate, and refuses one that it cannot verify.
pub(crate) struct Server {
    child: Child,
    _files: TempDir,
}

impl Server {
    /// On this port, with a certificate, its chain and its key, and the bundle that it trusts.
    pub(crate) fn start(port: u16, chain: &str, key: &str, trust: &str) -> Self {
        Self::start_at("127.0.0.1", port, chain, key, trust)
    }

    /// The same at another address of this host.
    pub(crate) fn start_at(ip: &str, port: u16, chain: &str, key: &str, trust: &str) -> Self {
        Self::start_with((ip, port), chain, key, trust, &["-verify", "7", "-verify_return_error"])
    }

    /// One that never asks for a certificate.
    pub(crate) fn that_does_not_ask(port: u16, chain: &str, key: &str) -> Self {
        Self::start_with(("127.0.0.1", port), chain, key, "", &[])
    }

    fn start_with(at: (&str, u16), chain: &str, key: &str, trust: &str, more: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        for (name, text) in [("chain", chain), ("key", key), ("trust", trust)] {
            std::fs::write(files.path().join(name), text).unwrap();
        }
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("{}:{}", at.0, at.1)]);
        command.args(["-cert", "chain", "-cert_chain", "chain", "-key", "key", "-no-CApath", "-no-CAstore"]);
        if !trust.is_empty() {
            command.args(["-CAfile", "trust"]);
        }
        command.args(more).current_dir(files.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Self { child, _files: files };
        wait_for(at);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(at: (&str, u16)) {
    for _ in 0..500 {
        if TcpStream::connect(at).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("no server at {at:?}");
}

/// Answers whoever connects with this text and nothing else; an empty one: never.
pub(crate) fn answering(port: u16, text: &'static str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut heard = [0; 512];
                while let Ok(1..) = stream.read(&mut heard) {
                    let _ = stream.write_all(text.as_bytes());
                }
            });
        }
    });
}
