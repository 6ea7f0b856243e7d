//! The proof through slurmrestd.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::scene::Scene;

/// As slurmrestd answers: what slurmctld refuses is an error of 511 with Slurm's number for it.
struct Restd {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Its next client, and somebody who connects so that it stops waiting.
type Clients = Box<dyn FnMut() -> Box<dyn Stream> + Send>;
type Waker = Box<dyn Fn()>;

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Restd {
    /// On a port. `folder`: filled in later, once the scene is there.
    fn start(folder: Arc<Mutex<PathBuf>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients = Box::new(move || Box::new(listener.accept().unwrap().0) as Box<dyn Stream>);
        let waker = Box::new(move || drop(TcpStream::connect(address)));
        Self::serve(format!("http://{address}"), clients, waker, folder)
    }

    /// On a socket.
    fn start_at(socket: &Path, folder: Arc<Mutex<PathBuf>>) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let clients = Box::new(move || Box::new(listener.accept().unwrap().0) as Box<dyn Stream>);
        let path = socket.to_owned();
        let waker = Box::new(move || drop(UnixStream::connect(&path)));
        Self::serve(format!("unix:{}", socket.display()), clients, waker, folder)
    }

    fn serve(url: String, mut next: Clients, waker: Waker, folder: Arc<Mutex<PathBuf>>) -> Self {
        let (asked, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end) = (Arc::clone(&asked), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            loop {
                let stream = next();
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let folder = folder.lock().unwrap().clone();
                answer(stream, &folder, &log);
            }
        });
        Self { url, asked, ends, waker, thread: Some(thread) }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Restd {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        (self.waker)();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: Box<dyn Stream>, folder: &Path, asked: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(&mut stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let mut token = String::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("x-slurm-user-token")
        {
            token = value.trim().to_owned();
        }
    }
    asked.lock().unwrap().push(path.clone());
    let counts = |daemon: &str| {
        let mut command = Command::new(folder.join("bin/counts"));
        command.arg(folder.join(format!("{daemon}.loaded"))).arg(&token).status().unwrap().success()
    };
    let accepted = match path.as_str() {
        "/openapi/v3" => None,
        "/slurm/v0.0.45/diag/" => Some(counts("ctld")),
        "/slurmdb/v0.0.45/clusters/" => Some(counts("dbd")),
        other => panic!("{other}"),
    };
    let (status, body) = match accepted {
        None => (
            "200 OK",
            r#"{"openapi":"3.0.3","paths":{"/slurm/v0.0.9/diag/":{},"/slurm/v0.0.45/diag/":{"get":{}},
                "/slurmdb/v0.0.45/clusters/":{},"/slurmdb/v0.0.9/clusters/":{},"/slurm/v0.0.99/ping/":{}}}"#,
        ),
        Some(true) => ("200 OK", r#"{"errors":[],"warnings":[]}"#),
        Some(false) => (
            "511 Network Authentication Required",
            r#"{"errors":[{"description":"failed to get it","error_number":1007,"error":"Protocol authentication error"}]}"#,
        ),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn scene(dbd: bool) -> (Scene, Restd) {
    let folder = Arc::new(Mutex::new(PathBuf::new()));
    let restd = Restd::start(Arc::clone(&folder));
    let scene = Scene::with(dbd, &format!("restd_url = \"{}\"", restd.url));
    *folder.lock().unwrap() = scene.site.path("");
    (scene, restd)
}

#[test]
fn the_newest_interface_is_asked_for_both_daemons() {
    let (scene, restd) = scene(true);
    scene.rotated(&["--yes"]);
    let asked = restd.asked();
    for path in ["/openapi/v3", "/slurm/v0.0.45/diag/", "/slurmdb/v0.0.45/clusters/"] {
        assert!(asked.iter().any(|is| is == path), "{path}: {asked:?}");
    }
    assert_eq!(scene.loaded_bytes("dbd"), scene.key("jwt.key"));
}

/// Where a proxy stands before slurmrestd there is no port.
#[test]
fn slurmrestd_is_asked_through_its_socket() {
    let sockets = tempfile::tempdir().unwrap();
    let (socket, folder) = (sockets.path().join("slurmrestd.socket"), Arc::new(Mutex::new(PathBuf::new())));
    let restd = Restd::start_at(&socket, Arc::clone(&folder));
    let scene = Scene::with(true, &format!("restd_url = \"{}\"", restd.url));
    *folder.lock().unwrap() = scene.site.path("");
    scene.rotated(&["--yes"]);
    assert!(restd.asked().iter().any(|is| is == "/slurmdb/v0.0.45/clusters/"), "{:?}", restd.asked());
    drop(restd);
    std::fs::remove_file(&socket).unwrap();
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("slurmrestd at unix:") && said.contains("cannot be asked"), "{said}");
}

#[test]
fn what_slurmrestd_says_of_a_refusal_is_told_and_the_former_key_comes_back() {
    let (scene, _restd) = scene(false);
    let former = scene.key("jwt.key");
    scene.mood("ctld", "keeps_the_key");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("/openapi/v3") || said.contains("Protocol authentication error"), "{said}");
    assert_eq!(scene.key("jwt.key"), former);
    assert!(scene.left_over().is_empty());
}

#[test]
fn a_token_does_not_cross_a_network_unencrypted() {
    let scene = Scene::with(false, "restd_url = \"http://rest.example.org:6820\"");
    let said = scene.refused(&["--yes"]);
    assert!(said.contains("unencrypted") && said.contains("https://"), "{said}");
    assert_eq!(scene.events(), [""; 0]);
    // A socket has a path from the root on.
    let said = Scene::with(false, "restd_url = \"unix:slurmrestd.socket\"").refused(&["--yes"]);
    assert!(said.contains("unix:/PATH"), "{said}");
}
