//! `jwt key init` where slurmdbd is on a host of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::hosts::{Hosts, mode_and_owner};

/// A controller whose slurm.conf lies in the site's folder, as slurmdbd.conf does on n1.
fn with_slurmdbd(slurmdbd_conf: Option<&str>) -> Hosts {
    let hosts = Hosts::new(1);
    let state = hosts.site.path("slurm-state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let conf = format!(
        "ClusterName=c1\nSlurmctldHost=controller\nSlurmUser=root\nStateSaveLocation={}\nAccountingStorageHost=n1\n",
        state.display()
    );
    fs::write(hosts.site.path("slurm.conf"), conf).unwrap();
    if let Some(text) = slurmdbd_conf {
        fs::write(hosts.on("n1", &hosts.site.path("slurmdbd.conf")), text).unwrap();
    }
    hosts
}

fn init(hosts: &Hosts) -> Output {
    let mut command = hosts.command(&["jwt", "key", "init"]);
    command.env("SLURM_CONF", hosts.site.path("slurm.conf")).output().unwrap()
}

#[test]
fn the_key_comes_to_slurmdbds_host_where_its_own_conf_says_and_never_over_another() {
    let hosts = with_slurmdbd(None);
    let key = hosts.site.path("dbd.key");
    let conf = format!("StoragePass=secret\nAuthAltParameters=x=1,jwt_key={},y\n", key.display());
    fs::write(hosts.on("n1", &hosts.site.path("slurmdbd.conf")), conf).unwrap();
    let output = init(&hosts);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let there = hosts.on("n1", &key);
    let ours = fs::read(hosts.site.path("slurm-state/jwt_hs256.key")).unwrap();
    assert_eq!((fs::read(&there).unwrap(), mode_and_owner(&there)), (ours.clone(), (0o400, 0, 0)));
    // The right bytes that others may read are put there anew.
    fs::set_permissions(&there, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(init(&hosts).status.success());
    assert_eq!((fs::read(&there).unwrap(), mode_and_owner(&there)), (ours.clone(), (0o400, 0, 0)));
    assert!(init(&hosts).status.success());
    fs::remove_file(&there).unwrap();
    fs::write(&there, "another").unwrap();
    let refused = init(&hosts);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("two different keys") && said.contains("on n1"), "{said}");
    assert_eq!(fs::read(&there).unwrap(), b"another");
    assert_eq!(fs::read(hosts.site.path("slurm-state/jwt_hs256.key")).unwrap(), ours);
}

#[test]
fn a_slurmdbd_that_knows_of_no_key_yet_is_named_and_a_host_that_is_away_leaves_all_as_it_was() {
    let mut hosts = with_slurmdbd(Some("StoragePass=secret\n"));
    let output = init(&hosts);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("n1: its slurmdbd.conf has no jwt_key="), "{said}");
    assert!(!said.contains("secret"), "{said}");
    fs::remove_file(hosts.site.path("slurm-state/jwt_hs256.key")).unwrap();
    hosts.stop(1);
    assert_eq!(init(&hosts).status.code(), Some(1));
    assert!(!hosts.site.path("slurm-state/jwt_hs256.key").exists());
}
