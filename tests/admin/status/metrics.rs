//! `metrics`: read back by Prometheus' own promtool, and compared with `status`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use support::programs::{program, workspace};
use support::site::now;
use support::strace;

use crate::nodes::{issued_at, put};
use crate::pairs::{self, DAY};
use crate::scratch::{Scratch, caller, changes, text};

/// Whether promtool takes a text for metrics, and finds nothing to say about it.
#[track_caller]
fn assert_promtool_takes(metrics: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}{metrics}");
}

/// Every sample by its name and labels.
fn samples(metrics: &str) -> BTreeMap<&str, i64> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

/// A site with something of everything.
pub(crate) fn busy_site() -> Scratch {
    let site = pairs::old_site();
    site.done(&["node", "add", "n[1-4]"]);
    for (node, days) in [("n1", 0), ("n2", 4), ("n3", 8)] {
        issued_at(&site, node, now().minus(days * DAY));
    }
    put(&site, "state/fleet/skipped.json", "{\"h7\":{\"token\":1700000000}}");
    crate::keys::put_all(&site);
    site
}

#[test]
fn promtool_takes_all_of_it_and_it_says_what_status_says() {
    let site = busy_site();
    let metrics = site.done(&["metrics", "--per-node"]).0;
    assert_promtool_takes(&metrics);
    let samples = samples(&metrics);
    let status = site.json(&["status"], "slurm-pki.status.v1");
    let same = |sample: &str, value: &serde_json::Value| {
        assert_eq!(samples.get(sample).copied(), value.as_i64(), "{sample}: {metrics}");
    };
    let daemon = &status["daemons"][0];
    same("slurm_pki_cert_not_after_seconds{daemon=\"slurmctld\"}", &daemon["leaf"]["not_after"]);
    same("slurm_pki_cert_due_seconds{daemon=\"slurmctld\"}", &daemon["due"]);
    same("slurm_pki_cert_state{daemon=\"slurmctld\",state=\"ok\"}", &1.into());
    same("slurm_pki_cert_state{daemon=\"slurmctld\",state=\"due\"}", &0.into());
    for state in ["ok", "late", "expired", "never"] {
        same(&format!("slurm_pki_node_certificates{{state=\"{state}\"}}"), &1.into());
    }
    same("slurm_pki_nodes{state=\"enrolled\"}", &4.into());
    same("slurm_pki_node_first_not_after_seconds", &status["nodes"]["first_end"]["time"]);
    same("slurm_pki_node_last_issued_seconds", &status["nodes"]["last_renewal"]["time"]);
    same("slurm_pki_node_not_after_seconds{node=\"n2\"}", &status["nodes"]["first_end"]["time"]);
    same("slurm_pki_tokens{state=\"waiting\"}", &4.into());
    same("slurm_pki_skipped_hosts", &1.into());
    let keys = &status["keys"];
    same("slurm_pki_key_made_seconds{key=\"auth_slurm\"}", &keys["auth"]["made"]);
    same("slurm_pki_key_made_seconds{key=\"jwt\"}", &keys["jwt"]["changed"]);
    same("slurm_pki_key_usable{key=\"jwks\"}", &1.into());
    same("slurm_pki_auth_key_rotation_under_way", &1.into());
    same("slurm_pki_auth_key_rotation_phase{phase=\"add\"}", &1.into());
    same("slurm_pki_auth_key_rotation_phase{phase=\"use\"}", &0.into());
    same("slurm_pki_auth_key_rotation_begun_seconds", &keys["auth"]["rotation"]["begun"]);
    same("slurm_pki_auth_key_behind", &2.into());
    same("slurm_pki_auth_keys", &2.into());
    same("slurm_pki_jwt_keys_equal", &1.into());
    same("slurm_pki_jwks_keys", &1.into());
    same("slurm_pki_jwks_last_good_fetch_seconds", &keys["jwks"]["fetched"]["last_good"]);
    same("slurm_pki_bind{mode=\"required\"}", &1.into());
    same("slurm_pki_ledger_bytes", &status["ledger"]["bytes"]);
    let age = now().0 - samples["slurm_pki_last_run_timestamp_seconds"];
    assert!((0..60).contains(&age), "{age}");
    let ca = samples.iter().find(|(name, _)| name.starts_with("slurm_pki_ca_not_after_seconds{")).unwrap();
    assert_eq!(Some(*ca.1), status["ca"]["ends"].as_i64());
    assert!(ca.0.contains("subject=\"CN=Old CA\"") && ca.0.contains("in_use=\"true\""), "{}", ca.0);
}

#[test]
fn without_asking_for_it_no_node_has_a_series_of_its_own() {
    let metrics = busy_site().done(&["metrics"]).0;
    assert!(!metrics.contains("node=\""), "{metrics}");
}

#[test]
fn a_site_where_nothing_was_issued_has_metrics_too() {
    let site = Scratch::ready();
    let metrics = site.done(&["metrics"]).0;
    assert_promtool_takes(&metrics);
    assert!(!metrics.contains("slurm_pki_node_last_issued_seconds"), "no time is not 1970");
}

#[test]
fn names_that_others_chose_stay_inside_their_labels() {
    let site = pairs::old_site();
    let (root, _) =
        support::site::new_ca("a\\\"} 1\nslurm_pki_up 1\n# \u{202e}", now().minus(DAY), now().plus(DAY));
    pairs::overwrite(&site, "ca_cert.pem", &(site.read("ca_cert.pem") + &root));
    let metrics = site.done(&["metrics"]).0;
    assert_promtool_takes(&metrics);
    assert!(!metrics.contains("\nslurm_pki_up"), "{metrics}");
}

#[test]
fn the_file_of_the_config_is_replaced_as_a_whole_and_readable_for_everybody() {
    let site = busy_site();
    fs::create_dir(site.path("textfile")).unwrap();
    let file = site.text_path("textfile/slurm-pki.prom");
    let config = site.read("slurm-pki.toml") + &format!("\n[metrics]\ntextfile = \"{file}\"\n");
    site.write("slurm-pki.toml", &config, 0o644);
    assert!(site.done(&["metrics", "--dry-run"]).0.contains("textfile/slurm-pki.prom (0644"));
    assert!(!site.path("textfile/slurm-pki.prom").exists());
    assert_eq!(site.done(&["metrics"]), (String::new(), String::new()));
    site.assert_file("textfile/slurm-pki.prom", 0o644, caller());
    assert_promtool_takes(&site.read("textfile/slurm-pki.prom"));
    let inode = || fs::metadata(site.path("textfile/slurm-pki.prom")).unwrap().ino();
    let before = (inode(), fs::File::open(site.path("textfile/slurm-pki.prom")).unwrap());
    site.done(&["metrics"]);
    assert_ne!(inode(), before.0, "a reader of the old one still has all of it");
    assert_eq!(fs::read_dir(site.path("textfile")).unwrap().count(), 1);
    assert!(site.done(&["metrics", "--textfile", "-"]).0.contains("slurm_pki_build_info"));
    site.done(&["metrics", "--textfile", &site.text_path("textfile/other.prom")]);
    assert!(site.path("textfile/other.prom").exists());
    let (_, said) = site.done(&["metrics", "--textfile", &site.text_path("textfile/other.txt")]);
    assert!(said.contains("node_exporter reads *.prom only"), "{said}");
}

#[test]
fn a_part_that_cannot_be_read_is_a_number_too_and_the_run_fails() {
    let site = busy_site();
    put(&site, "state/fleet/skipped.json", "not json");
    let file = site.text_path("slurm-pki.prom");
    assert!(site.refused(&["metrics", "--textfile", &file]).contains("not everything could be read"));
    let metrics = site.read("slurm-pki.prom");
    assert_promtool_takes(&metrics);
    let samples = samples(&metrics);
    assert_eq!(samples["slurm_pki_part_readable{part=\"skipped\"}"], 0);
    assert_eq!(samples["slurm_pki_part_readable{part=\"nodes\"}"], 1);
    assert!(!samples.contains_key("slurm_pki_skipped_hosts"), "what is not known is not 0");
}

#[test]
fn a_run_that_cannot_write_leaves_the_old_file_and_fails() {
    let site = busy_site();
    assert!(site.refused(&["metrics", "--textfile", "/nowhere/slurm-pki.prom"]).contains("/nowhere"));
    assert_eq!(site.run(&["metrics", "--json"]).status.code(), Some(64));
}

/// Killed in place of every change: node_exporter finds the old file or the new one.
#[test]
fn whatever_kills_it_the_file_is_whole() {
    let site = busy_site();
    let file = site.text_path("slurm-pki.prom");
    let run = ["metrics", "--textfile", &file];
    site.done(&run);
    let (calls, output) = strace::trace(&site.bare(), &program("slurm-pki"), &run);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let changes = changes(&calls);
    assert!(changes.len() > 3, "{} changes", changes.len());
    for call in changes {
        let output = strace::strike(&site.bare(), &program("slurm-pki"), &run, call, strace::Fault::Kill);
        assert_eq!(output.status.signal(), Some(9), "{call:?}: {}", text(&output.stderr));
        let left = site.read("slurm-pki.prom");
        assert_promtool_takes(&left);
        assert!(left.contains("slurm_pki_ledger_free_bytes "), "{call:?}: {left}");
    }
}

#[test]
fn the_shipped_unit_runs_a_command_that_writes_the_file_of_the_config() {
    let site = busy_site();
    let file = site.text_path("slurm-pki.prom");
    let config = site.read("slurm-pki.toml") + &format!("\n[metrics]\ntextfile = \"{file}\"\n");
    site.write("slurm-pki.toml", &config, 0o644);
    let unit = workspace().join("packaging/systemd/slurm-pki-metrics.service");
    let unit = fs::read_to_string(unit).unwrap();
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/sbin/slurm-pki ")).unwrap();
    site.done(&command.split(' ').collect::<Vec<_>>());
    assert_promtool_takes(&site.read("slurm-pki.prom"));
}
