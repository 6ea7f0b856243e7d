//! `status`: one table over everything, and what runs out next.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::programs::program;
use support::site::now;
use support::strace;

use crate::nodes::{Controller, issued_at, put, secret};
use crate::pairs::{self, DAY};
use crate::scratch::{Scratch, text};

const HOUR: Duration = Duration::from_secs(3600);

#[track_caller]
fn status(site: &Scratch) -> Value {
    site.json(&["status"], "slurm-pki.status.v1")
}

/// n1 is well, n2 missed renewals, n[3-4] are over, n5 never got a certificate, n6 is removed.
fn six_nodes() -> Scratch {
    let site = Scratch::ready();
    site.done(&["node", "add", "n[1-6]"]);
    for (node, age) in [("n1", HOUR), ("n2", 4 * DAY), ("n3", 8 * DAY), ("n4", 9 * DAY), ("n6", 9 * DAY)] {
        issued_at(&site, node, now().minus(age));
    }
    site.done(&["node", "remove", "n6", "--yes"]);
    site
}

#[test]
fn nodes_are_told_apart_by_their_certificates_and_named_as_hostlists() {
    let site = six_nodes();
    let nodes = &status(&site)["nodes"];
    assert_eq!(nodes["total"], 5);
    assert_eq!(nodes["states"], serde_json::json!({"enrolled": 5, "removed": 1}));
    assert_eq!(nodes["certificates"], serde_json::json!({"ok": 1, "late": 1, "expired": 2, "never": 1}));
    assert_eq!(
        (&nodes["late"], &nodes["expired"], &nodes["never"]),
        (&"n2".into(), &"n[3-4]".into(), &"n5".into())
    );
    assert_eq!(nodes["last_renewal"]["node"], "n1");
    assert_eq!(nodes["oldest_renewal"]["node"], "n2");
    assert_eq!(nodes["first_end"]["node"], "n2");
    let (table, _) = site.done(&["status"]);
    for line in [
        "no living certificate: n[3-4]",
        "enrolled, and never got one: n5",
        "missed renewals and live on: n2",
    ] {
        assert!(table.contains(line), "{line}: {table}");
    }
    assert!(!table.contains('\x1b'), "colours go to terminals only");
}

#[test]
fn a_renewal_period_of_slurm_conf_says_who_is_late() {
    let site = six_nodes();
    site.slurm_conf(
        "SlurmctldHost=h1\nCertmgrParameters=sign_csr_script=/x,certificate_renewal_period=20160\n",
    );
    assert_eq!(status(&site)["nodes"]["certificates"]["late"], Value::Null);
    site.slurm_conf("SlurmctldHost=h1\nCertmgrParameters=certificate_renewal_period=5\n");
    assert_eq!(status(&site)["nodes"]["late"], "n[1-2]");
}

#[test]
fn what_was_just_issued_is_there() {
    let site = Scratch::ready();
    site.done(&["node", "add", "n[1-2]"]);
    assert_eq!(status(&site)["nodes"]["last_renewal"], Value::Null);
    Controller::of(&site).signs("n2", &secret(&site, "n2"));
    let status = status(&site);
    assert_eq!(status["nodes"]["last_renewal"]["node"], "n2");
    assert_eq!(status["nodes"]["never"], "n1");
    assert_eq!(status["ledger"]["last_node"], "n2");
    assert_eq!(status["ledger"]["files"], 1);
}

#[test]
fn a_lost_file_of_a_nodes_last_certificate_is_made_up_from_the_ledger() {
    let site = six_nodes();
    fs::remove_file(site.path("state/ledger/last/n1.json")).unwrap();
    put(&site, "state/ledger/last/n2.json", "{\"v\":1,\"ti");
    assert_eq!(status(&site)["nodes"]["certificates"], status(&six_nodes())["nodes"]["certificates"]);
    fs::remove_dir_all(site.path("state/ledger/last")).unwrap();
    assert_eq!(status(&site)["nodes"]["expired"], "n[3-4]");
}

#[test]
fn a_name_without_a_record_counts_while_its_certificate_lives_and_is_then_forgotten() {
    let site = six_nodes();
    let of = |name: &str, age: Duration| {
        let line = site.read("state/ledger/last/n1.json").replace("\"n1\"", &format!("\"{name}\""));
        let mut line: Value = serde_json::from_str(&line).unwrap();
        (line["time"], line["not_after"]) =
            (now().minus(age).0.into(), now().plus(7 * DAY).minus(age).0.into());
        put(&site, &format!("state/ledger/last/{name}.json"), &line.to_string());
    };
    of("static1", DAY);
    of("gone1", 60 * DAY);
    of("slurmrestd", DAY);
    let nodes = &status(&site)["nodes"];
    assert_eq!((&nodes["states"]["unrecorded"], &nodes["total"]), (&1.into(), &6.into()));
    assert_eq!(nodes["late"], "n2", "nobody renews a static pair by itself");
}

#[test]
fn tokens_are_counted_by_what_is_to_be_done_about_them() {
    let site = Scratch::ready();
    site.done(&["node", "add", "n[1-3]", "--expires", "3d"]);
    site.done(&["node", "add", "n[4-5]", "--expires", "30d", "--single-use"]);
    site.done(&["node", "add", "n6"]);
    let list = site.text_path("tokens.txt");
    site.write("tokens.txt", "n7 0123456789abcdef0123456789abcdef\n", 0o600);
    site.done(&["node", "import", &list]);
    let tokens = &status(&site)["tokens"];
    let group =
        |name: &str| (tokens[name]["count"].as_u64().unwrap(), tokens[name]["nodes"].as_str().unwrap());
    assert_eq!(group("waiting"), (6, "n[1-6]"));
    assert_eq!(group("ending"), (3, "n[1-3]"));
    assert_eq!(group("single_use"), (2, "n[4-5]"));
    assert_eq!(group("foreign"), (1, "n7"));
    assert_eq!(tokens["first_end"]["node"], "n1");
}

#[test]
fn what_runs_out_first_comes_first() {
    let site = six_nodes();
    site.done(&["node", "token", "n1", "--expires", "1h"]);
    let status = status(&site);
    let next: Vec<_> = status["next"].as_array().unwrap().iter().collect();
    let times: Vec<_> = next.iter().map(|ending| ending["at"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let what: Vec<_> = next.iter().map(|ending| ending["what"].as_str().unwrap()).collect();
    assert_eq!(
        what,
        [
            "tokens: the first one (n1)",
            "nodes: the first of 2 certificates (n2)",
            "slurmctld: its certificate",
            "CA: CN=c1 Slurm CA (root)",
        ]
    );
}

#[test]
fn the_certificates_of_the_ca_say_which_of_them_are_in_use() {
    let site = pairs::old_site();
    let (stranger, _) = support::site::new_ca("Former CA", now().minus(90 * DAY), now().plus(DAY));
    pairs::overwrite(&site, "ca_cert.pem", &(site.read("ca_cert.pem") + &stranger));
    let ca = &status(&site)["ca"];
    let use_of = |n: usize| {
        let ca = &ca["certificates"][n];
        (ca["subject"].as_str().unwrap().to_owned(), ca["signs"] == true, ca["in_use"] == true)
    };
    assert_eq!(use_of(0), ("CN=Old CA".into(), true, true));
    assert_eq!(use_of(1), ("CN=Former CA".into(), false, false));
    assert_eq!(ca["ends"], ca["certificates"][0]["not_after"]);
    let site = Scratch::new();
    site.init(&["--intermediate"]);
    let ca = status(&site)["ca"].clone();
    let kinds: Vec<_> = ca["certificates"].as_array().unwrap().iter().map(|ca| &ca["kind"]).collect();
    assert_eq!(kinds, ["root", "intermediate"]);
    assert!(ca["certificates"].as_array().unwrap().iter().all(|ca| ca["in_use"] == true), "{ca}");
}

#[test]
fn a_part_that_cannot_be_read_says_so_and_hides_no_other() {
    let site = six_nodes();
    put(&site, "state/fleet/skipped.json", "not json");
    let said = site.refused(&["status"]);
    assert!(
        said.contains("not everything could be read: skipped (") && said.contains("skipped.json"),
        "{said}"
    );
    let output = site.run(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(status["data"]["skipped"]["problem"].as_str().unwrap().contains("skipped.json"), "{status}");
    assert_eq!(status["data"]["nodes"]["total"], 5);
    put(&site, "state/fleet/skipped.json", "{\"h7\":{\"token\":1700000500,\"ca-cert\":1700000000}}");
    assert!(site.done(&["status"]).0.contains("h7: missed the CA certificates of a change of CA, node push"));
    assert_eq!(self::status(&site)["skipped"][0]["since"], 1_700_000_000);
    put(&site, "state/tokens/n1.json", "{");
    assert!(site.done(&["status"]).0.contains("unusable"));
    let nodes = &self::status(&site)["nodes"];
    assert_eq!((&nodes["unusable"], &nodes["total"]), (&"n1".into(), &5.into()));
}

#[test]
fn on_a_terminal_trouble_is_red_unless_no_color_is_set() {
    let site = six_nodes();
    let config = site.read("slurm-pki.toml").replace("[controller]", "[controller]\nbind = \"warn\"");
    site.write("slurm-pki.toml", &config, 0o644);
    let on_terminal = |no_color: &str| {
        let mut script = Command::new("script");
        script.args(["-qec", &format!("{} status", program("slurm-pki").display()), "/dev/null"]);
        script.env("SLURM_CONF", site.path("slurm.conf")).env("SLURM_PKI_CONF", site.path("slurm-pki.toml"));
        text(&script.env("NO_COLOR", no_color).output().unwrap().stdout)
    };
    let coloured = on_terminal("");
    let bind = coloured.lines().find(|line| line.contains("bind warn")).unwrap();
    assert!(bind.starts_with("\x1b[31m"), "{bind:?}");
    assert!(!on_terminal("1").contains('\x1b'));
}

#[test]
fn a_host_with_a_daemon_and_no_controller_shows_what_it_has() {
    let site = Scratch::ready();
    site.done(&["cert", "issue", "dbd"]);
    fs::remove_dir_all(site.path("state")).unwrap();
    let status = status(&site);
    assert_eq!(status["nodes"], Value::Null);
    assert_eq!(status["ca"]["problem"], Value::Null);
    assert_eq!(status["ca"]["certificates"][0]["in_use"], true);
    let programs: Vec<_> =
        status["daemons"].as_array().unwrap().iter().map(|pair| &pair["program"]).collect();
    assert_eq!(programs, ["slurmctld", "slurmdbd"]);
    assert!(site.done(&["status"]).0.contains("nodes, tokens and ledger are on the controllers"));
    let metrics = site.done(&["metrics"]).0;
    assert!(metrics.contains("slurm_pki_part_readable{part=\"ca\"} 1"), "{metrics}");
    assert!(!metrics.contains("slurm_pki_node") && !metrics.contains("slurm_pki_ledger"), "{metrics}");
}

#[test]
fn a_change_of_ca_that_is_under_way_is_shown() {
    let site = Scratch::ready();
    assert_eq!(status(&site)["rollover"], Value::Null);
    site.done(&["ca", "rollover", "begin", "--yes", "--skip", "h1"]);
    let rollover = &status(&site)["rollover"];
    assert_eq!(rollover["phase"], "begun");
    let new = rollover["new"].as_str().unwrap();
    let table = site.done(&["status"]).0;
    assert!(table.contains("begun") && table.contains(&format!("to {new}; what is next")), "{table}");
    assert!(site.done(&["metrics"]).0.contains("slurm_pki_rollover_under_way 1"));
}

#[test]
fn of_a_ledger_of_years_only_the_end_is_read() {
    let site = six_nodes();
    let years = site.read("state/ledger/issued.elsewhere.jsonl").repeat(20_000);
    put(&site, "state/ledger/issued.elsewhere.jsonl", &years);
    let (calls, output) = strace::trace(&site.bare(), &program("slurm-pki"), &["status"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let reads = calls.iter().filter(|call| call.is_one_of(&["read"]) && call.mentions("issued.elsewhere"));
    let (reads, most) = (reads.count(), years.len() / 8192);
    assert!((1..20).contains(&reads) && most > 1000, "{reads} of {most} blocks");
}
