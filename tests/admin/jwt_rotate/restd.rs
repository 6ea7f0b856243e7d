//! The proof through slurmrestd.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
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
    thread: Option<JoinHandle<()>>,
}

impl Restd {
    /// `folder`: filled in later, once the scene is there.
    fn start(folder: Arc<Mutex<PathBuf>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end) = (Arc::clone(&asked), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let folder = folder.lock().unwrap().clone();
                answer(stream.unwrap(), &folder, &log);
            }
        });
        Self { url, asked, ends, thread: Some(thread) }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Restd {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream, folder: &Path, asked: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
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
}
