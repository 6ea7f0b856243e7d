//! A daemon, or its command, that does not do what it should.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::scene::Scene;
use crate::scratch::caller;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A user who is not SlurmUser.
const STRANGER: u32 = 65_533;

#[test]
fn a_daemon_that_dies_with_its_new_pair_gets_the_former_one_back() {
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "dies_with_a_new_one");
    let said =
        scene.activate(&[]).failed("slurmctld did not come to serve its new certificate: nobody answers");
    assert!(said.stderr.contains("the former pair is back and it works with that one again"), "{said:?}");
    assert!(said.stderr.contains("journalctl -u slurmctld"), "{said:?}");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(old.clone()), old));
    assert_eq!(scene.restarts(), ["ctld", "ctld"]);
    scene.site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn a_daemon_that_goes_on_serving_the_old_certificate_has_the_old_pair_on_disk_again() {
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "serves_the_old_one");
    let said = scene.activate(&[]).failed("it serves another certificate");
    assert!(said.stderr.contains(&old) && said.stderr.contains("works with that one again"), "{said:?}");
    assert_eq!(scene.on_disk("ctld"), old);
}

#[test]
fn a_daemon_that_serves_a_certificate_of_somebody_elses_is_told_to_be_seen_to_now() {
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    scene.make_third();
    scene.mood("ctld", "serves_a_third");
    let said = scene.activate(&[]).failed("it serves another certificate");
    assert!(said.stderr.contains("it does not work with that one either"), "{said:?}");
    assert!(said.stderr.contains("see to it now"), "{said:?}");
    assert_eq!(scene.on_disk("ctld"), old);
}

#[test]
fn a_daemon_that_never_comes_back_is_told_to_be_seen_to_now() {
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "dies");
    let said = scene.activate(&[]).failed("it does not work with that one either");
    assert!(said.stderr.contains("see to it now"), "{said:?}");
    assert_eq!(scene.on_disk("ctld"), old);
}

#[test]
fn a_command_that_hangs_is_killed_and_the_daemon_keeps_its_pair() {
    let scene = Scene::with("", "wait = \"1s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "hangs");
    let begin = Instant::now();
    let said = scene.activate(&[]).failed("was killed: it took longer than 1s");
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert!(said.stderr.contains("works with that one again"), "{said:?}");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(old.clone()), old));
}

#[test]
fn a_command_that_fails_says_why_and_the_daemon_keeps_its_pair() {
    let scene = Scene::with("", "wait = \"1s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "fails");
    let said = scene.activate(&[]).failed("exit status: 5: Failed to restart: Unit is masked.");
    assert!(said.stderr.contains("works with that one again"), "{said:?}");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(old.clone()), old));
}

#[test]
fn a_daemon_that_is_down_is_started_only_by_name() {
    let scene = Scene::new();
    let (_, new) = scene.stage("ctld");
    scene.stop("ctld");
    let said = scene.activate(&[]).failed("slurmctld is down, so it is not restarted");
    assert!(said.stderr.contains("cert activate ctld"), "{said:?}");
    assert_eq!(scene.restarts().len(), 0);
    scene.activate(&["ctld"]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}

#[test]
fn a_daemon_that_serves_its_new_pair_once_and_dies_gets_the_former_one_back() {
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "flaps_with_a_new_one");
    let said = scene.activate(&[]).failed("slurmctld did not come to serve its new certificate");
    assert!(said.stderr.contains("works with that one again"), "{said:?}");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(old.clone()), old));
}

/// Files with which a user who is not SlurmUser can answer in a daemon's place.
fn intruder(scene: &Scene) -> TempDir {
    scene.make_third();
    let folder = tempfile::tempdir().unwrap();
    for name in ["third.pem", "third_key.pem"] {
        let path = folder.path().join(name);
        fs::copy(scene.site.path(name), &path).unwrap();
        chown(&path, Some(STRANGER), None).unwrap();
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Waits until somebody's server answers, as long as it is there.
#[track_caller]
fn wait_for(server: &mut Child, answers: impl Fn() -> bool) {
    let begun = Instant::now();
    while !answers() {
        if let Some(status) = server.try_wait().unwrap() {
            panic!("a server ended with {status}");
        }
        if begun.elapsed() > PATIENCE {
            let _ = server.kill();
            let _ = server.wait();
            panic!("a server does not answer");
        }
        sleep(Duration::from_millis(50));
    }
}

/// Slurm's ports are anybody's while the daemon is down.
#[test]
fn a_user_who_answers_in_its_place_does_not_have_a_daemon_started() {
    if caller() != 0 {
        return;
    }
    let scene = Scene::new();
    let (_, new) = scene.stage("ctld");
    scene.stop("ctld");
    let folder = intruder(&scene);
    let mut server = Command::new("openssl")
        .args(["s_server", "-www", "-quiet", "-cert", "third.pem", "-key", "third_key.pem", "-accept"])
        .arg(scene.site.read("ctld.at"))
        .current_dir(folder.path())
        .uid(STRANGER)
        .spawn()
        .unwrap();
    wait_for(&mut server, || scene.serves("ctld").is_some());
    let said = scene.activate(&[]);
    server.kill().unwrap();
    server.wait().unwrap();
    said.failed("who answers at its port is not the daemon, but a program of");
    assert_eq!((scene.restarts().len(), scene.on_disk("ctld")), (0, new));
}

/// Slurm listens on IPv4; localhost is the other kind too, where the port stays free for anybody.
#[test]
fn a_user_at_the_same_port_of_ipv6_changes_nothing() {
    if caller() != 0 || TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let scene = Scene::new();
    let (_, new) = scene.stage("ctld");
    let folder = intruder(&scene);
    let at = scene.site.read("ctld.at").replace("127.0.0.1", "[::1]");
    let mut server = Command::new("openssl")
        .args(["s_server", "-www", "-quiet", "-cert", "third.pem", "-key", "third_key.pem", "-accept", &at])
        .current_dir(folder.path())
        .uid(STRANGER)
        .spawn()
        .unwrap();
    wait_for(&mut server, || TcpStream::connect(&at).is_ok());
    let said = scene.activate(&[]);
    server.kill().unwrap();
    server.wait().unwrap();
    said.done("slurmctld: serves its new certificate");
    assert_eq!((scene.restarts().len(), scene.serves("ctld")), (1, Some(new)));
}

/// He need not speak TLS to keep a daemon from its port.
#[test]
fn a_user_who_answers_in_its_place_in_other_words_is_named_too() {
    if caller() != 0 {
        return;
    }
    let scene = Scene::new();
    scene.stage("ctld");
    scene.stop("ctld");
    let (host, port) =
        scene.site.read("ctld.at").split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).unwrap();
    let mut server = Command::new("python3")
        .args(["-m", "http.server", "--bind", &host, &port, "--directory", "/usr/share/doc"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .uid(STRANGER)
        .spawn()
        .unwrap();
    let at = scene.site.read("ctld.at");
    wait_for(&mut server, || TcpStream::connect(&at).is_ok());
    let said = scene.activate(&["ctld"]);
    server.kill().unwrap();
    server.wait().unwrap();
    said.failed("who answers at its port is not the daemon, but a program of");
    assert_eq!(scene.restarts().len(), 0);
}

#[test]
fn a_user_who_takes_the_port_while_the_daemon_restarts_is_named() {
    if caller() != 0 {
        return;
    }
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    let folder = intruder(&scene);
    let serve = "openssl s_server -www -quiet -cert third.pem -key third_key.pem";
    let script = format!(
        "#!/bin/sh\nat=$(cat \"$1.at\")\n(cd {}; exec setpriv --reuid={STRANGER} --clear-groups {serve} -accept \"$at\" \
         </dev/null >/dev/null 2>&1) &\necho $! > intruder.pid\n\
         tries=0\nuntil openssl s_client -connect \"$at\" </dev/null >/dev/null 2>&1; do\n\
         tries=$((tries + 1))\n[ $tries -lt 400 ] && kill -0 \"$(cat intruder.pid)\" || exit 1\nsleep 0.05\ndone\n",
        folder.path().display()
    );
    scene.site.write("intrude", &script, 0o755);
    scene.mood("ctld", "loses_its_port");
    let said = scene.activate(&[]).failed("slurmctld did not come to serve its new certificate");
    assert!(said.stderr.contains("took its port, so that it cannot start"), "{said:?}");
    assert!(said.stderr.contains("ss -ltnp") && said.stderr.contains("cert activate ctld"), "{said:?}");
    assert_eq!(scene.on_disk("ctld"), old);
}

#[test]
fn nothing_is_restarted_with_files_that_it_would_not_load_or_peers_would_not_accept() {
    let scene = Scene::new();
    let (old, _) = scene.stage("ctld");
    let current = fs::read_link(scene.site.path(".slurm-pki/ctld/current")).unwrap();
    let key = scene.site.path(".slurm-pki/ctld").join(current).join("key.pem");
    let good = fs::read(&key).unwrap();
    fs::copy(scene.site.path("known_key.pem"), &key).unwrap();
    scene.activate(&[]).failed("slurmctld is not restarted");
    fs::write(&key, good).unwrap();
    let ca = scene.site.read("ca_cert.pem");
    scene.site.write("ca_cert.pem", &format!("{ca}text"), 0o644);
    scene.activate(&[]).failed("slurmctld is not restarted");
    let other = Scene::new();
    scene.site.write("ca_cert.pem", &other.site.read("ca_cert.pem"), 0o644);
    scene.activate(&[]).failed("slurmctld is not restarted");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
}

#[test]
fn a_first_pair_has_none_before_it_and_that_is_said() {
    let scene = Scene::with("", "wait = \"6s\"");
    let (old, new) = scene.stage("ctld");
    fs::remove_dir_all(scene.site.path(".slurm-pki/ctld/1")).unwrap();
    scene.mood("ctld", "serves_the_old_one");
    scene.activate(&[]).failed("the pair before it cannot be put back: there is no former pair");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(old), new));
}
