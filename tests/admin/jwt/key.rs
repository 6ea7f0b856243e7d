//! `jwt key init`.

use std::fs;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use support::programs::program;
use support::{openssl, strace};

use crate::scratch::{caller, changes, text};
use crate::{folder, site, slurm_conf};

#[test]
fn the_key_is_slurmusers_alone_and_never_made_twice() {
    let site = site("max_token_lifespan=3600");
    let said = site.done(&["jwt", "key", "init", "--dry-run"]).0;
    assert!(said.contains("would make") && !site.path("state/jwt_hs256.key").exists(), "{said}");
    site.done(&["jwt", "key", "init"]);
    site.assert_file("state/jwt_hs256.key", 0o400, site.slurm_user.1);
    let key = fs::read(site.path("state/jwt_hs256.key")).unwrap();
    assert_eq!(key.len(), 32);
    site.done(&["jwt", "key", "init"]);
    assert_eq!(fs::read(site.path("state/jwt_hs256.key")).unwrap(), key);
}

#[test]
fn a_key_that_others_may_read_is_refused_and_no_copy_is_made_of_it() {
    let site = site("");
    folder(&site, "dbd", 0o700);
    let dbd = site.text_path("dbd/jwt.key");
    let conf = format!("DbdHost=localhost\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={dbd}\n");
    site.write("slurmdbd.conf", &conf, 0o600);
    site.done(&["jwt", "key", "init"]);
    for (open, missing) in [("state/jwt_hs256.key", "dbd/jwt.key"), ("dbd/jwt.key", "state/jwt_hs256.key")] {
        fs::remove_file(site.path(missing)).unwrap();
        for mode in [0o644, 0o604, 0o620] {
            fs::set_permissions(site.path(open), fs::Permissions::from_mode(mode)).unwrap();
            let said = site.refused(&["jwt", "key", "init"]);
            assert!(said.contains(&format!("mode {mode:04o}")) && said.contains("chmod go="), "{said}");
            assert!(!site.path(missing).exists());
        }
        fs::set_permissions(site.path(open), fs::Permissions::from_mode(0o400)).unwrap();
        site.done(&["jwt", "key", "init"]);
        site.assert_file(missing, 0o400, site.slurm_user.1);
    }
}

#[test]
fn two_sites_never_have_one_key() {
    let keys = [(); 2].map(|()| {
        let site = site("");
        site.done(&["jwt", "key", "init"]);
        fs::read(site.path("state/jwt_hs256.key")).unwrap()
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn slurmdbd_gets_the_same_bytes_and_another_key_there_is_refused() {
    let site = site("");
    folder(&site, "dbd", 0o700);
    let dbd = site.text_path("dbd/jwt.key");
    site.write(
        "slurmdbd.conf",
        &format!("DbdHost=localhost\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={dbd}\n"),
        0o600,
    );
    site.done(&["jwt", "key", "init"]);
    let key = fs::read(site.path("state/jwt_hs256.key")).unwrap();
    assert_eq!(fs::read(&dbd).unwrap(), key);
    site.assert_file("dbd/jwt.key", 0o400, site.slurm_user.1);
    // A killed run left one of the two: the other is made from it.
    fs::remove_file(&dbd).unwrap();
    site.done(&["jwt", "key", "init"]);
    assert_eq!(fs::read(&dbd).unwrap(), key);
    fs::remove_file(&dbd).unwrap();
    site.write("dbd/jwt.key", "another", 0o600);
    let before = site.everything();
    assert!(site.refused(&["jwt", "key", "init"]).contains("two different keys"));
    assert_eq!(site.everything(), before);
}

#[test]
fn whatever_kills_it_there_is_one_key_in_both_places_in_the_end() {
    const INIT: [&str; 3] = ["jwt", "key", "init"];
    let begin = || {
        let site = site("");
        folder(&site, "dbd", 0o700);
        let dbd = site.text_path("dbd/jwt.key");
        let conf = format!("DbdHost=localhost\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={dbd}\n");
        site.write("slurmdbd.conf", &conf, 0o600);
        site
    };
    let traced = begin();
    let (calls, output) = strace::trace(&traced.bare(), &program("slurm-pki"), &INIT);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() >= 8, "{} changes", changes.len());
    for call in changes {
        let site = begin();
        let output = strace::strike(&site.bare(), &program("slurm-pki"), &INIT, call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        for name in ["state/jwt_hs256.key", "dbd/jwt.key"].iter().filter(|name| site.path(name).exists()) {
            site.assert_file(name, 0o400, site.slurm_user.1);
            assert_eq!(fs::read(site.path(name)).unwrap().len(), 32, "{call:?}");
        }
        site.done(&INIT);
        let [ours, theirs] =
            ["state/jwt_hs256.key", "dbd/jwt.key"].map(|name| fs::read(site.path(name)).unwrap());
        assert_eq!(ours, theirs, "{call:?}");
        for folder in ["state", "dbd"] {
            assert_eq!(
                fs::read_dir(site.path(folder)).unwrap().count(),
                1,
                "{call:?}: something is left in {folder}"
            );
        }
    }
}

#[test]
fn a_folder_that_others_get_into_is_refused() {
    let site = site("");
    for mode in [0o755, 0o711, 0o770, 0o777, 0o1777] {
        let name = format!("open{mode:o}");
        folder(&site, &name, mode);
        let said = site.refused(&["jwt", "key", "init", "--out", &site.text_path(&format!("{name}/k"))]);
        assert!(said.contains("others may enter"), "{mode:o}: {said}");
        assert_eq!(fs::read_dir(site.path(&name)).unwrap().count(), 0);
    }
    folder(&site, "own", 0o700);
    site.done(&["jwt", "key", "init", "--out", &site.text_path("own/k")]);
    // StateSaveLocation is Slurm's own, but not for others to write in.
    std::os::unix::fs::chown(site.path("state"), Some(site.slurm_user.1), None).unwrap();
    fs::set_permissions(site.path("state"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    site.refused(&["jwt", "key", "init"]);
    if caller() == 0 {
        folder(&site, "theirs", 0o700);
        std::os::unix::fs::chown(site.path("theirs"), Some(1), None).unwrap();
        let said = site.refused(&["jwt", "key", "init", "--out", &site.text_path("theirs/k")]);
        assert!(said.contains("belongs to uid 1"), "{said}");
    }
}

#[test]
fn a_list_alone_has_switched_hs256_off_and_that_is_said() {
    let site = site("jwks=/etc/slurm/jwks.json");
    let said = site.refused(&["jwt", "key", "init"]);
    assert!(said.contains("switches HS256 off"), "{said}");
    let said = site.refused(&["jwt", "token"]);
    assert!(said.contains("switches HS256 off"), "{said}");
}

#[test]
fn an_rsa_key_is_one_that_openssl_takes_and_is_never_replaced() {
    let site = site("");
    folder(&site, "keys", 0o700);
    let out = site.text_path("keys/k.pem");
    let (_, said) = site.done(&["jwt", "key", "init", "--rs256", "--kid", "hpc-1", "--out", &out]);
    assert!(said.contains("kid hpc-1") && said.contains("jwt jwks build"), "{said}");
    site.assert_file("keys/k.pem", 0o400, site.slurm_user.1);
    let key = site.read("keys/k.pem");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let about = openssl::read(&["pkey", "-check", "-noout", "-text"], key.as_bytes());
    assert!(about.contains("Key is valid") && about.contains("3072 bit"), "{about}");
    site.refused(&["jwt", "key", "init", "--rs256", "--out", &out]);
    assert_eq!(site.read("keys/k.pem"), key);
}

#[test]
fn a_relative_path_in_slurm_conf_is_refused() {
    let site = site("");
    slurm_conf(&site, "jwt_key=jwt.key");
    assert!(site.refused(&["jwt", "key", "init"]).contains("no absolute path"));
}

#[test]
fn slurmdbd_conf_leads_no_key_into_a_folder_of_somebody_elses() {
    let site = site("");
    // As root's own folders are: closed, and not SlurmUser's.
    folder(&site, "foreign", 0o700);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(site.path("foreign"), Some(0), Some(0)).unwrap();
    } else {
        // There is none that this user could close: one of root's.
        fs::remove_dir(site.path("foreign")).unwrap();
        std::os::unix::fs::symlink("/etc", site.path("foreign")).unwrap();
    }
    let there = site.text_path("foreign/profile");
    let conf = format!("DbdHost=localhost\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={there}\n");
    site.write("slurmdbd.conf", &conf, 0o600);
    let said = site.refused(&["jwt", "key", "init"]);
    assert!(said.contains("no key is put into"), "{said}");
    assert!(!site.path("foreign/profile").exists() && !site.path("state/jwt_hs256.key").exists());
}

#[test]
fn a_link_in_the_place_of_the_key_gives_nobody_what_it_leads_to() {
    let site = site("");
    folder(&site, "dbd", 0o700);
    let dbd = site.text_path("dbd/jwt.key");
    let conf = format!("DbdHost=localhost\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={dbd}\n");
    site.write("slurmdbd.conf", &conf, 0o600);
    site.write("shadow", "secret", 0o600);
    let key = site.path("state/jwt_hs256.key");
    std::os::unix::fs::symlink(site.path("shadow"), &key).unwrap();
    site.refused(&["jwt", "key", "init"]);
    assert!(!site.path("dbd/jwt.key").exists());
    fs::remove_file(&key).unwrap();
    fs::hard_link(site.path("shadow"), &key).unwrap();
    let said = site.refused(&["jwt", "key", "init"]);
    assert!(said.contains("another name of the same file"), "{said}");
    assert!(!site.path("dbd/jwt.key").exists());
}
