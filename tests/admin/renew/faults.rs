//! What goes wrong around a renewal.

use std::os::unix::process::ExitStatusExt as _;
use std::thread::sleep;
use std::time::Duration;

use support::programs::program;
use support::strace::{self, Fault};

use crate::scratch::{changes, text};
use crate::site::{assert_loads, due, hook};

const RENEW: [&str; 2] = ["cert", "renew"];

/// Killed in place of every change: a daemon that starts just then finds a certificate with its own key.
#[test]
fn whatever_kills_it_a_whole_pair_is_there() {
    let site = due();
    let (calls, output) = strace::trace(&site.bare(), &program("slurm-pki"), &RENEW);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() > 15, "{} changes", changes.len());
    for call in changes {
        let site = due();
        let old = site.read("ctld_cert.pem");
        let output = strace::strike(&site.bare(), &program("slurm-pki"), &RENEW, call, Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        assert_loads(&site);
        site.done(&RENEW);
        site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
        assert_ne!(site.read("ctld_cert.pem"), old, "{call:?}");
    }
}

#[test]
fn with_a_full_disk_the_old_pair_stays_and_the_next_run_renews() {
    let site = due();
    let (calls, _) = strace::trace(&site.bare(), &program("slurm-pki"), &RENEW);
    let changes: Vec<_> = changes(&calls).into_iter().filter(|call| call.mentions("/ctld/")).collect();
    assert!(changes.len() > 5, "{changes:?}");
    for call in changes {
        let site = due();
        let output =
            strace::strike(&site.bare(), &program("slurm-pki"), &RENEW, call, Fault::Error("ENOSPC"));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{call:?}: {said}");
        assert!(said.contains("hint:"), "{said}");
        assert_loads(&site);
        site.done(&RENEW);
        site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    }
}

#[test]
fn two_at_once_are_one_and_a_word_about_it() {
    let site = due();
    let slow = "cd $(dirname $SLURM_PKI_CERT); touch running; while [ ! -e go ]; do sleep 0.05; done";
    hook(&site, "slow", slow);
    let patient = site.read("slurm-pki.toml").replace("timeout = \"2s\"", "timeout = \"2m\"");
    site.write("slurm-pki.toml", &patient, 0o644);
    let mut first = site.command(&program("slurm-pki")).args(RENEW).spawn().unwrap();
    while !site.path("running").exists() {
        sleep(Duration::from_millis(20));
    }
    let said = site.refused(&RENEW);
    assert!(said.contains(&format!("another renewal is under way (pid {})", first.id())), "{said}");
    site.write("go", "", 0o644);
    assert!(first.wait().unwrap().success());
    assert_eq!(site.issued().iter().filter(|name| *name == "slurmctld").count(), 2);
}
