//! Which key a daemon gets: its own, whatever else runs on its host.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

use support::openssl;
use support::programs;

use crate::cluster::{Cluster, LineUp};

use super::cluster;

#[test]
fn two_daemons_on_one_host_get_each_its_own_key() {
    let cluster = cluster();
    let (mut slurmd, mut sackd) = (cluster.daemon(), cluster.daemon());
    let first = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
    let second = cluster.run_in(&mut sackd, "generate_csr", &["n1"]).text();
    for (daemon, csr) in [(&mut slurmd, &first), (&mut sackd, &second)] {
        let key = cluster.run_in(daemon, "get_cert_key", &["n1"]).text();
        assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(csr));
    }
    assert_ne!(openssl::public_of_request(&first), openssl::public_of_request(&second));
}

#[test]
fn a_request_made_by_hand_does_not_change_what_the_daemon_gets() {
    let cluster = cluster();
    let mut slurmd = cluster.daemon();
    let csr = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
    // By hand: from this process, and from one that has ended before the daemon asks for its key.
    let _ = cluster.run("generate_csr", &["n1"]).text();
    let _ = cluster.run_in(&mut cluster.daemon(), "generate_csr", &["n1"]).text();
    let key = cluster.run_in(&mut slurmd, "get_cert_key", &["n1"]).text();
    assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(&csr));
}

#[test]
fn a_daemon_that_never_asked_gets_no_key_of_a_living_one() {
    let cluster = cluster();
    let (mut slurmd, mut sackd) = (cluster.daemon(), cluster.daemon());
    let _ = cluster.run_in(&mut slurmd, "generate_csr", &["n1"]).text();
    assert!(cluster.run_in(&mut sackd, "get_cert_key", &["n1"]).answer().is_err());
    assert!(cluster.run_in(&mut slurmd, "get_cert_key", &["n2"]).answer().is_err());
}

#[test]
fn every_request_has_a_fresh_key() {
    let cluster = cluster();
    let keys = [1, 2].map(|_| openssl::public_of_request(&cluster.run("generate_csr", &["n1"]).text()));
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn one_site_may_have_one_lasting_key_instead() {
    let mut cluster = cluster();
    let file = cluster.site.path("node/%n.key").to_str().unwrap().to_owned();
    cluster.site.set("node", "renew_key", false);
    cluster.site.set("node", "key_file", file);
    cluster.site.write_config();
    let keys = [1, 2].map(|_| openssl::public_of_request(&cluster.run("generate_csr", &["n1"]).text()));
    assert_eq!(keys[0], keys[1]);
    let key = cluster.run("get_cert_key", &["n1"]).text();
    assert_eq!(openssl::public_of_key(&key), keys[0]);
}

/// Sites put scripts of their own around the programs; then each program's parent is another process, which
/// has ended when the next one starts.
#[test]
fn a_wrapper_script_around_the_node_programs_does_no_harm() {
    let cluster = cluster();
    let wrapped = |program: &str| {
        let program = programs::program(program);
        let words = ["-c", "\"$0\" \"$@\"; exit $?", program.to_str().unwrap(), "n1"];
        cluster.site.slurm().run(Path::new("/bin/sh"), &words)
    };
    for _ in 0..2 {
        let csr = wrapped("generate_csr").text();
        let key = wrapped("get_cert_key").text();
        assert_eq!(openssl::public_of_key(&key), openssl::public_of_request(&csr));
    }
}

#[test]
fn keys_are_of_the_kind_that_the_config_names() {
    let mut cluster = cluster();
    cluster.site.set("node", "key_type", "p384");
    cluster.site.set("client", "key_type", "p384");
    cluster.site.write_config();
    let csr = cluster.run("generate_csr", &["n1"]).text();
    let key = cluster.run("get_cert_key", &["n1"]).text();
    let client = cluster.run::<&str>("keygen", &[]).text();
    for key in [&key, &client] {
        assert!(openssl::read(&["pkey", "-noout", "-text"], key.as_bytes()).contains("NIST CURVE: P-384"));
    }
    let certificate = cluster.run("sign_csr", &[&csr]).text();
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
    assert!(cluster.run("certgen", &[&client]).answer().is_ok());
}

#[test]
fn thirty_two_first_requests_at_once_agree_on_one_lasting_key() {
    let cluster = Cluster::new(LineUp::ours_on_schedmds_layout(), &["n1"]);
    let keys: BTreeSet<_> = thread::scope(|scope| {
        let one = || openssl::public_of_request(&cluster.run("generate_csr", &["n1"]).text());
        let runs: Vec<_> = (0..32).map(|_| scope.spawn(one)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let kept = openssl::public_of_key(&cluster.run("get_cert_key", &["n1"]).text());
    assert_eq!(keys, BTreeSet::from([kept]));
}
