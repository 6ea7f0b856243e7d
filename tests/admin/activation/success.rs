//! When all goes well, or there is nothing to do.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use crate::scene::{Said, Scene};
use crate::week;

#[test]
fn a_daemon_is_restarted_once_and_shown_to_serve_its_new_certificate() {
    let scene = Scene::new();
    let (old, new) = scene.stage("ctld");
    assert_eq!(scene.serves("ctld"), Some(old));
    let said = scene.activate(&[]).done("slurmctld: serves its new certificate (TLS 1.3, TLS13_AES_");
    assert!(said.stderr.contains(&new), "{said:?}");
    assert_eq!(scene.serves("ctld"), Some(new));
    scene.activate(&[]).done("serves its certificate already");
    assert_eq!(scene.restarts(), ["ctld"]);
}

#[test]
fn a_daemon_that_starts_slowly_is_waited_for() {
    let scene = Scene::new();
    let (_, new) = scene.stage("ctld");
    scene.mood("ctld", "slow");
    scene.activate(&[]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}

#[test]
fn a_dry_run_says_who_would_be_restarted_and_restarts_nobody() {
    let scene = Scene::new();
    let (old, _) = scene.stage("ctld");
    let before = scene.site.everything();
    let said = scene.activate(&["--dry-run"]).done("slurmctld: would run ");
    assert!(said.stdout.contains("/restart ctld"), "{said:?}");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    assert_eq!(scene.site.everything(), before);
}

#[test]
fn two_at_once_restart_it_once() {
    let scene = Scene::new();
    scene.stage("ctld");
    let start = || scene.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for child in [start(), start()] {
        Said::of(&child.wait_with_output().unwrap()).done("serves its");
    }
    assert_eq!(scene.restarts(), ["ctld"]);
}

#[test]
fn outside_its_window_a_daemon_is_left_alone_until_it_is_meant() {
    let scene = Scene::new();
    let (old, new) = scene.stage("ctld");
    let today = week::weekday();
    let config = scene.site.read("slurm-pki.toml");
    let with = |window: &str| {
        let config = config.replace("[daemons.ctld]\n", &format!("[daemons.ctld]\nwindow = \"{window}\"\n"));
        scene.site.write("slurm-pki.toml", &config, 0o644);
    };
    // Two days from now is another day, whenever midnight comes.
    with(&format!("{} 02:00-04:00", week::DAYS[(today + 2) % 7]));
    scene.activate(&[]).done("waits for its window");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    scene.activate(&["--now"]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
    let (_, new) = scene.stage("ctld");
    with("00:00-24:00");
    scene.activate(&[]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(new));
}

#[test]
fn a_window_that_means_nothing_is_refused_by_every_command() {
    let scene = Scene::with("", "");
    let config = scene
        .site
        .read("slurm-pki.toml")
        .replace("[daemons.ctld]\n", "[daemons.ctld]\nwindow = \"Sunday\"\n");
    scene.site.write("slurm-pki.toml", &config, 0o644);
    assert!(scene.site.refused(&["ca", "show"]).contains("window"));
}

#[test]
fn where_tls_is_off_there_is_nothing_to_activate() {
    let scene = Scene::new();
    scene.stage("ctld");
    let conf = scene.site.read("slurm.conf").replace("TLSType=tls/s2n\n", "");
    scene.site.write("slurm.conf", &conf, 0o644);
    scene.activate(&[]).done("nothing to activate");
    assert_eq!(scene.restarts().len(), 0);
}

#[test]
fn a_daemon_that_does_not_speak_tls_yet_is_not_cut_off_from_the_others() {
    let scene = Scene::new();
    scene.stage("ctld");
    scene.stop("ctld");
    let plain = TcpListener::bind(scene.site.read("ctld.at")).unwrap();
    thread::spawn(move || {
        for stream in plain.incoming().map_while(Result::ok) {
            let _ = (&stream).write_all(b"hello\n");
        }
    });
    scene.activate(&[]).done("does not speak TLS");
    assert_eq!(scene.restarts().len(), 0);
}
