//! Pairs in files that others made: they stay files.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use support::openssl;
use support::programs::program;
use support::strace::{self, Fault};

use crate::pairs::{DAY, aged, put_as_others_do};
use crate::scratch::{Scratch, caller, changes, text};
use crate::site::{assert_loads, configure, files, fresh, here};

const RENEW: [&str; 2] = ["cert", "renew"];

fn foreign() -> Scratch {
    let site = fresh();
    put_as_others_do(&site, &aged(&site, 90 * DAY));
    site
}

fn is_file(site: &Scratch, name: &str) -> bool {
    site.path(name).symlink_metadata().unwrap().is_file()
}

#[test]
fn they_are_renewed_in_place_with_owner_and_mode() {
    let site = foreign();
    site.write("ctld_cert_key.pem", &site.read("ctld_cert_key.pem"), 0o640);
    let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    site.done(&RENEW);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert_ne!(site.read("ctld_cert.pem"), cert);
    assert!(is_file(&site, "ctld_cert.pem") && is_file(&site, "ctld_cert_key.pem"));
    site.assert_file("ctld_cert_key.pem", 0o640, caller());
    site.assert_file("ctld_cert.pem", 0o644, caller());
    let kept =
        files(&site).into_iter().any(|(path, bytes)| path.ends_with("key.pem") && bytes == key.as_bytes());
    assert!(kept, "the pair before stays, to go back to");
    assert!(!site.path(".slurm-pki/ctld/journal.json").exists());
    site.done(&["cert", "renew", "--force"]);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    let names = fs::read_dir(site.path(".slurm-pki/ctld")).unwrap().map(|entry| entry.unwrap().file_name());
    let numbers = names.filter(|name| name.to_string_lossy().parse::<u64>().is_ok()).count();
    assert_eq!(numbers, 2, "this one and the one before");
}

#[test]
fn a_link_of_the_sites_stays_and_what_it_leads_to_is_renewed() {
    let site = foreign();
    fs::create_dir(site.path("web")).unwrap();
    for name in ["ctld_cert.pem", "ctld_cert_key.pem"] {
        fs::rename(site.path(name), site.path("web").join(name)).unwrap();
        std::os::unix::fs::symlink(site.path("web").join(name), site.path(name)).unwrap();
    }
    let before = site.read("web/ctld_cert.pem");
    site.done(&RENEW);
    assert_eq!(fs::read_link(site.path("ctld_cert.pem")).unwrap(), site.path("web/ctld_cert.pem"));
    assert_ne!(site.read("web/ctld_cert.pem"), before);
    site.assert_pair("web/ctld_cert.pem", "web/ctld_cert_key.pem");
}

/// Whoever owns the folder could exchange the link while root looks at it.
#[test]
fn a_link_in_a_folder_of_somebody_elses_is_not_followed() {
    let site = foreign();
    fs::create_dir(site.path("web")).unwrap();
    for name in ["ctld_cert.pem", "ctld_cert_key.pem"] {
        fs::rename(site.path(name), site.path("web").join(name)).unwrap();
        std::os::unix::fs::symlink(site.path("web").join(name), site.path(name)).unwrap();
    }
    let before = site.read("web/ctld_cert.pem");
    let given = std::os::unix::fs::chown(site.path(""), Some(65_534), None);
    if caller() != 0 {
        return assert!(given.is_err(), "only root can make a folder that is another's");
    }
    let said = site.refused(&RENEW);
    assert!(said.contains("is a link in a folder that others can change"), "{said}");
    assert_eq!(site.issued().len(), 1, "nothing is issued that cannot be installed");
    assert_eq!(site.read("web/ctld_cert.pem"), before);
}

#[test]
fn half_a_pair_is_kept_aside() {
    let site = foreign();
    fs::remove_file(site.path("ctld_cert.pem")).unwrap();
    site.write("ctld_cert_key.pem", "not even a key", 0o600);
    site.done(&RENEW);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert!(files(&site).iter().any(|(_, contents)| contents == b"not even a key"));
}

/// Killed in place of every change. Between the two renames there is a key without its certificate: whatever command
/// runs next, even one that only reads, puts a whole pair there.
#[test]
fn whatever_kills_it_the_next_command_leaves_a_whole_pair() {
    let site = foreign();
    let (calls, output) = strace::trace(&site.bare(), &program("slurm-pki"), &RENEW);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() > 30, "{} changes", changes.len());
    let mut torn = 0;
    for call in changes {
        let site = foreign();
        let old = site.read("ctld_cert.pem");
        let output = strace::strike(&site.bare(), &program("slurm-pki"), &RENEW, call, Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        let loads = || {
            let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
            pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).is_ok()
        };
        torn += usize::from(!loads());
        site.done(&["cert", "list"]);
        assert!(loads(), "{call:?}");
        assert!(!site.path(".slurm-pki/ctld/journal.json").exists());
        let left = fs::read_dir(site.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(
            left.filter(|name| name.to_string_lossy().contains("ctld_cert_key.pem")).count(),
            1,
            "{call:?}"
        );
        site.done(&RENEW);
        site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
        assert_ne!(site.read("ctld_cert.pem"), old, "{call:?}");
    }
    assert!(torn > 0, "no kill hit the moment that this is about");
}

#[test]
fn with_a_full_disk_the_old_pair_stays_whole() {
    let site = foreign();
    let (calls, _) = strace::trace(&site.bare(), &program("slurm-pki"), &RENEW);
    for call in changes(&calls).into_iter().filter(|call| call.mentions("ctld")) {
        let site = foreign();
        let old = site.read("ctld_cert.pem");
        let output =
            strace::strike(&site.bare(), &program("slurm-pki"), &RENEW, call, Fault::Error("ENOSPC"));
        let said = text(&output.stderr);
        assert_loads(&site);
        match output.status.code() {
            Some(0) => assert_ne!(site.read("ctld_cert.pem"), old, "{call:?}: it said that it was done"),
            code => assert!(code == Some(1) && said.contains("hint:"), "{call:?}: {code:?} {said}"),
        }
        site.done(&RENEW);
        site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
        assert_ne!(site.read("ctld_cert.pem"), old, "{call:?}");
    }
}

#[test]
fn a_dry_run_leaves_a_half_done_change_and_says_so() {
    let site = foreign();
    site.done(&RENEW);
    site.write(".slurm-pki/ctld/journal.json", r#"{"v":1,"from":2,"to":3}"#, 0o600);
    let (_, said) = site.done(&["cert", "list", "--dry-run"]);
    assert!(said.contains("was cut short"), "{said}");
    assert!(site.path(".slurm-pki/ctld/journal.json").exists());
    site.write("ctld_cert_key.pem", "damaged", 0o600);
    let (_, said) = site.done(&["cert", "list"]);
    assert!(said.contains("whole again"), "{said}");
    assert_loads(&site);
}

/// A monitor may be the next to come, long before a person does.
#[test]
fn commands_that_only_look_make_it_whole_as_well() {
    for command in [
        &["check"][..],
        &["conf", "check"],
        &["vault", "check"],
        &["metrics"],
        &["cert", "needs-renewal"],
        &["node", "list"],
        &["conf", "disable", "--offline", "--yes"],
        &["conf", "disable", "--prepare", "--yes"],
        &["conf", "disable", "--jwt", "--yes"],
        &["conf", "disable", "--node", "--slurmd-file", "OPTIONS", "--yes"],
        &["conf", "enable", "--jwt", "--restd", "--restd-file", "OPTIONS", "--yes"],
        &["init"],
        &["init", "--state-dir", "STATE"],
    ] {
        let site = foreign();
        site.done(&RENEW);
        site.write("options", "", 0o644);
        let (state, options) = (site.text_path("state"), site.text_path("options"));
        let given = |word: &'static str| match word {
            "STATE" => state.as_str(),
            "OPTIONS" => options.as_str(),
            word => word,
        };
        let command: Vec<&str> = command.iter().copied().map(given).collect();
        if command.contains(&"--state-dir") {
            fs::remove_file(site.path("slurm-pki.toml")).unwrap();
        }
        site.write(".slurm-pki/ctld/journal.json", r#"{"v":1,"from":2,"to":3}"#, 0o600);
        site.write("ctld_cert_key.pem", &site.read(".slurm-pki/ctld/2/key.pem"), 0o640);
        let said = text(&site.run(&command).stderr);
        assert!(said.contains("slurmctld's pair was cut short; it is whole again"), "{command:?}: {said}");
        assert_loads(&site);
        assert!(!site.path(".slurm-pki/ctld/journal.json").exists(), "{command:?}");
        if command.contains(&"check") {
            let (help, _) = site.done(&[command.as_slice(), &["--help"]].concat());
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(help.contains("killed half way is ended first"), "{command:?}: {help}");
        }
    }
}

#[test]
fn a_journal_of_nothing_that_loads_is_an_advice_and_stops_no_command() {
    let site = foreign();
    site.done(&RENEW);
    site.write(".slurm-pki/ctld/journal.json", r#"{"v":1,"from":77,"to":78}"#, 0o600);
    site.write("ctld_cert_key.pem", "damaged", 0o600);
    let (_, said) = site.done(&["ca", "show"]);
    assert!(said.contains("neither the old nor the new pair"), "{said}");
    site.done(&["cert", "issue", "ctld", "--force"]);
    assert_loads(&site);
}

/// A run was killed between the key and the certificate of one of two slurmds.
#[test]
fn the_next_command_makes_the_pair_of_each_slurmd_whole() {
    let site = here(Scratch::ready());
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-2] NodeHostname=localhost\n");
    let (cert, key) = (site.text_path("%n_cert.pem"), site.text_path("%n_key.pem"));
    let owner = caller();
    configure(&site, &format!("[daemons.slurmd]\nowner = \"{owner}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n"));
    site.done(&["cert", "issue", "slurmd", "n[1-2]", "--out", &site.text_path("pairs")]);
    for node in ["n1", "n2"] {
        let given = fs::read_dir(site.path(&format!("pairs/{node}"))).unwrap();
        for path in given.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let to =
                if name.contains("key") { format!("{node}_key.pem") } else { format!("{node}_cert.pem") };
            fs::copy(&path, site.path(&to)).unwrap();
        }
    }
    site.done(&["cert", "renew", "slurmd", "--force"]);
    let ours = ".slurm-pki/slurmd-n2_cert";
    fs::copy(site.path(&format!("{ours}/1/cert.pem")), site.path("n2_cert.pem")).unwrap();
    site.write(&format!("{ours}/journal.json"), r#"{"v":1,"from":1,"to":2}"#, 0o600);
    let (_, said) = site.done(&["status"]);
    assert!(said.contains("slurmd's pair was cut short; it is whole again"), "{said}");
    for node in ["n1", "n2"] {
        site.assert_pair(&format!("{node}_cert.pem"), &format!("{node}_key.pem"));
        let cert = site.read(&format!("{node}_cert.pem"));
        assert_eq!(openssl::subject_of_certificate(&cert), format!("CN={node}"));
    }
}
