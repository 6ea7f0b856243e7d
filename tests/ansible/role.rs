//! One cluster from its first play to a node that goes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::hosts::{Hosts, files_below};

const TOKEN: &str = "/etc/slurm/certmgr/n1_token.txt";
const LOGIN: &str = "login1.example.org";

/// In this order, since each play finds what the one before has left.
#[test]
fn a_cluster_is_set_up_and_changes_only_where_something_is_to_change() {
    let hosts = Hosts::new(&["head", "n1", "n2", LOGIN]);
    hosts.inventory("n1", "");
    in_check_mode_nothing_is_made_on_fresh_hosts_and_nothing_fails(&hosts);
    the_first_play_gives_every_host_what_it_needs_and_shows_no_secret(&hosts);
    the_second_play_changes_nothing(&hosts);
    a_new_node_alone_is_enrolled_and_its_token_touches_no_disk_on_the_way(&hosts);
    a_node_that_lost_its_token_gets_a_new_one(&hosts);
    tags_choose_what_is_done(&hosts);
    root_on_a_node_chooses_neither_programs_nor_names(&hosts);
    a_removed_node_can_enrol_no_more(&hosts);
}

fn in_check_mode_nothing_is_made_on_fresh_hosts_and_nothing_fails(hosts: &Hosts) {
    let played = hosts.play(&["--check"]).went_well();
    assert!(played.changed("n1") > 0 && played.changed("head") > 0, "{}", played.said);
    for (host, path) in
        [("head", "/etc/slurm/ca_cert.pem"), ("head", "/usr/libexec/slurm-pki"), ("n1", TOKEN)]
    {
        assert!(!hosts.on(host, path).exists(), "{host} has {path}");
    }
}

fn the_first_play_gives_every_host_what_it_needs_and_shows_no_secret(hosts: &Hosts) {
    let played = hosts.play(&["-vvv"]).went_well();
    let slurm = hosts.run("head", &["id", "-u", "slurm"]).unwrap().trim().parse().unwrap();
    assert_eq!(hosts.mode_and_owner("head", "/var/lib/slurm-pki/ca/ca_key.pem"), (0o400, slurm));
    let ca = fs::read(hosts.on("head", "/etc/slurm/ca_cert.pem")).unwrap();
    let login_token = format!("/etc/slurm/certmgr/{LOGIN}_token.txt");
    for (host, token, owner) in [("n1", TOKEN, 0), (LOGIN, &login_token, slurm)] {
        assert_eq!(hosts.mode_and_owner(host, token), (0o400, owner), "{host}");
        assert_eq!(fs::read(hosts.on(host, "/etc/slurm/ca_cert.pem")).unwrap(), ca, "{host}");
        let secret = fs::read_to_string(hosts.on(host, token)).unwrap();
        let secret = secret.trim();
        assert!(secret.starts_with("slurm-pki-node-v1:"), "{host}");
        let encoded = data_encoding::BASE64.encode(secret.as_bytes());
        // The last letters of the text depend on what comes after it.
        assert!(
            !played.said.contains(secret) && !played.said.contains(&encoded[..encoded.len() - 4]),
            "{host}'s secret is shown"
        );
    }
    // What is told of a node is its own: nobody else's token is there, and the head node keeps none.
    let tokens = files_below(&hosts.on("n1", "/etc/slurm/certmgr"));
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert!(files_below(&hosts.on("head", "/var/lib/slurm-pki/outgoing")).is_empty());
    assert!(
        fs::read_dir(hosts.on("head", "/run"))
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with("slurm-pki-ansible-") })
    );
    // slurmd is told of the CA certificate, and the timer is enabled.
    let options = fs::read_to_string(hosts.on("n1", "/etc/default/slurmd")).unwrap();
    assert_eq!(options, "SLURMD_OPTIONS=\"--ca-cert-file=/etc/slurm/ca_cert.pem\"\n");
    let enabled = hosts.run("head", &["systemctl", "is-enabled", "slurm-pki-renew.timer"]);
    assert_eq!(enabled.as_deref(), Ok("enabled\n"));
    // The tokens are those that the head node knows.
    for (host, owner) in [("n1", "root"), (LOGIN, "slurm")] {
        let words = ["runuser", "-u", owner, "--", "/usr/libexec/slurm-pki/get_node_token", host];
        let token = hosts.run(host, &words).unwrap();
        let judge =
            ["runuser", "-u", "slurm", "--", "/usr/libexec/slurm-pki/validate_node_token", host, &token];
        hosts.run("head", &judge).unwrap();
    }
}

fn the_second_play_changes_nothing(hosts: &Hosts) {
    for words in [&[][..], &["--check"]] {
        let played = hosts.play(words).went_well();
        for host in ["head", "n1", LOGIN] {
            assert_eq!(played.changed(host), 0, "{host} {words:?}:\n{}", played.said);
        }
    }
}

fn a_new_node_alone_is_enrolled_and_its_token_touches_no_disk_on_the_way(hosts: &Hosts) {
    let before = fs::read(hosts.on("n1", TOKEN)).unwrap();
    hosts.inventory("n1\nn2", "");
    let trace = hosts.path("trace");
    let trace = trace.to_str().unwrap();
    // Every write of ansible and of what it starts, with the name of the file it goes to.
    let starter = [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-s",
        "1000000",
        "-e",
        "trace=write,writev,pwrite64",
        "-o",
        trace,
        "ansible-playbook",
    ];
    let played = hosts.play_by(&starter, &["--limit", "slurm_head,n2"]).went_well();
    assert_eq!(played.hosts(), ["head", "n2"]);
    assert!(played.changed("n2") > 0 && played.changed("head") == 0, "{}", played.said);
    let secret = fs::read_to_string(hosts.on("n2", "/etc/slurm/certmgr/n2_token.txt")).unwrap();
    let encoded = data_encoding::BASE64.encode(secret.as_bytes());
    let (mut piped, mut stored) = (0, Vec::new());
    for line in String::from_utf8_lossy(&fs::read(trace).unwrap()).lines() {
        let has_it = line.contains(&encoded[..encoded.len() - 4]) || line.contains(secret.trim());
        let to_a_file =
            line.split_once('<').is_some_and(|(_, to)| to.starts_with('/') && !to.starts_with("/dev/"));
        piped += usize::from(has_it && !to_a_file);
        if has_it && to_a_file {
            stored.push(line.chars().take(200).collect::<String>());
        }
    }
    assert!(piped > 0, "the trace does not show the token on its way");
    assert!(stored.is_empty(), "{stored:?}");
    assert_eq!(fs::read(hosts.on("n1", TOKEN)).unwrap(), before);
}

fn a_node_that_lost_its_token_gets_a_new_one(hosts: &Hosts) {
    let before = fs::read(hosts.on("n1", TOKEN)).unwrap();
    fs::remove_file(hosts.on("n1", TOKEN)).unwrap();
    let played = hosts.play(&["--limit", "n1,n2"]).went_well();
    assert!(played.changed("n1") > 0 && played.changed("n2") == 0, "{}", played.said);
    assert_ne!(fs::read(hosts.on("n1", TOKEN)).unwrap(), before);
}

fn tags_choose_what_is_done(hosts: &Hosts) {
    fs::remove_file(hosts.on("n1", "/etc/slurm/ca_cert.pem")).unwrap();
    fs::remove_file(hosts.on("n1", TOKEN)).unwrap();
    let played = hosts.play(&["--limit", "n1", "--tags", "slurm_pki_ca"]).went_well();
    assert!(played.changed("n1") > 0);
    assert!(hosts.on("n1", "/etc/slurm/ca_cert.pem").exists() && !hosts.on("n1", TOKEN).exists());
    hosts.play(&["--limit", "n1", "--tags", "slurm_pki_nodes"]).went_well();
    assert!(hosts.on("n1", TOKEN).exists());
}

/// A python that says more than it was asked: facts, which Ansible takes for variables.
const LIAR: &str = r#"#!/usr/bin/python3
import json, subprocess, sys
done = subprocess.run(["/usr/bin/python3"] + sys.argv[1:], stdin=sys.stdin, stdout=subprocess.PIPE)
said = done.stdout.decode()
try:
    answer = json.loads(said)
    answer["ansible_facts"] = {"slurm_pki_name": "n2", "slurm_pki_programs": "/tmp/liar", "slurm_pki_ca_cert": "/etc/passwd",
                               "slurm_pki_token_file": "/../../../etc/shadow"}
    said = json.dumps(answer)
except ValueError:
    pass
open("/tmp/lied", "a").write("x")
sys.stdout.write(said)
sys.exit(done.returncode)
"#;

fn root_on_a_node_chooses_neither_programs_nor_names(hosts: &Hosts) {
    let liar = hosts.on("n1", "/usr/local/bin/liar");
    fs::write(&liar, LIAR).unwrap();
    fs::set_permissions(&liar, fs::Permissions::from_mode(0o755)).unwrap();
    hosts.inventory("n1 ansible_python_interpreter=/usr/local/bin/liar\nn2", "");
    fs::remove_file(hosts.on("n1", TOKEN)).unwrap();
    let before = fs::read(hosts.on("n2", "/etc/slurm/certmgr/n2_token.txt")).unwrap();
    hosts.play(&["--limit", "n1", "--tags", "slurm_pki_ca,slurm_pki_nodes"]).went_well();
    assert!(hosts.on("n1", "/tmp/lied").exists(), "nobody lied");
    let has = fs::read(hosts.on("n1", TOKEN)).unwrap();
    assert!(has.starts_with(b"slurm-pki-node-v1:"));
    let token = hosts.run("n1", &["/usr/libexec/slurm-pki/get_node_token", "n1"]).unwrap();
    for (node, accepted) in [("n1", true), ("n2", false)] {
        let judge =
            ["runuser", "-u", "slurm", "--", "/usr/libexec/slurm-pki/validate_node_token", node, &token];
        assert_eq!(hosts.run("head", &judge).is_ok(), accepted, "{node}");
    }
    assert_eq!(fs::read(hosts.on("n2", "/etc/slurm/certmgr/n2_token.txt")).unwrap(), before);
    let ca = fs::read(hosts.on("head", "/etc/slurm/ca_cert.pem")).unwrap();
    assert_eq!(fs::read(hosts.on("n1", "/etc/slurm/ca_cert.pem")).unwrap(), ca);
}

fn a_removed_node_can_enrol_no_more(hosts: &Hosts) {
    hosts.inventory("n1", "slurm_pki_removed=['n2','n77']");
    let played = hosts.play(&["--limit", "slurm_head", "--tags", "slurm_pki_nodes"]).went_well();
    assert_eq!(played.changed("head"), 1, "{}", played.said);
    let token = hosts.run("n2", &["/usr/libexec/slurm-pki/get_node_token", "n2"]).unwrap();
    let judge = ["runuser", "-u", "slurm", "--", "/usr/libexec/slurm-pki/validate_node_token", "n2", &token];
    assert!(hosts.run("head", &judge).is_err());
    let played = hosts.play(&["--limit", "slurm_head", "--tags", "slurm_pki_nodes"]).went_well();
    assert_eq!(played.changed("head"), 0, "{}", played.said);
}
