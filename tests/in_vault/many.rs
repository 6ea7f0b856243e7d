//! Thousands of nodes: how much is asked of Vault grows with them and no faster, over few connections, and the role is
//! written once.

use serde_json::json;
use support::programs::program;

use crate::bare::Bare;

const NODES: usize = 2500;

/// What one command asks, and over how many connections.
#[track_caller]
fn asked(bare: &Bare, arguments: &[&str]) -> (Vec<String>, String) {
    let (before, connections) = (bare.server.requests().len(), bare.server.connections());
    let said = bare.succeeds(arguments);
    let used = bare.server.connections() - connections;
    assert!(used < 12, "{arguments:?}: {used} connections");
    (bare.server.requests()[before..].to_vec(), said)
}

fn count(asked: &[String], call: &str) -> usize {
    asked.iter().filter(|one| one.starts_with(call)).count()
}

#[test]
fn thousands_of_nodes_are_added_checked_set_up_and_removed() {
    let bare = Bare::new();
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    let all = format!("n[0001-{NODES}]");
    let (add, _) = asked(&bare, &["node", "add", &all]);
    assert_eq!(count(&add, "POST pki/roles/slurm"), 1);
    assert_eq!(count(&add, "POST node-tokens/data/"), NODES);
    assert!(add.len() <= 6 * NODES, "{} questions", add.len());
    assert_eq!(bare.names().len(), NODES + 1);

    // One on each side alone.
    bare.server.root(
        "POST",
        "sys/audit/file",
        json!({ "type": "file", "options": { "file_path": "stdout" } }),
    );
    let mut role = bare.server.root("GET", "pki/roles/slurm", json!({}))["data"].clone();
    let names = role["allowed_domains"].as_array_mut().unwrap();
    names.retain(|name| name != "n0007");
    names.push(json!("stranger"));
    bare.server.root("POST", "pki/roles/slurm", role);
    let (before, connections) = (bare.server.requests().len(), bare.server.connections());
    let check = bare.run(&["vault", "check"]);
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert!(
        said.contains("they get no certificate: n0007") && said.contains("not enrolled: stranger"),
        "{said}"
    );
    let questions = bare.server.requests()[before..].len();
    assert!(questions <= NODES + 60, "{questions} questions");
    assert!(bare.server.connections() - connections < 12);

    let (setup, said) = asked(&bare, &["vault", "setup"]);
    assert!(said.contains("allowed_domains 1 more, 1 less"), "{said}");
    assert!(setup.len() <= NODES + 60, "{} questions", setup.len());
    assert_eq!(count(&setup, "POST pki/roles/slurm"), 1);
    assert_eq!(bare.names().len(), NODES + 1);

    let (remove, _) = asked(&bare, &["node", "remove", "n[0002-2500]", "--yes"]);
    assert_eq!(count(&remove, "POST pki/roles/slurm"), 1);
    assert!(remove.len() <= 6 * NODES, "{} questions", remove.len());
    assert_eq!(bare.names(), ["n0001", "slurm-pki-rehearsal"]);
}

/// Without records of their own: the list is read as often as the config, not as often as there are nodes.
#[test]
fn names_that_only_a_long_list_enrols_are_compared_too() {
    let bare = Bare::new();
    let lines: String = (1..=NODES).map(|number| format!("n{number} token-of-node-{number:08}\n")).collect();
    bare.site.write("list", lines.as_bytes(), 0o600);
    let path = bare.site.path("list").to_str().unwrap().to_owned();
    let bare = bare.with("controller", "token_list", path);
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    assert_eq!(bare.names().len(), NODES + 1);
    let check = bare.run(&["vault", "check", "--all"]);
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert!(said.contains("has the names of the enrolled nodes"), "{said}");
    let mut role = bare.server.root("GET", "pki/roles/slurm", json!({}))["data"].clone();
    role["allowed_domains"].as_array_mut().unwrap().retain(|name| name != "n77");
    bare.server.root("POST", "pki/roles/slurm", role);
    let check = bare.run(&["vault", "check"]);
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert!(said.contains("they get no certificate: n77"), "{said}");
    // As that node would see it.
    let validated =
        bare.site.slurm().run(&program("validate_node_token"), &["n77", "token-of-node-00000077"]);
    assert!(validated.accepted());
}
