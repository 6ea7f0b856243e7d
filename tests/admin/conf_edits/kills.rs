//! SIGKILL in place of every change: each file is the old one or the new one, and a further run completes.

use std::os::unix::process::ExitStatusExt as _;

use support::programs::program;
use support::strace::{Fault, strike, trace};

use crate::apart::apart;
use crate::scratch::{Scratch, changes, text};
use crate::site::{DISABLE, ENABLE, Files, files, with_sample};

const FILES: [&str; 3] = ["slurm.conf", "slurmdbd.conf", "tls_c1.inc"];

/// What a command makes of a site, its temporary paths left out.
fn pattern(site: &Scratch) -> Files {
    let path = site.text_path("");
    files(site)
        .into_iter()
        .map(|(name, text)| (name, String::from_utf8(text).unwrap().replace(&path, "/site/").into_bytes()))
        .collect()
}

fn whatever_kills(ready: impl Fn() -> Scratch, args: &[&str]) {
    let site = ready();
    let before = pattern(&site);
    let (calls, output) = trace(&site.bare(), &program("slurm-pki"), args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let after = pattern(&site);
    let changes = changes(&calls);
    assert!(changes.len() > 15, "{} changes", changes.len());
    for call in changes {
        let site = ready();
        let output = strike(&site.bare(), &program("slurm-pki"), args, call, Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        let is = pattern(&site);
        for name in FILES {
            assert!(is[name] == before[name] || is[name] == after[name], "{call:?}: {name}");
        }
        site.done(args);
        assert_eq!(pattern(&site), after, "{call:?}");
    }
}

#[test]
fn whatever_kills_enable_a_further_run_completes() {
    apart!(whatever_kills(|| with_sample("include.conf"), &ENABLE));
}

#[test]
fn whatever_kills_disable_a_further_run_completes() {
    let enabled = || {
        let site = with_sample("include.conf");
        site.done(&ENABLE);
        // A copy of the same second would have a longer name, and that took another call.
        let copies = site
            .everything()
            .into_iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "old"));
        copies.for_each(|(path, _)| std::fs::remove_file(path).unwrap());
        site
    };
    apart!(whatever_kills(enabled, &DISABLE));
}

#[test]
fn a_full_disk_leaves_every_file_as_it_was() {
    apart!({
        let site = with_sample("include.conf");
        let (calls, _) = trace(&site.bare(), &program("slurm-pki"), &ENABLE);
        let writes: Vec<_> =
            calls.iter().filter(|call| call.name == "write" && call.mentions(".tmp")).collect();
        assert_eq!(writes.len(), 3, "{writes:?}");
        for call in writes {
            let site = with_sample("include.conf");
            let before = pattern(&site);
            let output = strike(&site.bare(), &program("slurm-pki"), &ENABLE, call, Fault::Error("ENOSPC"));
            assert_eq!(output.status.code(), Some(1));
            assert!(text(&output.stderr).contains("make room"), "{}", text(&output.stderr));
            let is = pattern(&site);
            assert_eq!(is["slurm.conf"], before["slurm.conf"], "it comes last");
            assert!(site.everything().iter().all(|(path, _)| !path.to_string_lossy().ends_with(".tmp")));
            site.done(&ENABLE);
        }
    });
}
