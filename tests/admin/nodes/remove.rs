//! `node remove`.

use pki::token::NodeSecret;

use crate::cluster::Cluster;

#[test]
fn a_removed_node_is_refused_by_both_programs() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    let (removed, kept) = (cluster.waiting("n1").unwrap(), cluster.waiting("n2").unwrap());
    assert!(cluster.signs("n1", &removed));
    cluster.ok(&["node", "remove", "n1", "--yes"]);
    assert!(!cluster.validates("n1", &removed) && !cluster.signs("n1", &removed));
    assert!(cluster.waiting("n1").is_none());
    assert!(cluster.validates("n2", &kept) && cluster.signs("n2", &kept));
}

#[test]
fn a_removal_says_until_when_the_certificate_lasts() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    assert!(cluster.signs("n1", &cluster.waiting("n1").unwrap()));
    let shown = cluster.json(&["node", "show", "n1"], "slurm-pki.node.show.v1");
    let until = pki::time::UnixTime(shown["last_certificate"]["not_after"].as_i64().unwrap());
    cluster.fails(&["node", "remove", "n1"], &until.to_string());
    let output = cluster.run(&["node", "remove", "n1", "--yes"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no revocation") && said.contains(&until.to_string()), "{said}");
}

#[test]
fn without_a_yes_nothing_is_removed() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    let before = cluster.state();
    cluster.fails(&["node", "remove", "n1"], "--yes");
    assert_eq!(cluster.state(), before);
}

#[test]
fn no_list_enrols_a_removed_node_again_and_node_add_does() {
    let mut cluster = Cluster::new();
    cluster.set_list("aaaaaaaaaaaaaaaa\nn2 bbbbbbbbbbbbbbbb\n");
    let bare = NodeSecret::foreign(b"aaaaaaaaaaaaaaaa").unwrap();
    let named = NodeSecret::foreign(b"bbbbbbbbbbbbbbbb").unwrap();
    cluster.ok(&["node", "add", "n1"]);
    assert!(cluster.validates("n2", &named) && cluster.validates("n3", &bare));
    cluster.ok(&["node", "remove", "n[1-3]", "--yes"]);
    assert!(!cluster.validates("n1", &bare), "n1 had a record");
    assert!(!cluster.validates("n2", &named) && !cluster.signs("n2", &named), "n2 had a line");
    assert!(!cluster.validates("n3", &bare) && !cluster.signs("n3", &bare), "n3 had any bare line");
    cluster.ok(&["node", "add", "n1"]);
    assert!(cluster.validates("n1", &cluster.waiting("n1").unwrap()));
}

#[test]
fn a_node_that_nobody_knows_is_named() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    cluster.fails(&["node", "remove", "n[1-2]", "--yes"], "n2: no such node");
    assert!(cluster.records("n1").records[0].withdrawn.is_some());
    assert!(!cluster.site.path("state/tokens/n2.json").exists());
}
