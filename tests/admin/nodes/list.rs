//! `node list` and `node show`.

use pki::token::NodeSecret;
use support::site::random;

use crate::cluster::{Cluster, name};

/// n1 enrolled and used, n2 waiting, n3 removed, n4 in the list.
fn mixed() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.set_list("n4 aaaaaaaaaaaaaaaa\n");
    cluster.ok(&["node", "add", "n[1-3]"]);
    assert!(cluster.signs("n1", &cluster.waiting("n1").unwrap()));
    cluster.ok(&["node", "remove", "n3", "--yes"]);
    cluster
}

fn names(listed: &serde_json::Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

#[test]
fn every_node_is_listed_with_its_state() {
    let cluster = mixed();
    let listed = cluster.json(&["node", "list"], "slurm-pki.node.list.v1");
    assert_eq!(names(&listed), ["n1", "n2", "n3", "n4"]);
    let states: Vec<_> =
        listed.as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["enrolled", "enrolled", "removed", "listed"]);
    assert!(listed[0]["last_certificate"]["serial"].is_string() && listed[0]["used"].is_i64());
    assert!(listed[1]["last_certificate"].is_null() && listed[1]["used"].is_null());
    assert_eq!(listed[3]["foreign"], true);
}

#[test]
fn filters_and_hostlists_narrow_the_list() {
    let cluster = mixed();
    for (filter, expected) in [
        ("--enrolled", vec!["n1", "n2"]),
        ("--removed", vec!["n3"]),
        ("--waiting", vec!["n1", "n2"]),
        ("--unused", vec!["n2", "n4"]),
        ("--foreign", vec!["n4"]),
        ("n[1,3]", vec!["n1", "n3"]),
    ] {
        let listed = cluster.json(&["node", "list", filter], "slurm-pki.node.list.v1");
        assert_eq!(names(&listed), expected, "{filter}");
    }
    cluster.fails(&["node", "list", "n9"], "no such node");
}

#[test]
fn a_person_sees_a_table_in_natural_order() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[9-11]"]);
    let text = cluster.ok(&["node", "list"]);
    let first: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(first, ["NODE", "n9", "n10", "n11"]);
    let folded = cluster.ok(&["node", "list", "--fold"]);
    assert!(folded.contains("n[9-11]"), "{folded}");
}

#[test]
fn show_tells_every_record_and_no_secret() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    cluster.ok(&["node", "token", "n1", "--single-use"]);
    let secret = cluster.waiting("n1").unwrap();
    let text = cluster.ok(&["node", "show", "n1"]);
    for record in &cluster.records("n1").records {
        assert!(text.contains(record.id.as_str()), "{text}");
    }
    assert!(text.contains("single use"), "{text}");
    let token = String::from_utf8(secret.token().secret().expose().to_vec()).unwrap();
    let json = cluster.ok(&["node", "show", "n1", "--json"]);
    assert!(!text.contains(&token) && !json.contains(&token));
    cluster.fails(&["node", "show", "n2"], "no such node");
}

#[test]
fn a_damaged_record_is_named_and_the_others_are_listed() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    cluster.site.write("state/tokens/n1.json", b"{\"v\":1,\"rec", 0o600);
    let output = cluster.run(&["node", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("n1.json"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("n2"));
}

#[test]
fn the_last_certificate_is_known_without_the_last_files() {
    let cluster = mixed();
    std::fs::remove_dir_all(cluster.site.path("state/ledger/last")).unwrap();
    let shown = cluster.json(&["node", "show", name("n1").as_str()], "slurm-pki.node.show.v1");
    assert!(shown["last_certificate"]["serial"].is_string());
    assert!(!cluster.validates("n1", &NodeSecret::new(random())));
}
