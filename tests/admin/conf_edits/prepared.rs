//! `--prepare`: new files beside the old ones, whatever runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::apart::apart;
use crate::site::{ENABLE, files, slurm_pki, with_command, with_sample};

const PREPARE: [&str; 5] = ["conf", "enable", "--yes", "--offline", "--prepare"];

#[test]
fn the_new_files_are_what_enable_would_make_and_the_old_ones_stay() {
    apart!({
        let site = with_sample("include.conf");
        let before = files(&site);
        let path = with_command(&site, "squeue", "echo 17");
        let output = slurm_pki(&site).env("PATH", path).args(PREPARE).output().unwrap();
        let shown = crate::scratch::text(&output.stdout);
        assert!(output.status.success(), "{}", crate::scratch::text(&output.stderr));
        assert_eq!(files(&site), before);
        let prepared =
            ["slurm.conf", "slurmdbd.conf", "tls_c1.inc"].map(|name| site.read(&format!("{name}.new")));
        assert!(shown.contains(&format!("mv {0}.new {0}\n", site.text_path("slurm.conf"))), "{shown}");
        assert_eq!(fs::metadata(site.path("slurmdbd.conf.new")).unwrap().mode() & 0o777, 0o600);
        site.done(&PREPARE);
        site.done(&ENABLE);
        assert_eq!(["slurm.conf", "slurmdbd.conf", "tls_c1.inc"].map(|name| site.read(name)), prepared);
    });
}

#[test]
fn a_file_of_somebody_else_by_that_name_stays() {
    apart!({
        let site = with_sample("plain.conf");
        site.write("slurm.conf.new", "my own draft\n", 0o644);
        let said = site.refused(&PREPARE);
        assert!(said.contains("slurm.conf.new is there and says something else"), "{said}");
        assert_eq!(site.read("slurm.conf.new"), "my own draft\n");
    });
}

#[test]
fn disable_prepares_too() {
    apart!({
        let site = with_sample("debug_flags.conf");
        let before = site.read("slurm.conf");
        site.done(&ENABLE);
        let enabled = files(&site);
        site.done(&["conf", "disable", "--yes", "--prepare"]);
        assert_eq!(files(&site), enabled);
        assert_eq!(site.read("slurm.conf.new"), before);
    });
}

#[test]
fn a_prepared_file_that_leaves_tls_on_is_no_success() {
    apart!({
        let site = with_sample("half_enabled.conf");
        site.done(&ENABLE);
        let said = site.refused(&["conf", "disable", "--yes", "--prepare"]);
        assert!(said.contains("TLS stays on with that; still there, and not by conf enable: "), "{said}");
        assert!(
            said.contains(
                "move the new files away, then slurm-pki conf disable --all --prepare takes them out too"
            ),
            "{said}"
        );
        for name in ["slurm.conf.new", "slurmdbd.conf.new"] {
            fs::remove_file(site.path(name)).unwrap();
        }
        site.done(&["conf", "disable", "--yes", "--prepare", "--all"]);
        assert!(!site.read("slurm.conf.new").contains("TLSType"));
    });
}
