//! A slurm.conf that cannot be had, or that lies somewhere else than it seems.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;

use support::programs::{copy_for_everybody, program};

use crate::apart::apart;
use crate::scratch::{caller, text};
use crate::site::{DISABLE, ENABLE, files, with_sample};

#[test]
fn a_missing_one_is_named_with_what_to_do() {
    apart!({
        let site = with_sample("plain.conf");
        fs::remove_file(site.path("slurm.conf")).unwrap();
        for args in [&ENABLE[..], &DISABLE[..]] {
            let said = site.refused(args);
            assert!(said.contains(&format!("there is no {}", site.text_path("slurm.conf"))), "{said}");
            assert!(said.contains("SLURM_CONF") && said.contains("--node"), "{said}");
        }
        symlink("/nowhere/slurm.conf", site.path("slurm.conf")).unwrap();
        assert!(site.refused(&ENABLE).contains("is a link, and there is nothing where it leads"));
    });
}

#[test]
fn a_link_stays_and_the_file_behind_it_is_changed() {
    apart!({
        let site = with_sample("plain.conf");
        fs::create_dir(site.path("real")).unwrap();
        fs::rename(site.path("slurm.conf"), site.path("real/cluster.conf")).unwrap();
        symlink("real/cluster.conf", site.path("between")).unwrap();
        symlink("between", site.path("slurm.conf")).unwrap();
        let before = site.read("slurm.conf");
        site.done(&ENABLE);
        assert!(site.path("slurm.conf").is_symlink() && site.path("between").is_symlink());
        assert!(!site.path("real/cluster.conf").is_symlink());
        assert!(site.read("real/cluster.conf").contains("TLSType=tls/s2n"));
        site.done(&DISABLE);
        assert_eq!(site.read("real/cluster.conf"), before);
    });
}

#[test]
fn root_follows_no_link_of_somebody_else() {
    apart!({
        let site = with_sample("plain.conf");
        fs::rename(site.path("slurm.conf"), site.path("target")).unwrap();
        symlink("target", site.path("slurm.conf")).unwrap();
        if caller() != 0 {
            return site.done(&ENABLE).0.clear();
        }
        let uid = Some(site.slurm_user.1);
        std::os::unix::fs::lchown(site.path("slurm.conf"), uid, None).unwrap();
        let before = site.everything();
        let said = site.refused(&ENABLE);
        assert!(said.contains("is a link that is not root's"), "{said}");
        assert_eq!(site.everything(), before);
    });
}

#[test]
fn one_that_is_not_the_callers_is_not_replaced() {
    apart!({
        let site = with_sample("plain.conf");
        let programs = tempfile::tempdir().unwrap();
        fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = site.command(&copy_for_everybody(&program("slurm-pki"), programs.path()));
        fs::remove_file(site.path("slurmdbd.conf")).unwrap();
        if caller() == 0 {
            command.uid(65_534).gid(65_534);
        } else {
            fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o555)).unwrap();
        }
        let output = command.args(ENABLE).output().unwrap();
        fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("slurm.conf cannot be replaced") && said.contains("run this as root"),
            "{said}"
        );
    });
}

/// As on NFS, where the server may take root for nobody.
#[test]
fn a_folder_that_root_may_not_write_to_is_named_as_that() {
    apart!({
        let site = with_sample("plain.conf");
        if caller() != 0 {
            return drop(site.done(&ENABLE));
        }
        std::os::unix::fs::chown(site.path(""), Some(site.slurm_user.1), None).unwrap();
        let mut command = site.command(std::path::Path::new("setpriv"));
        command.arg("--bounding-set=-dac_override").arg(program("slurm-pki")).args(ENABLE);
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("root may not write to its folder") && said.contains("root_squash"), "{said}");
    });
}

#[test]
fn an_include_that_is_not_there_stops_before_anything_is_changed() {
    apart!({
        let site = with_sample("include.conf");
        fs::remove_file(site.path("nodes.inc")).unwrap();
        let before = site.everything();
        let said = site.refused(&ENABLE);
        let (slurm, included) = (site.text_path("slurm.conf"), site.text_path("nodes.inc"));
        assert!(said.contains(&format!("{slurm} includes {included}, which is not there")), "{said}");
        assert!(said.contains("no wildcards and no quotes"), "{said}");
        assert_eq!(site.everything(), before);
    });
}

#[test]
fn a_file_that_is_included_by_two_names_is_changed_once() {
    apart!({
        let site = with_sample("include.conf");
        symlink("tls_c1.inc", site.path("other.inc")).unwrap();
        let text =
            site.read("slurm.conf").replace("Include tls_%c.inc", "Include tls_c1.inc\nInclude other.inc");
        site.write("slurm.conf", &text, 0o644);
        let before = files(&site);
        site.done(&ENABLE);
        assert_eq!(site.read("tls_c1.inc").matches("# BEGIN").count(), 1);
        assert!(site.path("other.inc").is_symlink());
        site.done(&DISABLE);
        assert_eq!(files(&site), before);
    });
}

#[test]
fn a_file_that_both_include_is_changed_by_neither() {
    apart!({
        let site = with_sample("include.conf");
        site.write("slurmdbd.conf", "Include tls_c1.inc\n", 0o600);
        let before = site.everything();
        assert!(site.refused(&ENABLE).contains("tls_c1.inc is included by two files"));
        assert_eq!(site.everything(), before);
    });
}
