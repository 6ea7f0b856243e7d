//! `node add`.

use std::fs;

use support::programs::program;

use crate::cluster::{Cluster, SOMEBODY, copy_program, has_record, is_root, mode_and_owner};

#[test]
fn an_added_node_has_a_record_and_its_secret_waits() {
    let cluster = Cluster::with_slurm_user();
    cluster.ok(&["node", "add", "n[01-03],login1.x"]);
    let owner = if is_root() { SOMEBODY } else { rustix::process::geteuid().as_raw() };
    for node in ["n01", "n02", "n03", "login1.x"] {
        let secret = cluster.waiting(node).unwrap();
        assert!(has_record(&cluster.records(node), &secret));
        let modes = [
            (format!("state/tokens/{node}.json"), 0o600),
            (format!("state/outgoing/{node}_token.txt"), 0o400),
        ];
        for (path, mode) in modes {
            assert_eq!(mode_and_owner(&cluster.site.path(&path)), (mode, owner), "{path}");
        }
    }
    assert_eq!(mode_and_owner(&cluster.site.path("state/outgoing")), (0o700, owner));
}

#[test]
fn the_programs_take_what_was_added_and_for_no_other_node() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    let (first, second) = (cluster.waiting("n1").unwrap(), cluster.waiting("n2").unwrap());
    assert!(cluster.validates("n1", &first) && cluster.signs("n1", &first));
    assert!(!cluster.validates("n1", &second) && !cluster.signs("n1", &second));
}

#[test]
fn slurm_users_programs_take_what_root_has_added() {
    let cluster = Cluster::with_slurm_user();
    cluster.ok(&["node", "add", "n1"]);
    let token = String::from_utf8(cluster.waiting("n1").unwrap().token().secret().expose().to_vec()).unwrap();
    let copy = cluster.site.path("validate_node_token");
    copy_program(&program("validate_node_token"), &copy);
    let mut slurm = cluster.slurm();
    if is_root() {
        slurm = slurm.as_user(SOMEBODY, SOMEBODY);
    }
    assert!(slurm.run(&copy, &["n1", &token]).accepted());
    // And root still reads and changes what is SlurmUser's.
    cluster.ok(&["node", "remove", "n1", "--yes"]);
    assert!(!slurm.run(&copy, &["n1", &token]).accepted());
}

#[test]
fn an_enrolled_node_is_refused_and_the_others_are_added() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    cluster.ok(&["node", "bundle", "n[1-2]", "--out", cluster.site.path("out").to_str().unwrap()]);
    let before = cluster.records("n1");
    let said = cluster.fails(&["node", "add", "n[1-3]"], "2 of 3 nodes were not added");
    assert!(said.contains("n[1-2]: enrolled already") && said.contains("node token"), "{said}");
    assert_eq!(cluster.records("n1"), before);
    assert!(cluster.waiting("n1").is_none() && cluster.waiting("n3").is_some());
}

#[test]
fn adding_again_before_bundling_changes_nothing() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-3]"]);
    let before = cluster.state();
    cluster.ok(&["node", "add", "n[1-3]"]);
    assert_eq!(cluster.state(), before);
    cluster.fails(&["node", "add", "n1", "--single-use"], "enrolled already");
    assert_eq!(cluster.state(), before);
}

#[test]
fn ten_thousand_nodes_are_added_in_one_go() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[00001-10000]"]);
    let mut tokens = std::collections::HashSet::new();
    for n in 1..=10_000 {
        let node = format!("n{n:05}");
        let secret = cluster.waiting(&node).unwrap();
        assert!(has_record(&cluster.records(&node), &secret), "{node}");
        tokens.insert(secret.token().secret().expose().to_vec());
    }
    assert_eq!(tokens.len(), 10_000);
    // The records, the secrets, the lock and the CA key; nothing half written.
    assert_eq!(cluster.state().len(), 20_002);
    let folded = cluster.json(&["node", "list", "--fold"], "slurm-pki.node.fold.v1");
    assert_eq!(folded[0]["nodes"], "n[00001-10000]");
}

#[test]
fn a_name_that_no_node_may_have_is_a_wrong_command_line() {
    let cluster = Cluster::new();
    let before = cluster.state();
    for word in ["n1,slurmctld", "../n1", "n[1-2000000]", "n[1-", "10.0.0.1"] {
        let output = cluster.run(&["node", "add", word]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{word}: {stderr}");
        assert!(stderr.contains("hint:"), "{word}: {stderr}");
        assert_eq!(cluster.state(), before, "{word}");
    }
}

#[test]
fn an_expired_token_enrols_no_more_and_still_renews() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1", "--expires", "2020-01-01"]);
    let secret = cluster.waiting("n1").unwrap();
    assert!(!cluster.validates("n1", &secret));
    assert!(cluster.signs("n1", &secret));
    let shown = cluster.json(&["node", "show", "n1"], "slurm-pki.node.show.v1");
    assert_eq!(shown["state"], "renews");
    assert_eq!(shown["enrols_until"], 1_577_836_800);
}

#[test]
fn terms_are_in_the_record() {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1", "--single-use", "--expires", "30d"]);
    let record = &cluster.records("n1").records[0];
    assert!(record.single_use);
    assert_eq!(record.enrols_until.unwrap().0 - record.created.0, 30 * 86_400);
}

#[test]
fn scontrols_nodes_are_added_unless_they_have_records() {
    let mut cluster = Cluster::new();
    cluster.ok(&["node", "add", "n1"]);
    cluster.ok(&["node", "remove", "n1", "--yes"]);
    let json =
        r#"{"nodes":[{"name":"n1","state":["IDLE"]},{"name":"n2","cpus":4},{"name":"n3"}],"errors":[]}"#;
    cluster.site.write("nodes.json", json.as_bytes(), 0o644);
    let file = cluster.site.path("nodes.json");
    cluster.ok(&["node", "add", "--from-scontrol", file.to_str().unwrap()]);
    assert!(cluster.waiting("n1").is_none(), "a removed node stays removed");
    assert!(cluster.waiting("n2").is_some() && cluster.waiting("n3").is_some());

    cluster.set_scontrol(r#"test "$*" = "show nodes --json" && echo '{"nodes":[{"name":"n4"}]}'"#);
    cluster.ok(&["node", "add", "--from-scontrol"]);
    assert!(cluster.waiting("n4").is_some());
    cluster.set_scontrol("echo 'Unable to contact slurm controller' >&2; exit 1");
    cluster.fails(&["node", "add", "--from-scontrol"], "Unable to contact slurm controller");
}

#[test]
fn scontrols_answer_may_come_from_stdin() {
    let cluster = Cluster::new();
    cluster.site.write("nodes.json", br#"{"nodes":[{"name":"n1"},{"name":"slurmctld"}]}"#, 0o644);
    let args = ["node", "add", "--from-scontrol", "-"];
    let mut command = cluster.slurm().command(&program("slurm-pki"), &args);
    let output = command.stdin(fs::File::open(cluster.site.path("nodes.json")).unwrap()).output().unwrap();
    assert!(output.status.success());
    assert!(cluster.waiting("n1").is_some());
    assert!(String::from_utf8_lossy(&output.stderr).contains("left out"));
    assert!(!cluster.site.path("state/tokens/slurmctld.json").exists());
}

#[test]
fn what_is_not_scontrols_json_is_refused() {
    let cluster = Cluster::new();
    for text in ["", "NodeName=n1 CPUs=1\n", "[]", "{\"nodes\":3}"] {
        cluster.site.write("nodes.json", text.as_bytes(), 0o644);
        let file = cluster.site.path("nodes.json");
        cluster
            .fails(&["node", "add", "--from-scontrol", file.to_str().unwrap()], "scontrol show nodes --json");
    }
}

#[test]
fn a_dry_run_of_any_change_changes_nothing() {
    let mut cluster = Cluster::new();
    cluster.set_list("n9 tok\n");
    cluster.ok(&["node", "add", "n1"]);
    let (list, out) = (cluster.site.path("list.txt"), cluster.site.path("out"));
    let before = cluster.state();
    let commands: [&[&str]; 5] = [
        &["node", "add", "n2"],
        &["node", "token", "n1", "--now", "--set-certtoken"],
        &["node", "remove", "n1"],
        &["node", "import", list.to_str().unwrap()],
        &["node", "bundle", "n1", "--out", out.to_str().unwrap()],
    ];
    for command in commands {
        cluster.ok(&[command, &["--dry-run"]].concat());
        assert_eq!(cluster.state(), before, "{command:?}");
        assert!(!out.exists());
    }
    let fresh = Cluster::new();
    let before = fresh.state();
    fresh.ok(&["node", "add", "n1", "--dry-run"]);
    assert_eq!(fresh.state(), before);
    assert!(!fresh.site.path("state/outgoing").exists());
}

#[test]
fn somebody_who_is_neither_root_nor_slurm_user_is_refused() {
    let mut cluster = Cluster::new();
    let mut slurm = cluster.slurm();
    if is_root() {
        slurm = slurm.as_user(SOMEBODY, SOMEBODY);
    } else {
        cluster.set("", "slurm_user", "0");
    }
    let copy = cluster.site.path("slurm-pki");
    copy_program(&program("slurm-pki"), &copy);
    let output = slurm.run_apart(&copy, &["node", "add", "n1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("root"));
    assert!(!cluster.site.path("state/tokens/n1.json").exists());
}

#[test]
fn wrong_usage_exits_with_64() {
    let cluster = Cluster::new();
    for args in [&["node", "add"][..], &["node", "add", "n1", "--expires", "soon"], &["node", "bundle", "n1"]]
    {
        assert_eq!(cluster.run(args).status.code(), Some(64), "{args:?}");
    }
}
