//! `node import`.

use pki::token::NodeSecret;
use support::site::random;

use crate::cluster::{Cluster, has_record};

fn import(cluster: &Cluster, text: &str, more: &[&str]) -> std::process::Output {
    cluster.site.write("import.txt", text.as_bytes(), 0o600);
    let path = cluster.site.path("import.txt");
    cluster.run(&[&["node", "import", path.to_str().unwrap()], more].concat())
}

#[test]
fn named_lines_become_records_that_are_shown_as_weaker() {
    let cluster = Cluster::new();
    let output = import(&cluster, "# ours\nn1 aaaaaaaaaaaaaaaa\nn2 bbbbbbbbbbbbbbbb\n", &[]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("weaker"));
    let secret = NodeSecret::foreign(b"aaaaaaaaaaaaaaaa").unwrap();
    assert!(cluster.validates("n1", &secret) && cluster.signs("n1", &secret));
    assert!(!cluster.validates("n2", &secret));
    let listed = cluster.json(&["node", "list", "--foreign"], "slurm-pki.node.list.v1");
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["foreign"], true);
}

#[test]
fn bare_tokens_need_to_be_told_whose_they_are() {
    let cluster = Cluster::new();
    let text = "aaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbb\nn3 cccccccccccccccc\n";
    let output = import(&cluster, text, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--for") && said.contains("--named-only"), "{said}");
    assert!(!said.contains("aaaa"), "{said}");

    assert!(import(&cluster, text, &["--named-only"]).status.success());
    assert!(!cluster.site.path("state/tokens/n1.json").exists());
    assert!(import(&cluster, text, &["--for", "n[1-3]"]).status.success());
    for token in [b"aaaaaaaaaaaaaaaa", b"bbbbbbbbbbbbbbbb"] {
        let secret = NodeSecret::foreign(token).unwrap();
        assert!(cluster.validates("n1", &secret) && cluster.validates("n2", &secret));
        assert!(!cluster.validates("n3", &secret), "a named line serves its name alone");
    }
}

#[test]
fn the_same_import_twice_changes_nothing() {
    let cluster = Cluster::new();
    assert!(import(&cluster, "n1 aaaaaaaaaaaaaaaa\n", &[]).status.success());
    let before = cluster.records("n1");
    assert!(import(&cluster, "n1 aaaaaaaaaaaaaaaa\n", &[]).status.success());
    assert_eq!(cluster.records("n1"), before);
}

#[test]
fn a_node_with_other_records_or_a_removed_one_is_refused() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    cluster.ok(&["node", "remove", "n2", "--yes"]);
    let (first, second) = (cluster.records("n1"), cluster.records("n2"));
    let output = import(&cluster, "n1 aaaaaaaaaaaaaaaa\nn2 bbbbbbbbbbbbbbbb\nn3 cccccccccccccccc\n", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("n[1-2]"));
    assert_eq!((cluster.records("n1"), cluster.records("n2")), (first, second));
    assert!(cluster.site.path("state/tokens/n3.json").exists());
}

#[test]
fn a_token_file_of_ours_is_taken_with_its_full_strength() {
    let cluster = Cluster::new();
    let secret = NodeSecret::new(random());
    cluster.site.write("n1_token.txt", secret.to_token_file().expose(), 0o400);
    let path = cluster.site.path("n1_token.txt");
    cluster.ok(&["node", "import", "n1", "--token-file", path.to_str().unwrap()]);
    assert!(has_record(&cluster.records("n1"), &secret));
    assert!(cluster.validates("n1", &secret) && cluster.signs("n1", &secret));
    let shown = cluster.json(&["node", "show", "n1"], "slurm-pki.node.show.v1");
    assert_eq!(shown["foreign"], false);
}

#[test]
fn a_list_that_names_a_daemon_or_that_others_can_read_is_refused() {
    let cluster = Cluster::new();
    assert_eq!(import(&cluster, "slurmctld aaaaaaaaaaaaaaaa\n", &[]).status.code(), Some(1));
    cluster.site.write("open.txt", b"n1 aaaaaaaaaaaaaaaa\n", 0o644);
    let path = cluster.site.path("open.txt");
    cluster.fails(&["node", "import", path.to_str().unwrap()], "others can read");
    assert!(!cluster.site.path("state/tokens/n1.json").exists());
}
