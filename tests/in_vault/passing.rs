//! What passes by itself is waited for, within the deadline.

use vault_stand_in::Fault;

use crate::asked::Asked;

#[track_caller]
fn is_waited_for(fault: &Fault, times: u32) {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.fail("node-tokens/", fault.clone(), times);
    assert!(asked.validate().accepted(), "{}", String::from_utf8_lossy(&asked.validate().output));
    server.fail("pki/", fault.clone(), times);
    assert!(asked.sign().answer().is_ok());
}

#[test]
fn a_server_that_fails_twice_is_asked_a_third_time() {
    is_waited_for(&Fault::Status(503, "{\"errors\":[\"try again\"]}"), 2);
}

#[test]
fn a_short_rest_is_given() {
    is_waited_for(&Fault::TooMany(1), 1);
}

#[test]
fn a_lost_connection_is_made_anew() {
    is_waited_for(&Fault::Closed, 1);
    is_waited_for(&Fault::Truncated, 1);
}

#[test]
fn a_standbys_redirect_is_followed_with_token_and_body() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    // Another member of the same cluster, with a certificate of the same CA: here the very same listener.
    server.fail("node-tokens/", Fault::Redirect(server.address()), 1);
    server.fail("pki/", Fault::Redirect(server.address()), 1);
    assert!(asked.sign().answer().is_ok());
}

#[test]
fn a_refusal_is_final_and_asked_for_once() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    server.fail("node-tokens/", Fault::Status(403, "{\"errors\":[\"permission denied\"]}"), 1);
    asked.validate_fails("does not allow");
    assert_eq!(server.requests(), ["GET node-tokens/data/n1"]);
}
