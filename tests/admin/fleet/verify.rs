//! `node verify`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use support::programs::program;

use crate::hosts::{Hosts, write_program};

/// What verify says of each node, as JSON; with its exit code.
fn verdicts(hosts: &Hosts, nodes: &str) -> (Vec<Value>, i32) {
    let output = hosts.run(&["node", "verify", nodes, "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "slurm-pki.node.verify.v1");
    (document["data"].as_array().unwrap().clone(), output.status.code().unwrap())
}

#[test]
fn each_difference_has_its_verdict() {
    let hosts = Hosts::new(4);
    hosts.ok(&["node", "push", "n[1-4]"]);
    let (all, code) = verdicts(&hosts, "n[1-4]");
    assert!(all.iter().all(|one| one["token"] == "same" && one["bundle"] == "same"), "{all:?}");
    assert_eq!(code, 0);

    hosts.ok(&["node", "token", "n1"]);
    fs::remove_file(hosts.on("n2", &hosts.token_path("n2"))).unwrap();
    fs::write(hosts.on("n2", &hosts.site.path("ca_cert.pem")), "another").unwrap();
    let foreign = hosts.on("n3", &hosts.token_path("n3"));
    fs::remove_file(&foreign).unwrap();
    fs::write(&foreign, "somebody's own\n").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o400)).unwrap();
    hosts.ok(&["node", "token", "n4", "--now", "--yes"]);
    fs::remove_file(hosts.on("n4", &hosts.site.path("ca_cert.pem"))).unwrap();

    let (all, code) = verdicts(&hosts, "n[1-4]");
    assert_eq!(code, 1);
    let found: Vec<_> =
        all.iter().map(|one| (one["token"].as_str().unwrap(), one["bundle"].as_str().unwrap())).collect();
    assert_eq!(found, [("older", "same"), ("missing", "other"), ("unknown", "same"), ("ended", "missing")]);
    assert_eq!(all[0]["record"].as_str().unwrap().len(), 16);
    assert!(all[1]["why"].as_str().unwrap().contains("no token file"), "{}", all[1]);

    let (table, stderr) = hosts.fails(&["node", "verify", "n[1-4]"]);
    assert!(table.contains("older (record ") && stderr.contains("4 of 4 nodes"), "{table}{stderr}");
}

#[test]
fn the_program_is_the_one_that_slurm_conf_names() {
    let hosts = Hosts::new(1);
    hosts.ok(&["node", "push", "n1"]);
    let on_node = hosts.site.path("libexec/get_node_token");
    hosts.slurm_conf(&format!(
        "CertmgrParameters=generate_csr_script=/x,get_node_token_script={}\n",
        on_node.display()
    ));
    let (all, code) = verdicts(&hosts, "n1");
    assert_eq!((all[0]["token"].as_str().unwrap(), code), ("missing", 1));
    assert!(all[0]["why"].as_str().unwrap().contains("libexec/get_node_token"), "{}", all[0]);
    // Only this host has it: no other program is in this place.
    let there = hosts.on("n1", &on_node);
    fs::create_dir(there.parent().unwrap()).unwrap();
    fs::copy(program("get_node_token"), &there).unwrap();
    let (all, code) = verdicts(&hosts, "n1");
    assert_eq!((all[0]["token"].as_str().unwrap(), code), ("same", 0), "{all:?}");
}

#[test]
fn a_foreign_program_that_fails_says_nothing_of_what_it_printed() {
    let hosts = Hosts::new(1);
    hosts.ok(&["node", "push", "n1"]);
    let there = hosts.on("n1", &hosts.site.path("show_token.sh"));
    write_program(&there, "#!/bin/sh\necho s3cret; echo s3cret >&2; exit 1\n");
    let path = hosts.site.path("show_token.sh");
    hosts.slurm_conf(&format!("CertmgrParameters=get_node_token_script={}\n", path.display()));
    let output = hosts.run(&["node", "verify", "n1"]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("show_token.sh failed") && !said.contains("s3cret"), "{said}");
}

/// Root on n2 answers what it likes: orders to a terminal, a line as long as it may be, the other node's digests.
#[test]
fn a_host_that_lies_speaks_for_itself_alone_and_moves_no_terminal() {
    let mut hosts = Hosts::new(2);
    hosts.ok(&["node", "push", "n[1-2]"]);
    hosts.ok(&["node", "token", "n1"]);
    let lies = hosts.path("lies");
    let script = format!(
        "#!/bin/sh\nif [ $1 = n2 ]; then exec cat {}; fi\nexec ssh -n \"$1\" \"$2\"\n",
        lies.display()
    );
    write_program(&hosts.path("bin/tool"), &script);
    hosts.set("run", vec!["tool", "{host}", "{command}"]);
    let evil = format!("\u{1b}[2J\u{9b}2J\u{202e}{}", "x".repeat(60_000));
    let token = format!("slurm-pki: token n1 {}\n", "0".repeat(64));
    fs::write(&lies, format!("{token}slurm-pki: missing n2 {evil}\nslurm-pki: slurm-pki-done\n")).unwrap();
    let output = hosts.run(&["node", "verify", "n[1-2]", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["data"][0]["token"], "older", "as n1 itself says");
    assert_eq!(document["data"][1]["token"], "missing");
    let (table, stderr) = hosts.fails(&["node", "verify", "n[1-2]"]);
    for said in [text, table, stderr] {
        assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
        assert!(said.len() < 3000, "{}", said.len());
    }
    // More than is kept of an answer: its end is missing.
    fs::write(&lies, format!("{}slurm-pki: slurm-pki-done\n", token.repeat(10_000))).unwrap();
    let (_, stderr) = hosts.fails(&["node", "verify", "n[1-2]"]);
    assert!(stderr.contains("n2: it did not come to its end") && stderr.len() < 3000, "{stderr}");
}

#[test]
fn a_host_that_is_away_is_told_apart_from_one_that_differs() {
    let mut hosts = Hosts::new(3);
    hosts.ok(&["node", "push", "n[1-3]"]);
    hosts.stop(3);
    let (_, stderr) = hosts.fails(&["node", "verify", "n[1-3]"]);
    assert!(stderr.contains("error: 1 of 3 nodes were not reached: n3"), "{stderr}");
    assert!(stderr.contains("--skip") && !stderr.contains("node push"), "{stderr}");
    hosts.ok(&["node", "token", "n2"]);
    let (_, stderr) = hosts.fails(&["node", "verify", "n[1-3]"]);
    assert!(stderr.contains("error: 1 of 3 nodes are not as they are known here: n2"), "{stderr}");
    assert!(stderr.contains("1 of 3 nodes were not reached: n3") && stderr.contains("push 'n2'"), "{stderr}");
}

#[test]
fn a_node_that_was_never_enrolled_is_asked_all_the_same() {
    let hosts = Hosts::new(1);
    hosts.ok(&["node", "push", "n1"]);
    hosts.ok(&["node", "remove", "n1", "--yes"]);
    let (all, code) = verdicts(&hosts, "n1");
    assert_eq!(code, 1);
    assert!(matches!(all[0]["token"].as_str().unwrap(), "ended" | "unknown"), "{all:?}");
}
