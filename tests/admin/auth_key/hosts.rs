//! Hosts that are lost, and daemons that do not load the list: each phase waits for them, and goes on with the same command.

use std::fs;

use crate::cluster::{Cluster, wait_for_credentials};

fn walk_with_a_lost_host(cluster: &Cluster, step: &str) {
    cluster.lose("n2");
    let said = cluster.refused(step);
    assert!(said.contains("failed on 1 of 2 hosts: n2") && said.contains("no route"), "{step}: {said}");
    let others = fs::read_dir(cluster.sim("events")).unwrap().count();
    cluster.never_an_outage_yet();
    cluster.find("n2");
    cluster.done(step);
    assert!(fs::read_dir(cluster.sim("events")).unwrap().count() > others);
    cluster.all_have_it();
    cluster.never_an_outage();
}

impl Cluster {
    fn never_an_outage_yet(&self) {
        if fs::read_dir(self.sim("events")).unwrap().count() > 0 {
            self.never_an_outage();
        }
    }
}

#[test]
fn a_host_that_is_lost_at_any_phase_is_waited_for() {
    let cluster = Cluster::new();
    walk_with_a_lost_host(&cluster, "add");
    walk_with_a_lost_host(&cluster, "use");
    wait_for_credentials();
    walk_with_a_lost_host(&cluster, "drop");
    assert_eq!(cluster.phase(), "none");
}

#[test]
fn a_node_that_does_not_start_anew_is_behind_and_the_next_phase_waits() {
    let cluster = Cluster::new();
    cluster.set("frozen/n2", "");
    let said = cluster.refused("add");
    assert!(said.contains("n2"), "{said}");
    let status = cluster.status();
    assert!(status["behind"]["slurmd n2"].as_str().is_some(), "{status}");
    assert!(status["done"].is_null());
    assert!(cluster.refused("use").contains("not every daemon has shown"));
    cluster.unset("frozen/n2");
    cluster.done("add");
    assert_eq!(cluster.status()["behind"], serde_json::json!({}));
    cluster.done("use");
    cluster.never_an_outage();
}

#[test]
fn a_node_without_room_for_a_step_is_waited_for_unless_its_start_is_enough() {
    let cluster = Cluster::new();
    cluster.set("idle", "0\n");
    cluster.set("nostep.n1", "");
    cluster.set("nostep.n2", "");
    assert!(cluster.refused("add --wait 1s").contains("no step can run there"));
    cluster.done("add --accept-busy");
}

#[test]
fn the_dead_are_left_out_and_remembered_until_they_are_reached() {
    let cluster = Cluster::new();
    cluster.lose("n2");
    cluster.set("state/n2", "\"DOWN\"\n");
    cluster.done("add --skip n2");
    assert_eq!(cluster.status()["hosts_skipped"], serde_json::json!(["n2"]));
    cluster.find("n2");
    cluster.set("state/n2", "\"IDLE\"\n");
    cluster.done("add");
    assert_eq!(cluster.status()["hosts_skipped"], serde_json::json!([]));
    cluster.all_have_it();
}

#[test]
fn without_pushing_the_list_is_compared_and_loaded_once_it_is_there() {
    let cluster = Cluster::new();
    let said = cluster.refused("add --no-push");
    assert!(said.contains("not yet as it is here on n[1-2]") && said.contains("SHA-256"), "{said}");
    for host in ["n1", "n2"] {
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .arg(cluster.site.path("slurm.jwks"))
            .arg(cluster.sim(&format!("there/{host}/slurm.jwks")))
            .status();
        assert!(copied.unwrap().success());
    }
    cluster.done("add --no-push");
    cluster.all_have_it();
}

#[test]
fn a_node_that_comes_back_between_two_phases_gets_the_list_before_the_next() {
    let cluster = Cluster::new();
    cluster.set("state/n2", "\"IDLE\",\"POWERED_DOWN\"\n");
    cluster.lose("n2");
    cluster.done("add");
    cluster.find("n2");
    cluster.set("state/n2", "\"IDLE\"\n");
    let said = cluster.refused("use");
    assert!(said.contains("have come since") && said.contains("slurmd n2"), "{said}");
    assert_eq!(cluster.phase(), "add");
    cluster.done("rotate");
    cluster.all_have_it();
    cluster.never_an_outage();
}

#[test]
fn a_node_that_waits_for_its_reboot_gets_every_list_and_is_looked_after_before_the_old_key_leaves() {
    let cluster = Cluster::new();
    cluster.set("state/n2", "\"IDLE\",\"REBOOT_REQUESTED\"\n");
    cluster.done("add");
    assert!(cluster.done("use").contains("n2 may miss the new key"));
    cluster.all_have_it();
    wait_for_credentials();
    assert!(cluster.refused("drop").contains("n2"));
    cluster.set("state/n2", "\"IDLE\"\n");
    cluster.done("drop");
    cluster.all_have_it();
    cluster.never_an_outage();
}

#[test]
fn a_cloud_node_that_is_there_gets_every_list_though_it_is_named() {
    let cluster = Cluster::new();
    cluster.set("state/n2", "\"IDLE\",\"CLOUD\"\n");
    cluster.done("add");
    cluster.done("use --skip n2");
    wait_for_credentials();
    cluster.done("drop");
    cluster.all_have_it();
    cluster.never_an_outage();
}

#[test]
fn a_node_that_slurm_conf_does_not_know_is_looked_after_before_the_old_key_leaves() {
    let cluster = Cluster::new();
    let conf = cluster.site.read("slurm.conf").replace("NodeName=n[1-2]", "NodeName=n1");
    fs::write(cluster.site.path("slurm.conf"), conf).unwrap();
    cluster.done("add");
    assert!(cluster.done("use").contains("n2 may miss the new key: IDLE, and not in slurm.conf"));
    wait_for_credentials();
    assert!(cluster.refused("drop").contains("n2"));
    cluster.done("drop --skip n2");
}
