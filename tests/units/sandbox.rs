//! What the sandbox of the renewal leaves is enough for it: its capabilities and no_new_privs, put on by setpriv(1).

use std::process::Command;

use support::programs::program;

use crate::scratch::{Scratch, caller, text};
use crate::unit;

/// setpriv's words for a unit's CapabilityBoundingSet; without root there are no capabilities to be dropped.
fn bounds() -> Vec<String> {
    let unit = unit("slurm-pki-renew.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let kept: Vec<String> =
        line.split(' ').map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase())).collect();
    assert!(kept.len() > 3, "{line}");
    let mut words = vec!["--no-new-privs".to_owned()];
    if caller() == 0 {
        words.extend(["--inh-caps=-all".to_owned(), format!("--bounding-set=-all,{}", kept.join(","))]);
    }
    words
}

#[test]
fn within_its_sandbox_the_renewal_rehearses_renews_and_looks_at_other_users_files() {
    let site = Scratch::new();
    site.slurm_conf("SlurmctldHost=localhost\n");
    site.init(&[]);
    let config = format!("{}\n[daemons.ctld]\n", site.read("slurm-pki.toml"));
    site.write("slurm-pki.toml", &config, 0o644);
    for args in [&["rehearse"][..], &["cert", "renew", "--force"], &["cert", "list"]] {
        let mut command: Command = site.command("setpriv".as_ref());
        let output = command.args(bounds()).arg(program("slurm-pki")).args(args).output();
        let output = output.unwrap_or_else(|e| panic!("setpriv (package util-linux) cannot be run: {e}"));
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    assert_eq!(site.issued(), ["slurmctld", "slurmctld"]);
    site.assert_file("ctld_cert_key.pem", 0o600, site.slurm_user.1);
}
