//! What daemons serve, seen on a TLS server that stands for slurmctld.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use support::site::now;

use crate::healthy::{DAY, Healthy, OldCa};

/// A user who is nobody's.
const STRANGER: u32 = 12345;

/// `openssl s_server` with a pair, until it is dropped.
struct Server(Child);

impl Server {
    fn start(well: &Healthy, port: u16, cert: &str, key: &str) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", &well.site.text_path(cert), "-key", &well.site.text_path(key)]);
        Self::of(command, port)
    }

    fn of(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().unwrap());
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("openssl s_server does not listen");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A site whose slurmctld answers at a port of this host that was free a moment ago.
fn at_a_port() -> (Healthy, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let well = Healthy::new();
    let config = well.site.read("slurm-pki.toml");
    let probe = format!("{config}\n[daemons.ctld]\nprobe = \"127.0.0.1:{port}\"\n");
    well.site.write("slurm-pki.toml", &probe, 0o644);
    (well, port)
}

#[test]
fn a_daemon_that_serves_what_is_on_disk_is_well_and_one_that_is_down_is_told() {
    let (well, port) = at_a_port();
    let look = well.look(&[]);
    assert!(
        look.exit == 0 && look.unseen().contains("what slurmctld serves: nobody answers"),
        "{}",
        look.data
    );
    let _server = Server::start(&well, port, "ctld_cert.pem", "ctld_cert_key.pem");
    let look = well.look(&[]);
    assert!(look.bad().is_empty() && look.has("served"), "{}", look.data);
}

#[test]
fn a_daemon_that_still_serves_another_certificate_is_found_and_worse_near_its_end() {
    let (well, port) = at_a_port();
    {
        let _server = Server::start(&well, port, "ctld_cert.pem", "ctld_cert_key.pem");
        well.site.done(&["cert", "issue", "ctld", "--force"]);
        let look = well.finds("served", "warning");
        assert!(look.bad()[0].2.contains("still serves another certificate"), "{:?}", look.bad());
    }
    let (cert, key) = OldCa::new().issue("slurmctld", now().minus(99 * DAY), 100 * DAY);
    well.site.write("old.pem", &cert, 0o644);
    well.site.write("old.key", &crate::scratch::text(key.to_pem().expose()), 0o600);
    let _server = Server::start(&well, port, "old.pem", "old.key");
    well.finds("served", "critical");
}

#[test]
fn a_user_who_answers_in_its_place_is_named_and_what_he_shows_says_nothing() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let (well, port) = at_a_port();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (cert, key) = OldCa::new().issue("slurmctld", now().minus(DAY), 900 * DAY);
    std::fs::write(folder.path().join("cert.pem"), cert).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.to_pem().expose()).unwrap();
    for name in ["cert.pem", "key.pem"] {
        chown(folder.path().join(name), Some(STRANGER), None).unwrap();
    }
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert", "cert.pem"]);
    command.args(["-key", "key.pem"]).current_dir(folder.path()).uid(STRANGER);
    let _server = Server::of(command, port);
    let look = well.finds("served", "critical");
    assert!(look.bad()[0].2.contains("is not slurmctld, but a program of"), "{:?}", look.bad());
}

#[test]
fn a_daemon_that_does_not_speak_tls_is_found() {
    let (well, port) = at_a_port();
    let plain = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = plain.accept().unwrap();
        let _ = stream.read(&mut [0; 64]);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    well.finds("served", "critical");
    answering.join().unwrap();
}
