//! The site's own programs around a renewal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::scratch::caller;
use crate::site::{due, fresh, hook};

#[test]
fn hooks_run_in_order_after_a_change_with_what_they_need_to_know() {
    let site = due();
    for name in ["20-second", "10_first"] {
        let log = site.text_path("log");
        hook(&site, name, &format!("echo {name} >> {log}; env | sort >> {log}; cat >> {log}"));
    }
    hook(&site, "30-third.bak", "exit 1");
    site.write("hooks/README", "what these are for", 0o644);
    site.done(&["cert", "renew"]);
    let log = site.read("log");
    let lines: Vec<&str> = log.lines().collect();
    assert!(log.find("10_first").unwrap() < log.find("20-second").unwrap());
    let (host, cert) =
        (site.json(&["cert", "renew"], "slurm-pki.cert.renew.v1"), site.text_path("ctld_cert.pem"));
    for line in [
        "SLURM_PKI_EVENT=renewed".to_owned(),
        "SLURM_PKI_DAEMON=ctld".to_owned(),
        format!("SLURM_PKI_CERT={cert}"),
        format!("SLURM_PKI_HOST={}", host[0]["host"].as_str().unwrap()),
    ] {
        assert!(lines.contains(&line.as_str()), "{line}: {log}");
    }
    assert!(!log.contains("SLURM_CONF") && !log.contains("SLURM_PKI_CONF"), "{log}");
    site.done(&["cert", "renew"]);
    assert_eq!(site.read("log"), log, "only on change");
}

#[test]
fn a_hook_that_fails_is_a_failure_in_the_end_and_the_renewal_stands() {
    let site = due();
    let old = site.read("ctld_cert.pem");
    hook(&site, "10-fails", "echo the proxy is away >&2; exit 3");
    hook(&site, "20-works", &format!("touch {}", site.text_path("ran")));
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("hook 10-fails (renewed): ended with exit status: 3: the proxy is away"), "{said}");
    assert!(site.path("ran").exists(), "those after it are run");
    assert_ne!(site.read("ctld_cert.pem"), old);
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_children() {
    let site = due();
    let (pid, done) = (site.text_path("pid"), site.text_path("late"));
    hook(&site, "10-hangs", &format!("(sleep 5; touch {done}) & echo $! > {pid}; wait"));
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("was killed: it took longer than 2s"), "{said}");
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(!site.path("late").exists());
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn what_a_hook_prints_is_not_ours_to_repeat() {
    let site = due();
    hook(&site, "10-talks", "echo a quiet word");
    let (out, err) = site.done(&["cert", "renew"]);
    assert!(!out.contains("a quiet word") && !err.contains("a quiet word"));
    let key = site.text_path("ctld_cert_key.pem");
    for prints in [format!("cat {key}"), format!("sed 1d {key}"), "echo token=abc".to_owned()] {
        hook(&site, "10-talks", &format!("{prints}; echo and more; exit 1"));
        let said = site.refused(&["cert", "renew", "--force"]);
        assert!(said.contains("is not shown") && !said.contains("and more"), "{said}");
        let secret = site.read("ctld_cert_key.pem");
        let line = secret.lines().nth(1).unwrap();
        assert!(!said.contains(line) && !said.contains("abc"), "{said}");
    }
}

#[test]
fn hooks_that_others_could_change_are_refused_and_a_dry_run_says_so() {
    let site = due();
    hook(&site, "10-loose", &format!("touch {}", site.text_path("ran")));
    let loose = site.path("hooks/10-loose");
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o775)).unwrap();
    let said = site.refused(&["cert", "renew", "--dry-run"]);
    assert!(said.contains("10-loose") && said.contains("others can change"), "{said}");
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("others can change"), "{said}");
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(site.path("hooks"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = site.refused(&["cert", "renew", "--force"]);
    assert!(said.contains("no hook of"), "{said}");
    assert!(!site.path("ran").exists());
}

#[test]
fn a_hook_of_another_user_is_refused() {
    let site = due();
    hook(&site, "10-theirs", &format!("touch {}", site.text_path("ran")));
    let given = std::os::unix::fs::chown(site.path("hooks/10-theirs"), Some(65_534), None);
    if caller() != 0 {
        return assert!(given.is_err(), "only root can make a file that is another's");
    }
    assert!(site.refused(&["cert", "renew"]).contains("not to root"));
    std::os::unix::fs::chown(site.path("hooks"), Some(65_534), None).unwrap();
    assert!(site.refused(&["cert", "renew", "--force"]).contains("not to root"));
    assert!(!site.path("ran").exists());
}

#[test]
fn a_link_of_another_users_does_not_lead_root_to_a_hook() {
    let site = due();
    hook(&site, "10-real", &format!("touch {}", site.text_path("ran")));
    fs::rename(site.path("hooks"), site.path("roots")).unwrap();
    std::os::unix::fs::symlink(site.path("roots"), site.path("hooks")).unwrap();
    site.done(&["cert", "renew", "--force"]);
    assert!(site.path("ran").exists(), "root's own link is followed");
    fs::remove_file(site.path("ran")).unwrap();
    let given = std::os::unix::fs::lchown(site.path("hooks"), Some(65_534), None);
    if caller() != 0 {
        return assert!(given.is_err(), "only root can make a link that is another's");
    }
    assert!(site.refused(&["cert", "renew", "--force"]).contains("is a link that is not root's"));
    assert!(!site.path("ran").exists());
}

#[test]
fn a_failed_renewal_is_an_event_too() {
    let site = fresh();
    hook(&site, "10-log", &format!("echo $SLURM_PKI_EVENT $SLURM_PKI_DAEMON >> {}", site.text_path("log")));
    fs::remove_dir_all(site.path("state/ledger")).unwrap();
    site.write("state/ledger", "a file where the folder should be", 0o600);
    site.refused(&["cert", "renew", "--force"]);
    assert_eq!(site.read("log"), "failed ctld\n");
}
