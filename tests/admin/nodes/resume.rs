//! `resume-hook`, as a ResumeProgram calls it.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use pki::record::Record;
use pki::token::NodeSecret;
use support::programs::program;
use support::strace::{Fault, strike, trace};

use crate::cluster::{Cluster, SOMEBODY, is_root, mode_and_owner};
use crate::kills::CHANGES;

/// A site with cloud[1-2] enrolled, once and for all.
fn site() -> Cluster {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "cloud[1-2]"]);
    cluster
}

/// Where a node's user-data is by default.
fn place(cluster: &Cluster, node: &str) -> PathBuf {
    cluster.site.path(&format!("state/resume/{node}.yaml"))
}

/// The secret in a node's user-data.
#[track_caller]
fn secret(cluster: &Cluster, node: &str) -> NodeSecret {
    let text = fs::read_to_string(place(cluster, node)).unwrap();
    let contents = text.lines().rfind(|line| line.trim().starts_with("content: ")).unwrap();
    let token = BASE64.decode(contents.trim().strip_prefix("content: ").unwrap().as_bytes()).unwrap();
    NodeSecret::from_token_file(&token).unwrap()
}

fn record(cluster: &Cluster, node: &str, secret: &NodeSecret) -> Record {
    let records = cluster.records(node).records;
    records.into_iter().find(|one| one.token == secret.token().digest()).unwrap()
}

#[test]
fn each_node_gets_a_token_for_one_boot_and_the_hostlist_is_printed() {
    let cluster = site();
    assert_eq!(cluster.ok(&["resume-hook", "cloud[1-2]"]), "cloud[1-2]\n");
    assert_eq!(mode_and_owner(&cluster.site.path("state/resume")).0, 0o700);
    for node in ["cloud1", "cloud2"] {
        assert_eq!(mode_and_owner(&place(&cluster, node)).0, 0o600);
        let secret = secret(&cluster, node);
        let record = record(&cluster, node, &secret);
        assert!(record.single_use);
        let day = 24 * 3600;
        assert_eq!(record.enrols_until.unwrap().0 - record.created.0, day);
        assert!(cluster.validates(node, &secret) && cluster.signs(node, &secret));
        assert!(cluster.waiting(node).is_none(), "it has left the controller");
    }
}

#[test]
fn every_boot_has_another_secret_and_the_one_before_the_last_is_over() {
    let cluster = site();
    let mut secrets = Vec::new();
    for _ in 0..3 {
        cluster.ok(&["resume-hook", "cloud1"]);
        secrets.push(secret(&cluster, "cloud1"));
    }
    let withdrawn = |secret| record(&cluster, "cloud1", secret).withdrawn.is_some();
    assert_eq!(secrets.iter().map(withdrawn).collect::<Vec<_>>(), [true, false, false]);
    assert!(!cluster.validates("cloud1", &secrets[0]));
    assert!(!cluster.signs("cloud1", &secrets[0]));
    assert!(cluster.validates("cloud1", &secrets[2]) && cluster.signs("cloud1", &secrets[2]));
}

#[test]
fn many_boots_do_not_fill_the_nodes_file() {
    let cluster = site();
    for _ in 0..40 {
        cluster.ok(&["resume-hook", "cloud1"]);
    }
    let records = cluster.records("cloud1").records.len();
    assert!(records <= 34, "{records}");
    assert!(cluster.validates("cloud1", &secret(&cluster, "cloud1")));
}

#[test]
fn a_node_that_may_not_start_has_no_bundle_and_the_others_have() {
    let cluster = site();
    cluster.ok(&["resume-hook", "cloud[1-2]"]);
    cluster.ok(&["node", "remove", "cloud2", "--yes"]);
    let output = cluster.run(&["resume-hook", "cloud[1-3]"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(output.stdout, b"cloud1\n");
    assert!(said.contains("cloud[2-3]: not enrolled"), "{said}");
    assert!(place(&cluster, "cloud1").exists());
    assert!(!place(&cluster, "cloud2").exists(), "its former bundle is gone");
    let output = cluster.run(&["resume-hook", "cloud[1-3]", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "slurm-pki.resume-hook.v1");
    assert_eq!(document["data"]["ready"], serde_json::json!(["cloud1"]));
    assert_eq!(document["data"]["refused"][1]["node"], "cloud3");
}

#[test]
fn the_config_says_form_folder_and_certtoken() {
    let mut cluster = site();
    let (told, out) = (cluster.site.path("told"), cluster.site.path("launcher"));
    cluster.set_scontrol(&format!("cat > {}; echo \"$*\" > {0}.arguments", told.display()));
    cluster.set("resume", "format", "tar");
    cluster.set("resume", "out", out.to_str().unwrap());
    cluster.site.set("resume", "certtoken", true);
    cluster.site.set("resume", "own_only", true);
    cluster.set("resume", "expires", "2h");
    cluster.ok(&["resume-hook", "cloud[1-2]"]);
    assert!(out.join("cloud1.tar").exists() && out.join("cloud2.tar").exists());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    let told = fs::read_to_string(told).unwrap();
    assert_eq!(cluster.site.read("told.arguments"), "\n", "a token is in no argument");
    for node in ["cloud1", "cloud2"] {
        let last = cluster.records(node).records.pop().unwrap();
        assert_eq!(last.enrols_until.unwrap().0 - last.created.0, 2 * 3600);
        let given =
            told.lines().find_map(|line| line.strip_prefix(&format!("update nodename={node} certtoken=")));
        let token = pki::token::Token::from_argument(given.unwrap().as_bytes()).unwrap();
        assert_eq!(token.digest(), last.token);
    }
}

#[test]
fn without_slurmctld_nothing_is_handed_out_and_the_next_call_takes_the_same_secrets() {
    let mut cluster = site();
    cluster.set_scontrol("cat > /dev/null; echo 'Unable to contact slurm controller' >&2; exit 1");
    cluster.fails(&["resume-hook", "cloud[1-2]", "--set-certtoken"], "Unable to contact");
    assert!(!place(&cluster, "cloud1").exists());
    let waiting = cluster.waiting("cloud1").unwrap();
    let records = cluster.records("cloud1").records.len();
    cluster.set_scontrol("cat > /dev/null");
    cluster.ok(&["resume-hook", "cloud[1-2]", "--set-certtoken"]);
    assert_eq!(secret(&cluster, "cloud1").token().digest(), waiting.token().digest());
    assert_eq!(cluster.records("cloud1").records.len(), records, "no further record");
}

#[test]
fn a_secret_that_waits_for_another_use_is_not_for_a_boot() {
    let cluster = site();
    let waiting = cluster.waiting("cloud1").unwrap();
    cluster.ok(&["resume-hook", "cloud1"]);
    let secret = secret(&cluster, "cloud1");
    assert_ne!(secret.token().digest(), waiting.token().digest());
    assert!(record(&cluster, "cloud1", &secret).single_use);
}

#[test]
fn it_is_for_slurm_user_alone() {
    let cluster = Cluster::with_slurm_user();
    if !is_root() {
        return;
    }
    cluster.ok(&["node", "add", "cloud1"]);
    cluster.fails(&["resume-hook", "cloud1"], "runs as");
    assert!(!cluster.site.path("state/resume").exists());
    assert_eq!(mode_and_owner(&cluster.site.path("state")).1, SOMEBODY);
}

#[test]
fn a_dry_run_changes_nothing() {
    let cluster = site();
    cluster.ok(&["resume-hook", "cloud1"]);
    let before = cluster.state();
    let output = cluster.run(&["resume-hook", "cloud[1-2]", "--dry-run"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(cluster.state(), before);
}

#[test]
fn forms_that_are_not_for_one_boot_and_stdout_are_wrong_usage() {
    let cluster = site();
    for args in [&["--format", "warewulf"][..], &["--format", "ansible"], &["--out", "-"]] {
        let output = cluster.run(&[&["resume-hook", "cloud1"], args].concat());
        assert_eq!(output.status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn killed_anywhere_a_node_has_a_whole_bundle_that_enrols_it_or_none() {
    let prepared = || {
        let cluster = site();
        cluster.ok(&["resume-hook", "cloud1"]);
        cluster
    };
    let args = ["resume-hook", "cloud1"];
    let first = prepared();
    let (calls, output) = trace(&first.slurm(), &program("slurm-pki"), &args);
    assert!(output.status.success());
    let root = first.site.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let steps: Vec<_> = calls
        .into_iter()
        .filter(|call| call.is_one_of(&CHANGES) && call.mentions(&root))
        .filter(|call| call.name != "openat" || call.mentions("O_CREAT"))
        .collect();
    assert!(steps.len() > 8, "{steps:?}");
    for step in steps {
        let cluster = prepared();
        let former = secret(&cluster, "cloud1").token().digest();
        let output = strike(&cluster.slurm(), &program("slurm-pki"), &args, &step, Fault::Kill);
        assert!(!output.status.success(), "{step:?}");
        if place(&cluster, "cloud1").exists() {
            let there = secret(&cluster, "cloud1");
            assert!(cluster.validates("cloud1", &there), "{step:?}");
        }
        cluster.ok(&args);
        let new = secret(&cluster, "cloud1");
        assert_ne!(new.token().digest(), former, "{step:?}");
        assert!(cluster.validates("cloud1", &new) && cluster.signs("cloud1", &new), "{step:?}");
        assert!(cluster.waiting("cloud1").is_none(), "{step:?}");
        assert_only(&cluster.site.path("state/resume"), &["cloud1.yaml", "slurmd.options"]);
    }
}

#[track_caller]
fn assert_only(folder: &Path, names: &[&str]) {
    let entries = fs::read_dir(folder).unwrap();
    let mut found: Vec<_> = entries.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, names);
}
