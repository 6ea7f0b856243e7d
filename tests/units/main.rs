//! The systemd units that come with the package, judged by systemd's own tools. (systemd itself need not run.)
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod sandbox;
#[path = "../admin/scratch.rs"]
#[expect(dead_code, reason = "shared with the tests of commands")]
mod scratch;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::programs::{program, workspace};
use tempfile::TempDir;

const UNITS: [&str; 10] = [
    "slurm-pki-jwks.service",
    "slurm-pki-jwks.timer",
    "slurm-pki-renew.service",
    "slurm-pki-renew.timer",
    "slurm-pki-metrics.service",
    "slurm-pki-metrics.timer",
    "slurm-pki-vault-renew.service",
    "slurm-pki-vault-renew.timer",
    "slurm-pki-proxy-token@.service",
    "slurm-pki-proxy-token@.timer",
];

/// systemd counts tenths of its exposure level, from 0 to 100; "OK" ends at 49.
const MOST_EXPOSED: u32 = 35;

fn unit(name: &str) -> String {
    let path = workspace().join("packaging/systemd").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The units with the built program in the place of the installed one, which verify looks for.
fn with_the_built_program() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let built = program("slurm-pki");
        let text = unit(name).replace("/usr/sbin/slurm-pki", built.to_str().unwrap());
        let ours = workspace().join("packaging/libexec");
        let text = text.replace("/usr/libexec/slurm-pki", ours.to_str().unwrap());
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[track_caller]
fn analyze(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("systemd-analyze").current_dir(folder).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("systemd-analyze (package systemd) cannot be run: {e}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "systemd-analyze {args:?}: {said}");
    said
}

#[test]
fn systemd_has_nothing_to_say_about_them() {
    let folder = with_the_built_program();
    for name in UNITS {
        let said = analyze(folder.path(), &["verify", "--man=no", &format!("./{name}")]);
        let about_ours: Vec<_> = said.lines().filter(|line| line.contains("slurm-pki")).collect();
        assert!(about_ours.is_empty(), "{about_ours:?}");
    }
}

#[test]
fn they_keep_to_what_they_need() {
    let folder = with_the_built_program();
    for name in UNITS.iter().filter(|name| name.ends_with(".service")) {
        let threshold = format!("--threshold={MOST_EXPOSED}");
        let _ = analyze(
            folder.path(),
            &["security", "--offline=true", "--no-pager", &threshold, &format!("./{name}")],
        );
    }
}

#[test]
fn each_runs_a_command_that_there_is() {
    for name in UNITS.iter().filter(|name| name.ends_with(".service")) {
        let text = unit(name);
        let command =
            text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/sbin/slurm-pki ")).unwrap();
        let mut help = Command::new(program("slurm-pki"));
        let output = help.args(command.split(' ')).arg("--help").output().unwrap();
        assert!(output.status.success(), "{name}: slurm-pki {command} --help");
    }
}

#[test]
fn a_renewal_that_was_missed_is_made_up_for_and_every_site_has_its_own_minute() {
    let timer = unit("slurm-pki-renew.timer");
    for line in ["Persistent=yes", "RandomizedDelaySec=50min", "FixedRandomDelay=yes", "OnCalendar=hourly"] {
        assert!(timer.lines().any(|is| is == line), "{line}");
    }
}

#[test]
fn a_token_becomes_what_each_proxy_includes_and_anything_else_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = workspace().join("packaging/libexec/proxy-token");
    let run = || Command::new(&script).arg(folder.path()).output().unwrap();
    let read = |name| fs::read_to_string(folder.path().join(name));
    fs::write(folder.path().join("token"), "eyJ.a-b_c.d\n").unwrap();
    assert!(run().status.success());
    assert_eq!(read("nginx.conf").unwrap(), "map 1 $slurm_token { default \"eyJ.a-b_c.d\"; }\n");
    assert_eq!(read("apache.conf").unwrap(), "Define SLURM_TOKEN eyJ.a-b_c.d\n");
    assert!(read("token").is_err());
    fs::write(folder.path().join("token"), "a\"; } server { }\n").unwrap();
    assert!(!run().status.success());
    assert!(read("nginx.conf").unwrap().contains("eyJ.a-b_c.d"), "what was there stays");
}
