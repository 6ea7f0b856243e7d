//! What there is after each phase.

use std::fs;

use support::openssl;

use crate::cluster::{Cluster, accepted, count, words};
use crate::server::Server;

/// A server for slurmctld and one for each node, with the files that they would load now.
fn daemons(cluster: &Cluster, n1: &(String, String), n2: &(String, String)) -> [Server; 3] {
    let trust = cluster.site.read("ca_cert.pem");
    let ctld = (cluster.site.read("ctld_cert.pem"), cluster.site.read("ctld_cert_key.pem"));
    let pairs = [&ctld, n1, n2];
    let mut at = cluster
        .ports
        .into_iter()
        .zip(pairs)
        .map(|(port, (cert, key))| Server::start(port, cert, key, &trust));
    std::array::from_fn(|_| at.next().unwrap())
}

/// A node's pair, as `cert issue slurmd` makes it.
fn pair(cluster: &Cluster, node: &str) -> (String, String) {
    let out = cluster.site.text_path("pairs");
    cluster.site.done(&["cert", "issue", "slurmd", node, "--out", &out, "--force"]);
    let read = |name: &str| cluster.site.read(&format!("pairs/{node}/slurmd_{name}.pem"));
    (read("cert"), read("cert_key"))
}

#[test]
fn a_whole_rollover_ends_with_the_new_ca_alone() {
    let cluster = Cluster::with_nodes();
    let before = (pair(&cluster, "n1"), pair(&cluster, "n2"));
    let said = cluster.rollover("begin");
    assert!(said.contains("Next: slurm-pki ca rollover switch"), "{said}");
    assert_eq!(cluster.phase(), "begun");
    assert_eq!(openssl::subject_of_certificate(&cluster.new_root().unwrap()), "CN=c1 Slurm CA G2");
    cluster.site.assert_file("state/ca/rollover.json", 0o644, cluster.site.slurm_user.1);
    cluster.site.assert_file("state/ca/rollover/new_key.pem", 0o400, cluster.site.slurm_user.1);
    cluster.site.assert_file("ca_cert.pem", 0o644, crate::scratch::caller());
    assert_eq!(count(&cluster.sign()), 1, "the old CA issues");
    let new = cluster.new_root().unwrap();

    let said = cluster.rollover("switch");
    assert!(said.contains("Restart slurmctld"), "{said}");
    let chain = cluster.sign();
    assert_eq!(count(&chain), 2, "leaf and cross certificate");
    for bundle in [&cluster.old, &new, &cluster.site.read("ca_cert.pem")] {
        accepted(&chain, bundle);
        accepted(&cluster.site.read("ctld_cert.pem"), bundle);
    }
    let shown = cluster.site.json(&["ca", "show"], "slurm-pki.ca.show.v1");
    let kinds: Vec<_> = shown["certificates"].as_array().unwrap().iter().map(|ca| &ca["kind"]).collect();
    assert_eq!(kinds, ["root", "root", "cross certificate"]);
    let status = cluster.status();
    assert_eq!((&status["phase"], &status["signs"]), (&"switched".into(), &"new".into()));
    let waiting: Vec<_> =
        status["old_certificates"].as_array().unwrap().iter().map(|h| h["name"].clone()).collect();
    assert_eq!(waiting, ["n1", "n2", "slurmctld"]);

    let servers = daemons(&cluster, &before.0, &before.1);
    assert!(cluster.refused("finish --yes").contains("not shown by n[1-2]"));
    drop(servers);
    let _servers = daemons(&cluster, &pair(&cluster, "n1"), &pair(&cluster, "n2"));
    let said = cluster.rollover("finish --yes");
    assert!(said.contains("shown    by 3 of 3 daemons"), "{said}");
    assert_eq!(cluster.phase(), "none");
    assert_eq!(cluster.site.read("ca_cert.pem"), new);
    assert!(!cluster.site.path("state/ca/chain.pem").exists());
    let chain = cluster.sign();
    assert_eq!(count(&chain), 1);
    accepted(&chain, &new);
    cluster.site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
}

#[test]
fn the_next_rollover_is_the_next_generation() {
    let cluster = Cluster::new();
    for number in 2..=3 {
        cluster.rollover("begin --no-push");
        let subject = openssl::subject_of_certificate(&cluster.new_root().unwrap());
        assert_eq!(subject, format!("CN=c1 Slurm CA G{number}"));
        cluster.rollover("switch");
        let read = |name: &str| cluster.site.read(name);
        let _slurmctld = Server::start(
            cluster.ports[0],
            &read("ctld_cert.pem"),
            &read("ctld_cert_key.pem"),
            &read("ca_cert.pem"),
        );
        cluster.rollover("finish --no-push --yes");
    }
    assert_eq!(count(&cluster.site.read("ca_cert.pem")), 1);
}

#[test]
fn an_intermediate_and_its_root_go_together() {
    let cluster = Cluster::with(&["--intermediate"], "");
    cluster.rollover("begin --no-push");
    cluster.rollover("switch");
    let new = cluster.new_root().unwrap();
    let chain = cluster.sign();
    assert_eq!(count(&chain), 3, "leaf, cross certificate, the intermediate that signed it");
    accepted(&chain, &cluster.old);
    accepted(&chain, &new);
    let read = |name: &str| cluster.site.read(name);
    let _slurmctld = Server::start(
        cluster.ports[0],
        &read("ctld_cert.pem"),
        &read("ctld_cert_key.pem"),
        &read("ca_cert.pem"),
    );
    cluster.rollover("finish --no-push --yes");
    assert_eq!(cluster.site.read("ca_cert.pem"), new);
    assert!(
        !cluster.site.path("state/ca/root_key.pem").exists(),
        "init would make another intermediate of it"
    );
    cluster.site.done(&["init"]);
    accepted(&cluster.sign(), &new);
}

#[test]
fn abort_gives_back_what_there_was_to_the_letter() {
    for steps in [&["begin --no-push"][..], &["begin --no-push", "switch"]] {
        let cluster = Cluster::new();
        let key = cluster.site.read("state/ca/ca_key.pem");
        for step in steps {
            cluster.rollover(step);
        }
        let under_new = cluster.sign();
        cluster.rollover("abort --no-push");
        assert_eq!(cluster.phase(), "none");
        assert_eq!(cluster.site.read("ca_cert.pem"), cluster.old);
        assert_eq!(cluster.site.read("state/ca/ca_key.pem"), key);
        assert!(!cluster.site.path("state/ca/chain.pem").exists());
        cluster.site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
        for chain in [cluster.sign(), under_new] {
            accepted(&chain, &cluster.old);
        }
        cluster.rollover("begin --no-push");
        // What the CA that was given up has issued is alive, and is not to be taken for its namesake's.
        let next = if steps.len() == 1 { "CN=c1 Slurm CA G2" } else { "CN=c1 Slurm CA G3" };
        assert_eq!(openssl::subject_of_certificate(&cluster.new_root().unwrap()), next);
    }
}

#[test]
fn other_commands_serve_in_every_phase() {
    let cluster = Cluster::new();
    let all = |phase: &str| {
        let site = &cluster.site;
        assert_eq!(cluster.phase(), phase);
        let before = site.read("ca_cert.pem");
        for command in
            [&["init"][..], &["ca", "init"], &["ca", "show"], &["cert", "issue", "ctld"], &["rehearse"]]
        {
            site.done(command);
        }
        assert_eq!(site.read("ca_cert.pem"), before);
        site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
        let (cert, key) = (site.text_path("ca_cert.pem"), site.text_path("state/ca/ca_key.pem"));
        let said = site.refused(&["ca", "import", "--cert", &cert, "--key", &key]);
        assert!(said.contains("rollover is under way") && said.contains(phase), "{said}");
    };
    cluster.rollover("begin --no-push");
    all("begun");
    cluster.rollover("switch");
    all("switched");
    let state = cluster.site.read("state/ca/rollover.json");
    for phase in ["finishing", "aborting"] {
        fs::write(cluster.site.path("state/ca/rollover.json"), state.replace("switched", phase)).unwrap();
        all(phase);
    }
}

#[test]
fn a_step_that_is_done_is_done_again_without_a_change() {
    let cluster = Cluster::new();
    for step in ["begin --no-push", "switch"] {
        cluster.rollover(step);
        let before = cluster.site.everything();
        cluster.rollover(step);
        assert_eq!(cluster.site.everything(), before, "{step}");
    }
}

#[test]
fn a_dry_run_changes_nothing_in_any_phase() {
    let cluster = Cluster::with_nodes();
    for step in ["begin", "switch", "finish", "abort"] {
        let before = cluster.site.everything();
        let (listed, _) = cluster
            .site
            .done(&words(&format!("{} --dry-run", if step == "finish" { "abort" } else { step })));
        assert!(listed.contains("would "), "{listed}");
        assert_eq!(cluster.site.everything(), before, "{step}");
        if matches!(step, "begin" | "switch") {
            cluster.rollover(step);
        }
    }
    let before = cluster.site.everything();
    let (listed, _) = cluster.site.done(&words("finish --dry-run"));
    assert!(listed.contains("would ask 3 daemons") && listed.contains("ca_cert.pem"), "{listed}");
    assert_eq!(cluster.site.everything(), before);
}
