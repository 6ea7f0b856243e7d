//! The ledger under the logrotate that comes with the package.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use support::programs::workspace;

use crate::nodes::{Controller, secret};
use crate::scratch::{Scratch, text};

/// The shipped file, for the state_dir and the SlurmUser of a scratch site.
fn config_of(site: &Scratch) -> String {
    let shipped = fs::read_to_string(workspace().join("packaging/logrotate/slurm-pki")).unwrap();
    let group = text(&Command::new("id").args(["-gn", &site.slurm_user.0]).output().unwrap().stdout);
    let config = shipped
        .replace("/var/lib/slurm-pki", &site.text_path("state"))
        .replace("su slurm slurm", &format!("su {} {}", site.slurm_user.0, group.trim()));
    assert!(config.contains(&site.text_path("state/ledger")) && !config.contains("su slurm slurm"));
    config
}

/// Rotates now, and says that it was months ago: the next rotation finds room beside it.
#[track_caller]
fn rotate(site: &Scratch, month: usize) {
    let output = logrotate(site);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for entry in fs::read_dir(site.path("state/ledger")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some((stem, date)) = name.split_once(".jsonl-")
            && !date.starts_with("1999")
        {
            assert_eq!(date.len(), 8, "{name}");
            fs::rename(&path, path.with_file_name(format!("{stem}.jsonl-1999{month:02}01"))).unwrap();
        }
    }
}

fn logrotate(site: &Scratch) -> Output {
    site.write("logrotate.conf", &config_of(site), 0o644);
    let mut command = Command::new("logrotate");
    // Distributions have it where only root looks.
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()));
    command.args(["--force", "--state"]).arg(site.path("logrotate.state")).arg(site.path("logrotate.conf"));
    command.output().unwrap()
}

#[test]
fn rotating_while_certificates_are_issued_loses_no_line_and_keeps_their_order() {
    const SIGNERS: usize = 4;
    const ROTATIONS: usize = 12;
    let site = Scratch::ready();
    let nodes: Vec<_> = (1..=SIGNERS).map(|n| format!("n{n}")).collect();
    site.done(&["node", "add", &format!("n[1-{SIGNERS}]")]);
    let controller = Controller::of(&site);
    let (stop, issued) = (AtomicBool::new(false), AtomicUsize::new(1));
    thread::scope(|scope| {
        for node in &nodes {
            let secret = secret(&site, node);
            let (controller, stop, issued) = (&controller, &stop, &issued);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    controller.signs(node, &secret);
                    issued.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // As many lines as there are signers may still have gone into the file before a rotation.
        let wait_for_lines_after = |before: usize| {
            while issued.load(Ordering::Relaxed) < before + 2 * SIGNERS {
                thread::yield_now();
            }
        };
        for month in 1..=ROTATIONS {
            let before = issued.load(Ordering::Relaxed);
            wait_for_lines_after(before);
            rotate(&site, month);
            // A reader in the middle of it sees at least all that was there before.
            let listed = site.json(&["ledger", "list"], "slurm-pki.ledger.list.v1");
            assert!(listed.as_array().unwrap().len() >= before, "after {month} rotations");
        }
        wait_for_lines_after(issued.load(Ordering::Relaxed));
        stop.store(true, Ordering::Relaxed);
    });
    let listed = site.json(&["ledger", "list"], "slurm-pki.ledger.list.v1");
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), issued.load(Ordering::Relaxed), "slurmctld's own, and those of the nodes");
    let serials: BTreeSet<_> = listed.iter().map(|line| line["serial"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), listed.len(), "a line twice");
    assert_eq!(listed, &lines_in_order(&site, ROTATIONS));
    assert_eq!(site.json(&["status"], "slurm-pki.status.v1")["ledger"]["files"], ROTATIONS + 1);
}

/// The lines as one file would have them, the oldest file first, by their time.
fn lines_in_order(site: &Scratch, rotations: usize) -> Vec<Value> {
    let folder = site.path("state/ledger");
    let current = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let current = current.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).last().unwrap();
    let dated = |month: usize| format!("{}-1999{month:02}01", current.display());
    let files = (1..=rotations).map(dated).chain([current.display().to_string()]);
    let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["time"].as_i64());
    lines
}

#[test]
fn the_file_after_a_rotation_is_slurm_users_alone() {
    let site = Scratch::ready();
    rotate(&site, 1);
    let jsonl = || {
        let files = fs::read_dir(site.path("state/ledger")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect::<Vec<_>>()
    };
    assert!(jsonl().is_empty(), "its next writer makes it");
    site.done(&["cert", "issue", "ctld"]);
    let made = jsonl();
    let name = made[0].file_name().unwrap().to_str().unwrap();
    site.assert_file(&format!("state/ledger/{name}"), 0o600, site.slurm_user.1);
    site.assert_file(&format!("state/ledger/{name}-19990101"), 0o600, site.slurm_user.1);
    rotate(&site, 2);
    rotate(&site, 3);
    assert_eq!(site.json(&["ledger", "list"], "slurm-pki.ledger.list.v1").as_array().unwrap().len(), 2);
}

#[test]
fn a_compressed_file_is_named_and_not_passed_over() {
    let site = Scratch::ready();
    rotate(&site, 1);
    let (_, said) = site.done(&["ledger", "list"]);
    assert_eq!(said, "");
    let folder = site.path("state/ledger");
    let rotated = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let rotated = rotated.filter(|path| path.to_str().unwrap().ends_with("-19990101")).last().unwrap();
    assert!(Command::new("gzip").arg(&rotated).status().unwrap().success());
    let (_, said) = site.done(&["ledger", "list"]);
    assert!(said.contains("-19990101.gz is compressed and not read"), "{said}");
    let ledger = &site.json(&["status"], "slurm-pki.status.v1")["ledger"];
    assert_eq!(ledger["compressed"].as_array().unwrap().len(), 1);
}
