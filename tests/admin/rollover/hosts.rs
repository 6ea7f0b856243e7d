//! The bundle on its way to other hosts, through a tool that stays on this one.

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::programs::program;

use crate::cluster::{Cluster, accepted, count};
use crate::server::Server;

/// n1 and n2 are other hosts. What "runs there" runs here, but ca_cert goes to `there/HOST/`; a host whose folder is
/// missing cannot be reached.
fn cluster() -> Cluster {
    let cluster = Cluster::with(&[], "");
    let [ctld, n1, n2] = cluster.ports;
    cluster.site.slurm_conf(&format!(
        "SlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={ctld}\nNodeName=n[1-2] NodeAddr=127.0.0.1 Port={n1},{n2}\n"
    ));
    let script = "\
[ -d THERE/$1 ] || { echo \"no route\"; exit 255; }\n\
case $2 in\n\
\"sh \"*) file=${2#sh }; sed -i \"s,'HERE','THERE/$1',; s, HERE/, THERE/$1/,\" \"$file\"; said=$(sh \"$file\") || exit;;\n\
*) said=$(eval \"$2\") || exit;;\n\
esac\n\
echo \"$said\" | sed \"s,THERE/$1/,HERE/,\"\n";
    let (here, there) = (cluster.site.text_path("."), cluster.site.text_path("there"));
    let here = here.trim_end_matches("/.");
    cluster.site.write("run.sh", &script.replace("THERE", &there).replace("HERE", here), 0o755);
    let run = cluster.site.text_path("run.sh");
    let config = cluster.site.read("slurm-pki.toml")
        + &format!(
            "\n[fleet]\nrun = [\"bash\", \"{run}\", \"{{host}}\", \"{{command}}\"]\n\
                    copy = [\"sh\", \"-c\", \"cp $1 $2\", \"{{host}}\", \"{{from}}\", \"{{to}}\"]\n"
        );
    cluster.site.write("slurm-pki.toml", &config, 0o644);
    cluster
}

#[test]
fn a_host_that_is_not_reached_is_named_and_gets_it_with_the_same_command_again() {
    let cluster = cluster();
    fs::create_dir_all(cluster.site.path("there/n1")).unwrap();
    let said = cluster.refused("begin");
    assert!(said.contains("failed on 1 of 2 hosts: n2") && said.contains("no route"), "{said}");
    assert_eq!(cluster.phase(), "begun", "what is here is right all the same");
    let both = cluster.site.read("ca_cert.pem");
    assert_eq!(count(&both), 2);
    assert_eq!(cluster.site.read("there/n1/ca_cert.pem"), both);
    let status = cluster.status();
    assert_eq!((&status["hosts_given"], &status["hosts_lacking"]), (&1.into(), &serde_json::json!(["n2"])));
    let said = cluster.rollover("switch");
    assert!(said.contains("not known to have the new root yet: n2"), "{said}");
    assert!(cluster.refused("abort").contains("failed on 1 of 2 hosts: n2"));
    assert_eq!(cluster.phase(), "aborting");
    fs::create_dir_all(cluster.site.path("there/n2")).unwrap();
    fs::remove_dir_all(cluster.site.path("there/n1")).unwrap();
    cluster.rollover("abort");
    assert_eq!(cluster.site.read("there/n2/ca_cert.pem"), cluster.old);
    assert_eq!(cluster.phase(), "none");
}

#[test]
fn finish_goes_on_with_the_hosts_that_it_did_not_reach() {
    let cluster = cluster();
    for node in ["n1", "n2"] {
        fs::create_dir_all(cluster.site.path(&format!("there/{node}"))).unwrap();
    }
    cluster.rollover("begin");
    cluster.rollover("switch");
    let out = cluster.site.text_path("pairs");
    cluster.site.done(&["cert", "issue", "slurmd", "n[1-2]", "--out", &out]);
    let read = |name: &str| cluster.site.read(name);
    let start =
        |port, cert: &str, key: &str| Server::start(port, &read(cert), &read(key), &read("ca_cert.pem"));
    let [ctld, n1, n2] = cluster.ports;
    let _servers = [
        start(ctld, "ctld_cert.pem", "ctld_cert_key.pem"),
        start(n1, "pairs/n1/slurmd_cert.pem", "pairs/n1/slurmd_cert_key.pem"),
        start(n2, "pairs/n2/slurmd_cert.pem", "pairs/n2/slurmd_cert_key.pem"),
    ];
    fs::remove_dir_all(cluster.site.path("there/n2")).unwrap();
    assert!(cluster.refused("finish --yes").contains("failed on 1 of 2 hosts: n2"));
    assert_eq!((cluster.phase().as_str(), count(&cluster.site.read("ca_cert.pem"))), ("finishing", 1));
    accepted(&cluster.sign(), &cluster.new_root().unwrap());
    fs::create_dir_all(cluster.site.path("there/n2")).unwrap();
    cluster.rollover("finish --yes");
    assert_eq!(cluster.site.read("there/n1/ca_cert.pem"), cluster.site.read("ca_cert.pem"));
    assert_eq!(cluster.site.read("there/n2/ca_cert.pem"), cluster.site.read("ca_cert.pem"));
    assert_eq!(cluster.phase(), "none");
}

#[test]
fn the_dead_are_left_out_and_forgotten_once_they_are_reached() {
    let cluster = cluster();
    fs::create_dir_all(cluster.site.path("there/n1")).unwrap();
    cluster.rollover("begin --skip n2");
    assert!(cluster.site.read("state/fleet/skipped.json").contains("\"n2\""));
    assert_eq!(cluster.status()["hosts_skipped"], serde_json::json!(["n2"]));
    fs::create_dir_all(cluster.site.path("there/n2")).unwrap();
    cluster.rollover("begin");
    assert!(!cluster.site.read("state/fleet/skipped.json").contains("\"n2\""));
    assert_eq!(cluster.site.read("there/n2/ca_cert.pem"), cluster.site.read("ca_cert.pem"));
    assert_eq!(cluster.status()["hosts_lacking"], serde_json::json!([]));
}

/// A renewal while the bundle is on its way, a second or more after the command began, loads the one before.
#[test]
fn a_login_host_that_renewed_before_the_bundle_arrived_has_not_loaded_it() {
    let cluster = cluster();
    for host in ["n1", "n2", "login1"] {
        fs::create_dir_all(cluster.site.path(&format!("there/{host}"))).unwrap();
    }
    let config = cluster.site.read("slurm-pki.toml").replace("[fleet]\n", "[fleet]\nsackd = \"login1\"\n");
    cluster.site.write("slurm-pki.toml", &config, 0o644);
    let run = cluster.site.read("run.sh");
    let renewal = format!(
        "[ $1 = login1 ] && sleep 1 && SLURM_PKI_CONF={} {} cert issue sackd login1 --out {} --force >&2\n",
        cluster.site.text_path("slurm-pki.toml"),
        program("slurm-pki").display(),
        cluster.site.text_path("pairs"),
    );
    cluster.site.write("run.sh", &(renewal + &run), 0o755);
    cluster.rollover("begin");
    assert!(cluster.site.issued().contains(&"login1".to_owned()));
    cluster.site.write("run.sh", &run, 0o755);
    cluster.rollover("switch");
    let said = cluster.refused("finish --yes");
    assert!(said.contains("login1: its last renewal was before the bundle came"), "{said}");
}

/// Later the time has come that the fast clock showed. What the ledger had when the bundle came is still from before.
#[test]
fn what_a_fast_clock_dated_before_the_bundle_came_is_never_a_proof() {
    let cluster = cluster();
    let ctld = cluster.ports[0];
    cluster.site.slurm_conf(&format!("SlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={ctld}\n"));
    let config = cluster.site.read("slurm-pki.toml").replace("[fleet]\n", "[fleet]\nsackd = \"login1\"\n");
    cluster.site.write("slurm-pki.toml", &config, 0o644);
    fs::create_dir_all(cluster.site.path("there/login1")).unwrap();
    let out = cluster.site.text_path("pairs");
    cluster.site.done(&["cert", "issue", "sackd", "login1", "--out", &out]);
    cluster.date_later("login1", 3600);
    cluster.rollover("begin");
    cluster.rollover("switch");

    // So long that its certificate has ended: then all that was before is so much earlier.
    let later = 9 * 365 * 86_400;
    cluster.date_later("login1", -later);
    let file = "state/ca/rollover/hosts.json";
    let mut hosts: Value = serde_json::from_str(&cluster.site.read(file)).unwrap();
    hosts["login1"]["time"] = (hosts["login1"]["time"].as_i64().unwrap() - later).into();
    cluster.site.write(file, &hosts.to_string(), 0o644);
    let read = |name: &str| cluster.site.read(name);
    let (cert, key) = (read("ctld_cert.pem"), read("ctld_cert_key.pem"));
    let _slurmctld = Server::start(ctld, &cert, &key, &read("ca_cert.pem"));
    let said = cluster.refused("finish --yes");
    assert!(said.contains("login1: its last renewal is dated by a clock that was fast"), "{said}");
    assert!(!said.contains("the last certificate of this name"), "{said}");
    cluster.site.done(&["cert", "issue", "sackd", "login1", "--out", &out, "--force"]);
    cluster.rollover("finish --yes");
    assert_eq!(cluster.phase(), "none");
}

#[test]
fn without_pushing_it_says_what_has_to_get_where() {
    let cluster = cluster();
    let said = cluster.rollover("begin --no-push");
    assert!(said.contains("SHA-256 ") && said.contains("to n[1-2], and into images"), "{said}");
}

/// Two controllers at one port of two addresses, with slurmctld on each.
fn two_controllers(begin: &str) -> (Cluster, [Server; 2]) {
    let cluster = cluster();
    let ctld = cluster.ports[0];
    cluster.site.slurm_conf(&format!(
        "SlurmctldHost=localhost(127.0.0.1)\nSlurmctldHost=c2(127.0.0.2)\nSlurmctldPort={ctld}\n"
    ));
    fs::create_dir_all(cluster.site.path("there/c2")).unwrap();
    cluster.rollover(begin);
    copy_of_the_state(&cluster);
    cluster.rollover("switch");
    let read = |name: &str| cluster.site.read(name);
    let (cert, key, trust) = (read("ctld_cert.pem"), read("ctld_cert_key.pem"), read("ca_cert.pem"));
    let servers = ["127.0.0.1", "127.0.0.2"].map(|ip| Server::start_at(ip, ctld, &cert, &key, &trust));
    (cluster, servers)
}

/// What an admin copies to a second controller.
fn copy_of_the_state(cluster: &Cluster) {
    let (from, to) = (cluster.site.text_path("state"), cluster.site.path("there/c2/state"));
    if to.exists() {
        fs::remove_dir_all(&to).unwrap();
    }
    let copied = Command::new("cp").args(["-a", &from, to.to_str().unwrap()]).status().unwrap();
    assert!(copied.success());
}

/// A controller that takes over with the old CA's key after the old root is gone refuses every node.
#[test]
fn another_controller_has_to_sign_with_the_new_ca_too() {
    let (cluster, _servers) = two_controllers("begin");
    let said = cluster.refused("finish --yes");
    assert!(said.contains("c2: this controller does not sign with the new CA"), "no slurm-pki there: {said}");

    // c2's own slurm-pki, with its own files; the system's folders come before it in the PATH of what is run there.
    let there = cluster.site.text_path("there/c2");
    let config = format!("state_dir = \"{there}/state\"\n[controller]\nca_cert = \"{there}/ca_cert.pem\"\n");
    cluster.site.write("there/c2/slurm-pki.toml", &config, 0o644);
    let slurm_pki = program("slurm-pki");
    let script =
        format!("#!/bin/sh\nSLURM_PKI_CONF={there}/slurm-pki.toml exec {} \"$@\"\n", slurm_pki.display());
    cluster.site.write("there/c2/slurm-pki", &script, 0o755);
    let run = cluster.site.read("run.sh");
    cluster.site.write("run.sh", &format!("PATH=$PATH:{there}\n{run}"), 0o755);

    let said = cluster.refused("finish --yes");
    assert!(said.contains("it signs with another CA, or none"), "{said}");
    assert_eq!(cluster.phase(), "switched");
    copy_of_the_state(&cluster);
    cluster.rollover("finish --yes");
    assert_eq!(cluster.phase(), "none");
}

/// A forwarded port: the first controller answers for the second, whose own pair is another.
#[test]
fn a_controller_does_not_show_it_with_the_pair_of_another() {
    let (cluster, _servers) = two_controllers("begin");
    let (here, there) = (cluster.site.text_path("."), cluster.site.text_path("there"));
    let pair = format!("{}/ctld_cert", here.trim_end_matches("/."));
    let lead = format!("set -- \"$1\" \"${{2/%| sh/| sed s,{pair},{there}/$1/ctld_cert,g | sh}}\"\n");
    let run = cluster.site.read("run.sh");
    cluster.site.write("run.sh", &(lead + &run), 0o755);
    let reason = "c2: the certificate of the same daemon on another host is served";
    let said = cluster.refused("finish --yes");
    assert!(said.contains(reason), "no pair there: {said}");
    cluster.site.write("there/c2/ctld_cert_key.pem", "not read", 0o600);
    cluster.site.write("there/c2/ctld_cert.pem", &cluster.site.read("ctld_cert.pem"), 0o644);
    let said = cluster.refused("finish --yes");
    assert!(!said.contains(reason), "the same pair: {said}");
    cluster.site.done(&["cert", "issue", "ctld", "--force"]);
    let other = cluster.site.read("ctld_cert.pem");
    cluster.site.write("there/c2/ctld_cert.pem", &other, 0o644);
    let said = cluster.refused("finish --yes");
    assert!(!said.contains(reason), "the same new pair, not loaded yet: {said}");
    cluster.site.done(&["cert", "issue", "ctld", "--force"]);
    let said = cluster.refused("finish --yes");
    assert!(said.contains("shown    by 0 of 2 daemons"), "two pairs, and a third is served: {said}");
}

#[test]
fn where_nothing_is_run_elsewhere_the_other_controllers_are_named() {
    let (cluster, _servers) = two_controllers("begin --no-push");
    let said = cluster.rollover("finish --no-push --yes");
    assert!(said.contains("c2 signs too, as a controller, and was not asked"), "{said}");
    assert!(said.contains("show one certificate, and were not asked"), "{said}");
}
