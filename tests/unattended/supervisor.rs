//! Holds a daemon's listening socket, and starts and ends the server behind it, as systemd does for a socket unit.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::site::Site;

/// How often a request is looked for.
const NAP: Duration = Duration::from_millis(5);

/// One daemon's socket and server.
#[derive(Debug)]
pub(crate) struct Supervisor {
    listener: TcpListener,
    server: Child,
    files: [PathBuf; 4],
    request: PathBuf,
    restarts: u32,
}

impl Supervisor {
    /// Opens the socket and starts the server.
    pub(crate) fn start(site: &Site, daemon: &str) -> Self {
        let port = site.port(daemon);
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let files =
            ["_cert.pem", "_cert_key.pem", ".stop"].map(|ending| site.path(&format!("{daemon}{ending}")));
        let [cert, key, stop] = files;
        let files = [cert, key, stop, site.path("ca_cert.pem")];
        let server = server(&listener, &files);
        Self { listener, server, files, request: site.path(&format!("{daemon}.request")), restarts: 0 }
    }

    /// Restarts the server whenever it is asked to, until it is over. How often that was. The server runs on: a client may be
    /// in the middle of its last handshake.
    pub(crate) fn obey_until(&mut self, over: &AtomicBool) -> u32 {
        while !over.load(Ordering::Relaxed) {
            if self.request.exists() {
                self.stop();
                self.server = server(&self.listener, &self.files);
                self.restarts += 1;
                fs::remove_file(&self.request).unwrap();
            }
            sleep(NAP);
        }
        self.restarts
    }

    /// It ends what it has begun and takes nothing new, as a daemon does on SIGTERM.
    fn stop(&mut self) {
        let [_, _, stop, _] = &self.files;
        fs::write(stop, "").unwrap();
        let status = self.server.wait().unwrap();
        assert!(status.success(), "a server ended with {status}");
        fs::remove_file(stop).unwrap();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn server(listener: &TcpListener, files: &[PathBuf; 4]) -> Child {
    let socket = OwnedFd::from(listener.try_clone().unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("a-server").args(files).stdin(Stdio::from(socket)).spawn().unwrap()
}
