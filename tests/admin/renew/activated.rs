//! Renewal that goes on to the daemon: openssl's TLS server in the place of slurmctld.

use std::fs;

use crate::pairs::{of_another_ca, put};
use crate::scene::{Said, Scene};
use crate::site::hook;
use crate::week;

fn renew(scene: &Scene, args: &[&str]) -> Said {
    Said::of(&scene.site.run(&[&["cert", "renew"], args].concat()))
}

fn with_a_log() -> Scene {
    let scene = Scene::new();
    let log = scene.site.text_path("log");
    hook(&scene.site, "10-log", &format!("echo $SLURM_PKI_EVENT $SLURM_PKI_DAEMON >> {log}"));
    scene
}

#[test]
fn by_default_the_daemon_is_left_alone() {
    let scene = with_a_log();
    let old = scene.on_disk("ctld");
    renew(&scene, &["--force"]).done("it is loaded at the next start, --activate restarts the daemon");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    assert_eq!(scene.site.read("log"), "renewed ctld\n");
}

#[test]
fn activate_restarts_it_once_and_the_hooks_hear_of_both() {
    let scene = with_a_log();
    renew(&scene, &["--force", "--activate"]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(scene.on_disk("ctld")));
    assert_eq!(scene.site.read("log"), "renewed ctld\nactivated ctld\n");
    renew(&scene, &["--activate"]).done("serves its certificate already");
    assert_eq!(scene.restarts(), ["ctld"]);
}

#[test]
fn what_an_earlier_run_left_waiting_is_activated_though_nothing_is_due() {
    let scene = Scene::new();
    renew(&scene, &["--force"]).done("renewed");
    let waiting = scene.on_disk("ctld");
    renew(&scene, &["--activate"]).done("slurmctld: not due");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(waiting.clone()), waiting));
}

/// As the timer runs it: what is renewed today waits for its window, and the first run inside it restarts.
#[test]
fn outside_its_window_a_new_pair_waits_whoever_asks_for_a_restart() {
    let scene = Scene::new();
    let old = scene.on_disk("ctld");
    let config = scene.site.read("slurm-pki.toml");
    let with = |more: &str| {
        let config = config.replace("[daemons.ctld]\n", &format!("[daemons.ctld]\n{more}\n"));
        scene.site.write("slurm-pki.toml", &config, 0o644);
    };
    // Two days from now is another day, whenever midnight comes.
    let window = format!("window = \"{} 02:00-04:00\"", week::DAYS[(week::weekday() + 2) % 7]);
    with(&format!("activate = true\n{window}"));
    renew(&scene, &["--force"]).done("waits for its window");
    let new = scene.on_disk("ctld");
    assert_ne!(new, old);
    renew(&scene, &[]).done("waits for its window");
    with(&window);
    renew(&scene, &["--activate"]).done("waits for its window");
    assert_eq!((scene.serves("ctld"), scene.restarts().len()), (Some(old), 0));
    with("activate = true\nwindow = \"00:00-24:00\"");
    renew(&scene, &[]).done("serves its new certificate");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(new.clone()), new));
    renew(&scene, &[]).done("serves its certificate already");
    assert_eq!(scene.restarts(), ["ctld"]);
}

#[test]
fn a_dry_run_says_what_would_be_restarted_and_how() {
    let scene = with_a_log();
    renew(&scene, &["--force"]).done("renewed");
    let before = scene.site.everything();
    let said = renew(&scene, &["--activate", "--dry-run"]).done("/restart ctld");
    assert!(said.stdout.contains("would run hook "), "{said:?}");
    assert_eq!(scene.site.everything(), before);
}

/// Files that others made stay files on the way back too.
#[test]
fn a_daemon_that_dies_with_the_new_pair_gets_the_old_files_back_in_place() {
    let scene = with_a_log();
    for name in ["ctld_cert.pem", "ctld_cert_key.pem"] {
        let contents = scene.site.read(name);
        fs::remove_file(scene.site.path(name)).unwrap();
        scene.site.write(name, &contents, 0o600);
    }
    scene.keep_as_known(&scene.site.path(""), "ctld");
    scene.mood("ctld", "dies_with_a_new_one");
    let old = scene.on_disk("ctld");
    renew(&scene, &["--force", "--activate"]).failed("slurmctld");
    assert_eq!((scene.on_disk("ctld"), scene.serves("ctld")), (old.clone(), Some(old)));
    for name in ["ctld_cert.pem", "ctld_cert_key.pem"] {
        assert!(scene.site.path(name).symlink_metadata().unwrap().is_file(), "{name}");
    }
    scene.site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert_eq!(scene.site.read("log"), "renewed ctld\nfailed ctld\n");
}

/// Nothing of it is remembered, since the cause may be mended by then: what is due is due.
#[test]
fn what_a_daemon_did_not_come_up_with_is_followed_by_another_at_the_next_run() {
    let scene = Scene::new();
    put(&scene.site, &of_another_ca());
    scene.restart("ctld");
    scene.keep_as_known(&scene.site.path(""), "ctld");
    let due = scene.on_disk("ctld");
    scene.mood("ctld", "dies_with_a_new_one");
    renew(&scene, &["--activate"]).failed("the former pair is back");
    assert_eq!((scene.on_disk("ctld"), scene.serves("ctld")), (due.clone(), Some(due)));
    assert_eq!(scene.restarts(), ["ctld", "ctld"]);
    scene.mood("ctld", "");
    renew(&scene, &["--activate"]).done("serves its new certificate");
    assert_eq!(scene.serves("ctld"), Some(scene.on_disk("ctld")));
    assert_eq!(scene.restarts(), ["ctld", "ctld", "ctld"]);
}
