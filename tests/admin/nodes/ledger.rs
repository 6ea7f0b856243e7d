//! `ledger list` and `ledger show`.

use crate::cluster::Cluster;

/// Two certificates of n1 and one of n2.
fn issued() -> Cluster {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    for node in ["n1", "n1", "n2"] {
        assert!(cluster.signs(node, &cluster.waiting(node).unwrap()));
    }
    cluster
}

#[test]
fn everything_that_was_issued_is_listed() {
    let cluster = issued();
    let listed = cluster.json(&["ledger", "list"], "slurm-pki.ledger.list.v1");
    assert_eq!(listed.as_array().unwrap(), &cluster.site.ledger());
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(cluster.ok(&["ledger", "list"]).lines().count(), 4);
}

#[test]
fn nodes_and_times_narrow_the_list() {
    let cluster = issued();
    let count = |args: &[&str]| {
        let args = [&["ledger", "list"], args].concat();
        cluster.json(&args, "slurm-pki.ledger.list.v1").as_array().unwrap().len()
    };
    assert_eq!(count(&["--node", "n1"]), 2);
    assert_eq!(count(&["--node", "n[2-9]"]), 1);
    assert_eq!(count(&["--since", "1h"]), 3);
    assert_eq!(count(&["--since", "9000-01-01"]), 0);
}

#[test]
fn a_certificate_is_found_by_its_serial_in_any_spelling_and_a_node_by_its_name() {
    let cluster = issued();
    let entry = &cluster.site.ledger()[2];
    let serial = entry["serial"].as_str().unwrap();
    let pairs: Vec<_> = serial.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
    for spelling in [serial.to_owned(), serial.to_uppercase(), pairs.join(":")] {
        let shown = cluster.json(&["ledger", "show", &spelling], "slurm-pki.ledger.show.v1");
        assert_eq!(shown.as_array().unwrap(), std::slice::from_ref(entry), "{spelling}");
    }
    let shown = cluster.json(&["ledger", "show", "n1"], "slurm-pki.ledger.show.v1");
    assert_eq!(shown.as_array().unwrap().len(), 2);
    assert!(cluster.ok(&["ledger", "show", "n2"]).contains(serial));
    cluster.fails(&["ledger", "show", "n3"], "nothing was issued");
}
