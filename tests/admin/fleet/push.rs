//! `node push`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::hosts::{Hosts, mode_and_owner, names_in, write_program};

/// Whom root can become to be somebody else.
const SOMEBODY: u32 = 65_534;

#[test]
fn a_push_brings_every_host_its_files_with_owner_and_mode_and_the_secrets_leave_the_controller() {
    let hosts = Hosts::new(3);
    let sent: Vec<_> = ["n1", "n2", "n3"].map(|node| hosts.waiting(node).unwrap()).into();
    let said = hosts.ok(&["node", "push", "n[1-3]", "--json"]);
    for (node, sent) in ["n1", "n2", "n3"].into_iter().zip(sent) {
        for (file, mode) in [("ca_cert.pem", 0o644), ("slurm-pki.toml", 0o644)] {
            let there = hosts.on(node, &hosts.site.path(file));
            assert_eq!(fs::read(&there).unwrap(), fs::read(hosts.site.path(file)).unwrap());
            assert_eq!(mode_and_owner(&there), (mode, 0, 0), "{node} {file}");
        }
        assert_eq!(mode_and_owner(&hosts.on(node, &hosts.token_path(node))), (0o400, 0, 0));
        let secret = hosts.secret_on(node, node).unwrap();
        assert_eq!(secret.token().digest(), sent.token().digest());
        assert!(hosts.waiting(node).is_none(), "{node}");
        assert_eq!(names_in(&hosts.on(node, &hosts.site.path("node"))), [format!("{node}_token.txt")]);
        assert_eq!(names_in(&hosts.path(&format!("{node}/run"))), ["sshd"], "nothing waits there any longer");
    }
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["schema"], "slurm-pki.node.push.v1");
    assert_eq!(document["data"]["hosts"][2]["host"], "n3");
    assert_eq!(document["data"]["hosts"][2]["arrived"], true);
    hosts.ok(&["node", "verify", "n[1-3]"]);
}

#[test]
fn a_push_of_the_bundle_alone_makes_no_secret_and_touches_none() {
    let hosts = Hosts::new(1);
    hosts.ok(&["node", "push", "n1"]);
    let secret = hosts.secret_on("n1", "n1").unwrap();
    let records = hosts.site.read("state/tokens/n1.json");
    fs::remove_file(hosts.on("n1", &hosts.site.path("ca_cert.pem"))).unwrap();
    hosts.ok(&["node", "push", "n1", "--ca-only"]);
    assert!(hosts.on("n1", &hosts.site.path("ca_cert.pem")).exists());
    assert_eq!(hosts.secret_on("n1", "n1").unwrap().token().digest(), secret.token().digest());
    assert_eq!(hosts.site.read("state/tokens/n1.json"), records);
}

#[test]
fn a_second_push_brings_a_new_secret_and_the_old_one_keeps_its_rights() {
    let hosts = Hosts::new(1);
    hosts.ok(&["node", "push", "n1"]);
    let old = hosts.secret_on("n1", "n1").unwrap();
    hosts.ok(&["node", "push", "n1"]);
    let new = hosts.secret_on("n1", "n1").unwrap();
    assert_ne!(old.token().digest(), new.token().digest());
    let records = hosts.site.read("state/tokens/n1.json");
    for secret in [old, new] {
        assert!(records.contains(&String::from(secret.token().digest())), "{records}");
    }
    assert!(records.matches("\"withdrawn\":null").count() == 2, "{records}");
}

#[test]
fn several_nodes_of_one_host_arrive_together_and_hosts_go_by_their_own_names() {
    let hosts = Hosts::new(2);
    hosts.slurm_conf("NodeName=a[1-2] NodeHostname=n1 Port=[7001-7002]\nNodeName=b NodeHostname=n2\n");
    hosts.ok(&["node", "add", "a[1-2],b"]);
    hosts.ok(&["node", "push", "a[1-2],b", "--skip", "a2"]);
    assert_eq!(hosts.skipped(), ["n1"], "what is dead is a host");
    assert!(hosts.waiting("a1").is_some() && hosts.secret_on("n2", "b").is_some());
    hosts.ok(&["node", "push", "a[1-2]", "--ca-only"]);
    assert_eq!(hosts.skipped(), ["n1"], "it has no token yet");
    hosts.ok(&["node", "push", "a1"]);
    assert_eq!(hosts.skipped(), ["n1"], "it has not a2's yet");
    hosts.ok(&["node", "push", "a[1-2]"]);
    assert_eq!(hosts.skipped(), [""; 0]);
    for (host, node) in [("n1", "a1"), ("n1", "a2"), ("n2", "b")] {
        assert!(hosts.secret_on(host, node).is_some(), "{node}");
    }
    hosts.ok(&["node", "verify", "a[1-2],b"]);
}

#[test]
fn a_login_hosts_token_is_slurm_users_and_verify_reads_it_as_slurm_user() {
    let mut hosts = Hosts::new(2);
    hosts.site.set("", "slurm_user", SOMEBODY.to_string());
    hosts.set("sackd", "n2");
    for folder in ["state", "state/tokens", "state/ledger", "state/outgoing"] {
        std::os::unix::fs::chown(hosts.site.path(folder), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    for host in ["n1", "n2"] {
        // sackd gets to its token; slurmd's lies in a folder of root's.
        let folder = hosts.on(host, &hosts.site.path("node"));
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        let site = hosts.path(&format!("{host}/site"));
        fs::set_permissions(site, fs::Permissions::from_mode(0o755)).unwrap();
    }
    hosts.ok(&["node", "push", "n1", "--login"]);
    hosts.ok(&["node", "push", "n2"]);
    for node in ["n1", "n2"] {
        let token = hosts.on(node, &hosts.token_path(node));
        assert_eq!(mode_and_owner(&token).0, 0o400);
        assert_eq!(mode_and_owner(&token).1, SOMEBODY, "{node}");
    }
    let said = hosts.run(&["node", "verify", "n[1-2]"]);
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn a_dry_run_changes_nothing_anywhere() {
    let hosts = Hosts::new(1);
    hosts.ok(&["node", "push", "n1"]);
    let records = hosts.site.read("state/tokens/n1.json");
    let secret = hosts.secret_on("n1", "n1").unwrap();
    let said = hosts.run(&["node", "push", "n1", "--dry-run"]);
    assert!(said.status.success());
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("would get") && said.contains("a new one would be made"), "{said}");
    assert_eq!(hosts.site.read("state/tokens/n1.json"), records);
    assert_eq!(hosts.secret_on("n1", "n1").unwrap().token().digest(), secret.token().digest());
}

#[test]
fn a_node_that_is_not_enrolled_gets_nothing_and_the_others_get_theirs() {
    let hosts = Hosts::new(2);
    hosts.ok(&["node", "remove", "n1", "--yes"]);
    let (_, stderr) = hosts.fails(&["node", "push", "n[1-2]"]);
    assert!(stderr.contains("n1: not enrolled"), "{stderr}");
    assert!(names_in(&hosts.path("n1/site")) == ["node"], "not even the CA bundle");
    assert!(hosts.secret_on("n2", "n2").is_some());
}

/// An admin gives n1 a new secret while a push is on its way with the one before.
#[test]
fn a_secret_that_somebody_made_in_the_meantime_goes_on_waiting() {
    let mut hosts = Hosts::new(1);
    let sent = hosts.waiting("n1").unwrap();
    let anew = hosts.command(&["node", "token", "n1"]);
    let script = format!(
        "#!/bin/sh\nset -e\nif [ \"$1\" = copy ]; then exec scp -q -B \"$3\" \"$2:$4\"; fi\n\
         case $3 in 'sh /run/'*) {} node token n1 >/dev/null 2>&1 ;; esac\nexec ssh -n \"$2\" \"$3\"\n",
        anew.get_program().display()
    );
    write_program(&hosts.path("bin/tool"), &script);
    hosts.set("run", vec!["tool", "run", "{host}", "{command}"]);
    hosts.set("copy", vec!["tool", "copy", "{host}", "{from}", "{to}"]);
    hosts.ok(&["node", "push", "n1"]);
    let digest = |secret: &pki::token::NodeSecret| String::from(secret.token().digest());
    assert_eq!(digest(&hosts.secret_on("n1", "n1").unwrap()), digest(&sent));
    let waiting = hosts.waiting("n1").expect("the newer one");
    assert_ne!(digest(&waiting), digest(&sent));
}

/// Sixty hosts, none of which is there.
#[test]
fn many_hosts_have_a_bar_on_a_terminal_and_one_line_for_all_that_failed_alike() {
    let mut hosts = Hosts::new(1);
    hosts.ok(&["node", "add", "n[2-60]"]);
    write_program(&hosts.path("bin/tool"), "#!/bin/sh\nsleep 0.3\necho \"no route to $1\" >&2\nexit 255\n");
    hosts.set("run", vec!["tool", "{host}", "{command}"]);
    let push = hosts.command(&["node", "push", "n[1-60]"]);
    let line = format!("{} node push 'n[1-60]'", push.get_program().display());
    let mut terminal = std::process::Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    terminal.envs(push.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let output = terminal.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("hosts ") && said.contains("/60"), "{said}");
    let (_, stderr) = hosts.fails(&["node", "push", "n[1-60]"]);
    assert!(!stderr.contains("/60"), "a bar for nobody: {stderr}");
    let told: Vec<_> = stderr.lines().filter(|line| line.contains("no route")).collect();
    assert_eq!(told.len(), 1, "{stderr}");
    assert!(told[0].contains("n[1-60]: no route to HOST (tool ended with exit status: 255)"), "{told:?}");
    assert!(stderr.contains("node push failed on 60 of 60 hosts: n[1-60]"), "{stderr}");
}
