//! slurmdbd on another host. The site's tool here is a few lines of shell that run the command on this very machine, with
//! that host's files in a folder of its own; its address is one of the loopback's.

use std::fs;

use crate::scene::{Scene, free_port, serial};

/// The other host.
const DB: &str = "127.0.0.2";

/// `tool HOST COMMAND`: the config's folder `etc` is, on that host, `hosts/HOST`.
const TOOL: &str = r##"#!/bin/sh
folder=${0%/*}
[ -d "$folder/hosts/$1" ] || { echo "ssh: connect to host $1 port 22: No route to host" >&2; exit 255; }
act() { eval "${2% | sh}" | sed "s#$folder/etc#$folder/hosts/$1#g" | sh; }
echo >> "$folder/calls"
# In "away": the call from which on the host is away, and whether that one is still done there.
if [ -e "$folder/away" ]; then
    read -r first still_done < "$folder/away"
    call=$(wc -l < "$folder/calls")
    [ "$call" -ne "$first" ] || [ "$still_done" = no ] || act "$@" > /dev/null
    [ "$call" -lt "$first" ] || { echo "connection to $1 closed" >&2; exit 255; }
fi
act "$@"
"##;

/// slurmctld here, slurmdbd there.
struct Sites {
    scene: Scene,
}

impl Sites {
    fn new(hosts: &str, section: &str) -> Self {
        let scene = Scene::new();
        let (site, port) = (&scene.site, free_port());
        site.write("tool", TOOL, 0o755);
        fs::create_dir_all(site.path("etc")).unwrap();
        fs::create_dir_all(site.path("hosts")).unwrap();
        let (tool, etc) = (site.text_path("tool"), site.text_path("etc"));
        site.write("slurmdbd.conf", &format!("TLSType=tls/s2n\nDbdPort={port}\n"), 0o644);
        site.write("dbd.at", &format!("{DB}:{port}"), 0o644);
        site.write("dbd.folder", &site.text_path(&format!("hosts/{DB}")), 0o644);
        let config = format!(
            "{}\n[fleet]\nrun = [\"{tool}\", \"{{host}}\", \"{{command}}\"]\ndbd = \"{hosts}\"\n",
            site.read("slurm-pki.toml")
        );
        site.write("slurm-pki.toml", &config, 0o644);
        let files = format!("cert = \"{etc}/dbd_cert.pem\"\nkey = \"{etc}/dbd_cert_key.pem\"\n");
        scene.section("dbd", &format!("{files}{section}"));
        let sites = Self { scene };
        sites.issue();
        sites.scene.restart("dbd");
        sites
    }

    /// A new pair on the other host, which keeps the one before it.
    fn issue(&self) {
        let site = &self.scene.site;
        let (etc, there) = (site.path("etc"), site.path(&format!("hosts/{DB}")));
        if there.exists() {
            self.scene.keep_as_known(&there, "dbd");
            fs::remove_dir(&etc).unwrap();
            fs::rename(&there, &etc).unwrap();
        }
        site.done(&["cert", "issue", "dbd", "--host", "db1"]);
        fs::rename(&etc, &there).unwrap();
        fs::create_dir(&etc).unwrap();
    }

    fn on_disk(&self) -> Option<String> {
        Some(serial(self.scene.site.read(&format!("hosts/{DB}/dbd_cert.pem")).as_bytes()))
    }

    fn serves(&self) -> Option<String> {
        self.scene.serves("dbd")
    }
}

#[test]
fn a_daemon_of_another_host_is_restarted_there_and_before_those_that_need_it() {
    let sites = Sites::new(DB, "");
    sites.issue();
    sites.scene.stage("ctld");
    let old = sites.serves();
    sites.scene.activate(&["--dry-run"]).done(&format!("slurmdbd on {DB}: would run "));
    assert_eq!(sites.serves(), old);
    sites.scene.activate(&[]).done(&format!("slurmdbd on {DB}: serves its new certificate"));
    assert_eq!(sites.scene.restarts(), ["dbd", "ctld"]);
    assert_eq!(sites.serves(), sites.on_disk());
    assert_ne!(sites.serves(), old);
}

#[test]
fn a_pair_here_of_a_daemon_that_runs_elsewhere_starts_none_here() {
    let sites = Sites::new(DB, "");
    sites.issue();
    sites.scene.site.done(&["cert", "issue", "dbd"]);
    let said = sites.scene.activate(&[]).done(&format!("slurmdbd: runs on {DB} and not on this host"));
    assert!(said.stderr.contains(&format!("slurmdbd on {DB}: serves its new certificate")), "{said:?}");
    assert_eq!(sites.scene.restarts(), ["dbd"], "once, and there");
}

#[test]
fn a_host_that_cannot_be_reached_is_a_failure_and_the_others_are_served() {
    let sites = Sites::new(&format!("{DB},db9"), "");
    sites.issue();
    let said = sites.scene.activate(&[]).failed("slurmdbd on db9 is not restarted");
    assert!(said.stderr.contains("No route to host"), "{said:?}");
    assert_eq!(sites.serves(), sites.on_disk());
}

#[test]
fn what_goes_wrong_on_another_host_is_undone_there_and_nobody_else_is_restarted() {
    let sites = Sites::new(DB, "wait = \"6s\"");
    let old = sites.serves();
    sites.issue();
    let (ctld, _) = sites.scene.stage("ctld");
    // stage() has kept slurmctld's pair; the one to know is slurmdbd's.
    let former = sites.scene.site.path(&format!("hosts/{DB}/.slurm-pki/dbd/1"));
    fs::copy(former.join("cert.pem"), sites.scene.site.path("known.pem")).unwrap();
    sites.scene.mood("dbd", "dies_with_a_new_one");
    let said = sites.scene.activate(&[]).failed("the former pair is back and it works with that one again");
    assert!(said.stderr.contains(&format!("journalctl -u slurmdbd on {DB}")), "{said:?}");
    assert!(said.stderr.contains("not restarted, since one before went wrong: slurmctld"), "{said:?}");
    assert_eq!((sites.serves(), sites.on_disk()), (old.clone(), old));
    assert_eq!(sites.scene.serves("ctld"), Some(ctld));
}

/// Before a call it is away, or the call is done and nobody hears of it.
#[test]
fn a_host_that_goes_away_in_any_phase_is_named_and_the_next_run_finds_its_work_done_or_does_it() {
    let sites = Sites::new(DB, "");
    let site = &sites.scene.site;
    sites.issue();
    site.write("calls", "", 0o644);
    sites.scene.activate(&[]).done(&format!("slurmdbd on {DB}: serves its new certificate"));
    let calls = site.read("calls").lines().count();
    assert!(calls > 1, "a look and a restart");
    let (ctld, _) = sites.scene.stage("ctld");
    for call in 1..=calls {
        for still_done in ["no", "yes"] {
            sites.issue();
            site.write("calls", "", 0o644);
            site.write("away", &format!("{call} {still_done}\n"), 0o644);
            let said = sites.scene.activate(&["dbd"]).failed(&format!("connection to {DB} closed"));
            assert!(said.stderr.contains(&format!("slurmdbd on {DB}")), "{call} {still_done}: {said:?}");
            assert!(call > 1 || said.stderr.contains("not reached, run this again when it is"), "{said:?}");
            fs::remove_file(site.path("away")).unwrap();
            sites.scene.activate(&["dbd"]).done("");
            assert_eq!(sites.serves(), sites.on_disk(), "{call} {still_done}: {said:?}");
        }
    }
    assert_eq!(sites.scene.serves("ctld"), Some(ctld), "nobody asked for that");
}

/// A connection of the admin's that is cut, or `| grep -q`: the next daemon has its turn, and the way back is gone to its end.
#[test]
fn whoever_does_not_read_any_more_keeps_nothing_from_its_end() {
    let sites = Sites::new(DB, "");
    let (_, ctld) = sites.scene.stage("ctld");
    sites.issue();
    assert_eq!(sites.scene.unread(&[]), Some(0));
    let before = sites.on_disk();
    assert_eq!((sites.serves(), sites.scene.serves("ctld")), (before.clone(), Some(ctld)));
    sites.issue();
    assert_ne!(sites.on_disk(), before);
    sites.scene.mood("dbd", "dies_with_a_new_one");
    assert_eq!(sites.scene.unread(&[]), Some(1));
    assert_eq!((sites.serves(), sites.on_disk()), (before.clone(), before));
}

/// Ctrl-C in the middle of a restart: that one is brought to its end, or back, and no further one begins.
#[test]
fn an_interruption_leaves_no_daemon_half_way() {
    let sites = Sites::new(DB, "");
    sites.issue();
    let (ctld, _) = sites.scene.stage("ctld");
    sites.scene.mood("dbd", "takes_its_time");
    let said = sites.scene.activate_interrupted().failed("since this command was interrupted: slurmctld");
    assert!(said.stderr.contains(&format!("slurmdbd on {DB}: serves its new certificate")), "{said:?}");
    assert_eq!((sites.serves(), sites.scene.restarts().len()), (sites.on_disk(), 1));
    assert_eq!(sites.scene.serves("ctld"), Some(ctld));
    sites.scene.mood("dbd", "");
    sites.scene.mood("ctld", "takes_its_time");
    fs::remove_file(sites.scene.site.path("restarts")).unwrap();
    sites.scene.activate_interrupted().done("slurmctld: serves its new certificate");

    let scene = Scene::with("", "wait = \"6s\"");
    let (old, _) = scene.stage("ctld");
    scene.mood("ctld", "takes_its_time_and_dies_with_a_new_one");
    let said =
        scene.activate_interrupted().failed("the former pair is back and it works with that one again");
    assert_eq!((scene.serves("ctld"), scene.on_disk("ctld")), (Some(old.clone()), old), "{said:?}");
}

#[test]
fn a_login_hosts_sackd_cannot_be_asked_and_is_restarted_once_for_each_certificate() {
    let scene = Scene::new();
    let site = &scene.site;
    site.write("sackd.at", &format!("127.0.0.1:{}", free_port()), 0o644);
    scene.section("sackd", "");
    let pair = || {
        site.done(&["cert", "issue", "sackd", "login1", "--out", &site.text_path("pairs"), "--force"]);
        for ending in ["cert.pem", "cert_key.pem"] {
            let from = site.path(&format!("pairs/login1/sackd_{ending}"));
            fs::copy(from, site.path(&format!("sackd_{ending}"))).unwrap();
        }
    };
    for restarts in [1, 2] {
        pair();
        scene.activate(&[]).done("sackd: restarted; it has no port");
        scene.activate(&[]).done("sackd: was restarted with this certificate before");
        assert_eq!(scene.restarts(), vec!["sackd"; restarts]);
    }
}
