//! The lock on the ledger, in somebody else's hands.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};
use support::bound_request::bound_request;
use support::site::{Site, files_below};

use crate::controller::Controller;

pub(crate) fn kept() {
    let mut site = Site::new();
    let secret = site.enrol("n1");
    let first = bound_request(&secret, "n1");
    let _ = Controller::Here.signs(&site, "n1", &first);
    let ledger = site.path("state/ledger");
    let (path, _) = files_below(&ledger)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|e| e == "lock"))
        .unwrap();
    let before = files_below(&site.path("state"));

    let lock = File::open(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let output = Controller::Here.run(&site, "sign_csr", &[&first]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
    assert!(said.starts_with("sign_csr: error: waited too long for the lock "), "{said}");
    assert!(
        said.contains(path.to_str().unwrap()) && said.contains("\nsign_csr: hint: see who holds it"),
        "{said}"
    );
    assert!(before == files_below(&site.path("state")), "something was issued or marked");

    drop(lock);
    let _ = Controller::Here.signs(&site, "n1", &first);
    assert_eq!(site.ledger().len(), 2);
}
