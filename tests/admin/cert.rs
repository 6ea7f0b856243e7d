//! `slurm-pki cert issue`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use support::openssl;
use support::programs::program;
use support::strace;

use crate::scratch::{Scratch, caller, changes, text};

fn put_foreign_pair(site: &Scratch) -> (String, String) {
    let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
    for (name, contents, mode) in [("ctld_cert.pem", &cert, 0o644), ("ctld_cert_key.pem", &key, 0o600)] {
        fs::remove_file(site.path(name)).unwrap();
        site.write(name, contents, mode);
    }
    (cert, key)
}

#[test]
fn slurms_names_are_links_through_current() {
    let site = Scratch::ready();
    let link = |path: &str| fs::read_link(site.path(path)).unwrap();
    assert_eq!(link("ctld_cert.pem"), Path::new(".slurm-pki/ctld/current/cert.pem"));
    assert_eq!(link("ctld_cert_key.pem"), Path::new(".slurm-pki/ctld/current/key.pem"));
    assert_eq!(link(".slurm-pki/ctld/current"), Path::new("1"));
    for folder in [".slurm-pki", ".slurm-pki/ctld", ".slurm-pki/ctld/1"] {
        site.assert_file(folder, 0o755, caller());
    }
}

#[test]
fn a_new_pair_takes_the_place_of_the_old_which_stays_beside_it() {
    let site = Scratch::ready();
    let first = site.read("ctld_cert.pem");
    let link = site.path("ctld_cert.pem").symlink_metadata().unwrap().ino();
    let (_, said) = site.done(&["cert", "issue", "ctld", "--host", "h9.example.org,h10"]);
    assert!(said.contains("systemctl restart slurmctld"), "{said}");
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert_eq!(site.read(".slurm-pki/ctld/1/cert.pem"), first);
    assert_eq!(site.read(".slurm-pki/ctld/2/cert.pem"), site.read("ctld_cert.pem"));
    assert_eq!(site.path("ctld_cert.pem").symlink_metadata().unwrap().ino(), link, "the link itself stays");
    let names = openssl::certificate_text(&site.read("ctld_cert.pem"));
    assert!(names.contains("DNS:h1") && names.contains("DNS:h9.example.org") && names.contains("DNS:h10"));
    site.done(&["cert", "issue", "ctld"]);
    assert!(!site.path(".slurm-pki/ctld/1").exists() && site.path(".slurm-pki/ctld/2").exists());
    assert_eq!(site.issued(), ["slurmctld", "slurmctld", "slurmctld"]);
}

#[test]
fn files_that_others_made_are_replaced_only_by_force_and_kept_aside() {
    let site = Scratch::ready();
    let (cert, key) = put_foreign_pair(&site);
    let before = site.everything();
    assert!(site.refused(&["cert", "issue", "ctld"]).contains("--force"));
    assert_eq!(site.everything(), before, "nothing is issued for what cannot be installed");
    site.done(&["cert", "issue", "ctld", "--force"]);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert_ne!(site.read("ctld_cert.pem"), cert);
    let kept: Vec<_> = site
        .everything()
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "old"))
        .collect();
    assert_eq!(kept.len(), 2);
    for old in [cert, key] {
        assert!(kept.iter().any(|(_, contents)| contents == old.as_bytes()));
    }
}

/// Killed in place of every change: a daemon that starts just then finds a certificate with its own key.
#[test]
fn whatever_kills_it_a_whole_pair_is_there() {
    const ISSUE: [&str; 4] = ["cert", "issue", "ctld", "--force"];
    let site = Scratch::ready();
    put_foreign_pair(&site);
    let (calls, output) = strace::trace(&site.bare(), &program("slurm-pki"), &ISSUE);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() > 25, "{} changes", changes.len());
    for call in changes {
        let site = Scratch::ready();
        let (_, old_key) = put_foreign_pair(&site);
        let output = strace::strike(&site.bare(), &program("slurm-pki"), &ISSUE, call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        let (cert, key) = (site.read("ctld_cert.pem"), site.read("ctld_cert_key.pem"));
        pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
        site.done(&ISSUE);
        site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
        assert_ne!(site.read("ctld_cert_key.pem"), old_key, "{call:?}");
    }
}

#[test]
fn half_a_pair_of_others_is_kept_aside() {
    let site = Scratch::ready();
    fs::remove_file(site.path("ctld_cert_key.pem")).unwrap();
    site.write("ctld_cert_key.pem", "not even a key", 0o600);
    site.done(&["cert", "issue", "ctld", "--force"]);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert!(site.everything().iter().any(|(_, contents)| contents == b"not even a key"));
}

#[test]
fn a_dry_run_issues_nothing() {
    let site = Scratch::ready();
    let before = site.everything();
    let (listed, _) = site.done(&["cert", "issue", "restd", "--dry-run"]);
    assert!(listed.contains(".slurm-pki/restd/1/key.pem (0600"), "{listed}");
    let pairs = site.text_path("pairs");
    let (listed, _) = site.done(&["cert", "issue", "slurmd", "n[1-2]", "--out", &pairs, "--dry-run"]);
    assert!(listed.contains("pairs/n2/slurmd_cert_key.pem"), "{listed}");
    assert_eq!(site.everything(), before);
    assert!(!site.path("pairs").exists());
}

#[test]
fn slurmdbds_hosts_come_from_the_config_files() {
    let site = Scratch::ready();
    site.slurm_conf("SlurmctldHost=h1\nAccountingStorageHost=db1\nAccountingStorageBackupHost=10.0.0.9\n");
    fs::write(site.path("slurmdbd.conf"), "DbdHost=db1.example.org\nDbdBackupHost=db2\n").unwrap();
    site.done(&["cert", "issue", "dbd"]);
    let certificate = site.read("dbd_cert.pem");
    assert_eq!(openssl::subject_of_certificate(&certificate), "CN=slurmdbd");
    let names = openssl::certificate_text(&certificate);
    assert!(names.contains("DNS:db1.example.org, DNS:db2, DNS:db1\n"), "{names}");
}

#[test]
fn an_address_is_no_host_name() {
    let site = Scratch::ready();
    for name in ["10.0.0.1", "a b", "-x."] {
        let host = format!("--host={name}");
        assert!(site.refused(&["cert", "issue", "ctld", &host]).contains("is not a host name"), "{name}");
    }
}

#[test]
fn owner_and_place_come_from_the_config() {
    let site = Scratch::ready();
    let config = format!(
        "{}\n[daemons.restd]\nowner = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n",
        site.read("slurm-pki.toml"),
        caller(),
        site.text_path("web/cert.pem"),
        site.text_path("private/key.pem"),
    );
    site.write("slurm-pki.toml", &config, 0o644);
    fs::create_dir(site.path("private")).unwrap();
    fs::create_dir(site.path("web")).unwrap();
    site.done(&["cert", "issue", "restd", "--key-type", "p384"]);
    site.assert_pair("web/cert.pem", "private/key.pem");
    site.assert_file("private/key.pem", 0o600, caller());
    assert_eq!(
        fs::read_link(site.path("private/key.pem")).unwrap(),
        site.path("web/.slurm-pki/restd/current/key.pem")
    );
}

#[test]
fn static_pairs_carry_the_nodes_names_and_slurms_file_names() {
    let site = Scratch::ready();
    let pairs = site.text_path("pairs");
    site.done(&["cert", "issue", "sackd", "n[1-3]", "login1.example.org", "--out", &pairs]);
    site.assert_file("pairs", 0o700, caller());
    for node in ["n1", "n2", "n3", "login1.example.org"] {
        let (cert, key) =
            (format!("pairs/{node}/sackd_cert.pem"), format!("pairs/{node}/sackd_cert_key.pem"));
        site.assert_pair(&cert, &key);
        site.assert_file(&key, 0o600, site.slurm_user.1);
        let certificate = site.read(&cert);
        assert_eq!(openssl::subject_of_certificate(&certificate), format!("CN={node}"));
        assert!(openssl::certificate_text(&certificate).contains(&format!("DNS:{node}\n")));
    }
    assert_eq!(site.issued().len(), 5);
    let before = site.everything();
    assert!(
        site.refused(&["cert", "issue", "sackd", "n[0-1]", "--out", &pairs]).contains("n1/sackd_cert.pem")
    );
    assert_eq!(site.everything(), before);
    site.done(&["cert", "issue", "sackd", "n1", "--out", &pairs, "--force"]);
    site.assert_pair("pairs/n1/sackd_cert.pem", "pairs/n1/sackd_cert_key.pem");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let site = Scratch::ready();
    let pairs = site.text_path("pairs");
    for args in [
        &["cert", "issue", "ctld", "n1"][..],
        &["cert", "issue", "ctld", "--out", &pairs],
        &["cert", "issue", "sackd", "n1"],
        &["cert", "issue", "sackd", "n1", "--out", &pairs, "--host", "h"],
    ] {
        site.refused(args);
    }
    for nodes in [&["slurmctld"][..], &[]] {
        let args = [&["cert", "issue", "sackd", "--out", &pairs], nodes].concat();
        assert_eq!(site.run(&args).status.code(), Some(64), "{nodes:?}");
    }
    assert!(!site.path("pairs").exists());
}

#[test]
fn nothing_is_issued_that_cannot_be_recorded() {
    let site = Scratch::ready();
    let before = site.read("ctld_cert.pem");
    fs::remove_dir_all(site.path("state/ledger")).unwrap();
    site.write("state/ledger", "a file where the folder should be", 0o600);
    site.refused(&["cert", "issue", "ctld"]);
    assert_eq!(site.read("ctld_cert.pem"), before);
    assert!(!site.path(".slurm-pki/ctld/2").exists());
}

#[test]
fn every_command_comes_with_worked_examples() {
    let site = Scratch::new();
    for command in [
        &["init"][..],
        &["ca"],
        &["ca", "init"],
        &["ca", "show"],
        &["ca", "import"],
        &["cert"],
        &["cert", "issue"],
        &["conf"],
        &["conf", "show"],
        &["conf", "enable"],
        &["conf", "disable"],
    ] {
        let (help, _) = site.done(&[command, &["--help"]].concat());
        assert!(help.contains("Examples:\n  slurm-pki "), "{command:?}: {help}");
    }
}

#[test]
fn static_pairs_go_to_no_folder_that_others_can_change_or_read() {
    let site = Scratch::ready();
    let pairs = site.path("pairs");
    fs::create_dir(&pairs).unwrap();
    for mode in [0o755, 0o777, 0o1777] {
        fs::set_permissions(&pairs, fs::Permissions::from_mode(mode)).unwrap();
        let said = site.refused(&["cert", "issue", "slurmd", "n1", "--out", &site.text_path("pairs")]);
        assert!(said.contains("not used for secrets"), "{said}");
        assert_eq!(fs::read_dir(&pairs).unwrap().count(), 0);
    }
    assert_eq!(site.issued(), ["slurmctld"]);
}

#[test]
fn only_old_pairs_are_removed_whatever_lies_beside_them() {
    let site = Scratch::ready();
    for (path, contents) in [("3/cert.pem", "old"), ("7/of_somebody", "kept")] {
        let path = site.path(".slurm-pki/ctld").join(path);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    fs::create_dir(site.path(".slurm-pki/ctld/18446744073709551615")).unwrap();
    site.done(&["cert", "issue", "ctld"]);
    assert_eq!(site.read(".slurm-pki/ctld/7/of_somebody"), "kept");
    assert!(!site.path(".slurm-pki/ctld/3").exists());
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn a_fifo_in_place_of_a_daemons_files_is_never_waited_for() {
    let site = Scratch::ready();
    fs::remove_file(site.path("ctld_cert_key.pem")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, site.path("ctld_cert_key.pem"), mode).unwrap();
    assert!(site.refused(&["init"]).contains("--force"));
}
