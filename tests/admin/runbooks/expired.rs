//! "CA expired".

use std::fs;
use std::time::Duration;

use serde_json::Value;
use support::site::{new_ca, now};

use crate::document::blocks;
use crate::head::Head;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn an_expired_ca_is_followed_by_another_and_nodes_come_back_by_their_tokens() {
    let head = Head::new();
    let (root, key) = new_ca("c1 Slurm CA", now().minus(400 * DAY), now().minus(DAY));
    // Written over, so that owners and modes stay.
    fs::write(head.path("etc/slurm/ca_cert.pem"), root).unwrap();
    let _ = head.done("chmod u+w /var/lib/slurm-pki/ca/ca_key.pem");
    fs::write(head.path("lib/slurm-pki/ca/ca_key.pem"), key).unwrap();
    let _ = head.done("chmod u-w /var/lib/slurm-pki/ca/ca_key.pem");
    let why = head.starts("n1").unwrap_err();
    assert!(why.contains("sign_csr: error: CA: the CA expired at "), "{why}");
    let why = head.fails("slurm-pki rehearse");
    assert!(why.contains("slurm-pki: error: "), "{why}");

    let blocks = blocks("CA expired");
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let _ = head.done(&block);
    }
    head.assert_owners();
    head.assert_pairs();
    let _ = head.starts_under(&head.read("etc/slurm/ca_cert.pem"), "n1");
    let listed: Value = serde_json::from_str(&head.done("slurm-pki cert list --json")).unwrap();
    let states: Vec<_> = listed["data"].as_array().unwrap().iter().map(|pair| &pair["state"]).collect();
    assert_eq!(states, ["ok", "ok", "ok"]);
}
