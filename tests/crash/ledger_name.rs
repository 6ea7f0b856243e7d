//! A power failure: what was printed must be on the disk, the name of the ledger's file included.

use support::bound_request::bound_request;
use support::site::Site;

use crate::scene::Scene;

#[test]
fn a_new_ledgers_name_is_on_the_disk_before_its_first_line_and_the_line_before_the_answer() {
    let mut site = Site::new();
    let secret = site.enrol("n1");
    let calls = Scene::new(site, "sign_csr", &[&bound_request(&secret, "n1")]).calls();
    let position = |name: &str, of: &str| {
        calls.iter().position(|call| call.name == name && call.mentions(of)).expect("it is called")
    };
    // Otherwise a program killed between the two would leave a line under a name that nobody ever syncs.
    let order = [
        position("fsync", "/state/ledger>"),
        position("write", ".jsonl>"),
        position("fdatasync", ".jsonl>"),
        position("write", "(1,"),
    ];
    assert!(order.is_sorted(), "{order:?}");
}
