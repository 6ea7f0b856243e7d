//! The alerts and the dashboard that come with the package: they load, they ask for nothing that `metrics` does
//! not print, and each alert is raised by what it is for, and by nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use support::programs::workspace;

use crate::metrics::busy_site;
use crate::scratch::text;

const RULES: &str = "packaging/prometheus/slurm-pki.rules.yml";
const DASHBOARD: &str = "packaging/grafana/slurm-pki.json";

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

#[track_caller]
fn promtool(args: &[&str]) {
    let output = Command::new("promtool").current_dir(workspace()).args(args).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Every name of a metric of ours in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("slurm_pki_"));
    words.map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_nothing_that_is_not_printed() {
    let printed = metrics_in(&busy_site().done(&["metrics"]).0);
    for path in [RULES, DASHBOARD] {
        let asked = metrics_in(&read(path));
        assert!(asked.len() > 8, "{path}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&printed).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn prometheus_loads_the_alerts_and_each_is_raised_by_what_it_is_for() {
    promtool(&["check", "rules", RULES]);
    promtool(&["test", "rules", "tests/admin/status/alerts.yml"]);
    let (rules, cases) = (read(RULES), read("tests/admin/status/alerts.yml"));
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(cases.contains(&format!("alertname: {alert}\n")), "no case for {alert}");
    }
}

#[test]
fn each_panel_of_the_dashboard_asks_for_something_with_the_hosts_of_the_choice() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 8);
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let asked = target["expr"].as_str().unwrap();
            assert!(asked.contains("instance=~\"$instance\""), "{asked}");
            // As Grafana sends it, it is a query that Prometheus understands.
            let asked = asked.replace("$instance", ".*");
            let rule =
                serde_json::json!({"groups": [{"name": "g", "rules": [{"record": "r", "expr": asked}]}]});
            // JSON is YAML.
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("rule.yml"), rule.to_string()).unwrap();
            promtool(&["check", "rules", folder.path().join("rule.yml").to_str().unwrap()]);
        }
    }
}
