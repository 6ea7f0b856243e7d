//! The seven programs on the two layouts that sites in the field have, with the configs that ship for them:
//! keys, CA and token lists made by openssl as those sites made theirs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a broken premise stops the test")]

mod hosts;
mod layout;

use support::daemon::Daemon;
use support::openssl;
use support::programs::program;
use support::slurm::{Run, Slurm};

use crate::hosts::{CONTROLLER, Hosts};
use crate::layout::{LAB, Layout, SCHEDMD};

#[test]
fn nodes_enrol_and_renew_on_schedmds_layout() {
    nodes_enrol_and_renew(&SCHEDMD);
}

#[test]
fn nodes_enrol_and_renew_on_the_labs_layout() {
    nodes_enrol_and_renew(&LAB);
}

#[test]
fn what_the_scripts_let_through_is_refused_on_schedmds_layout() {
    what_the_scripts_let_through_is_refused(&SCHEDMD);
}

#[test]
fn what_the_scripts_let_through_is_refused_on_the_labs_layout() {
    what_the_scripts_let_through_is_refused(&LAB);
}

#[test]
fn a_token_serves_its_own_node_alone_only_where_the_list_has_names() {
    let lab = Hosts::new(&LAB, &["n1", "n2"]);
    assert!(!on_controller(&lab, "validate_node_token", &["n2", &lab.token("n1")]).accepted());
    // SchedMD's list says who holds a token no more than its script does.
    let schedmd = Hosts::new(&SCHEDMD, &["n1", "n2"]);
    assert!(on_controller(&schedmd, "validate_node_token", &["n2", &schedmd.token("n1")]).accepted());
}

#[test]
fn an_unbound_request_waits_for_the_bind_key_on_schedmds_layout() {
    an_unbound_request_waits_for_the_bind_key(&SCHEDMD);
}

#[test]
fn an_unbound_request_waits_for_the_bind_key_on_the_labs_layout() {
    an_unbound_request_waits_for_the_bind_key(&LAB);
}

#[test]
fn the_sites_own_openssl_signs_our_request_on_schedmds_layout() {
    the_sites_own_openssl_signs_our_request(&SCHEDMD);
}

#[test]
fn the_sites_own_openssl_signs_our_request_on_the_labs_layout() {
    the_sites_own_openssl_signs_our_request(&LAB);
}

#[test]
fn a_program_works_behind_a_link_with_the_scripts_name() {
    let hosts = Hosts::new(&LAB, &["n1"]);
    let script = hosts.path("n1", "slurmd_get_node_token.sh");
    std::os::unix::fs::symlink(program("get_node_token"), &script).unwrap();
    assert_eq!(hosts.slurm("n1").run(&script, &["n1"]).text(), hosts.token("n1"));
}

/// All seven are ours: a first certificate, then a renewal, for each node.
fn nodes_enrol_and_renew(layout: &'static Layout) {
    let hosts = Hosts::new(layout, &["n1", "n2"]);
    for node in ["n1", "n2"] {
        let mut slurmd = Daemon::start(&hosts.slurm(node));
        let token = on_node(&mut slurmd, "get_node_token", node).text();
        assert_eq!(token, hosts.token(node));
        assert!(on_controller(&hosts, "validate_node_token", &[node, &token]).accepted());
        let first = certificate(&hosts, &mut slurmd, node);
        let second = certificate(&hosts, &mut slurmd, node);
        assert_ne!(first, second);
        // The layout has one lasting key per node, and it is the one that lay there.
        let own = openssl::public_of_key(&hosts.read(node, layout.node_key));
        assert_eq!(openssl::public_of_certificate(&second), own);
    }
    assert_eq!(hosts.ledger().lines().count(), 4);
    let client = Slurm::bare().with_env("SLURM_PKI_CONF", hosts.path("n1", "../../../slurm-pki.toml"));
    let key = client.run::<&str>(&program("keygen"), &[]).text();
    let own = client.run(&program("certgen"), &[&key]).text();
    openssl::verify(&own, &own, "sslserver");
}

/// Request, certificate and key as slurmd and slurmctld ask for them, checked against each other.
fn certificate(hosts: &Hosts, slurmd: &mut Daemon, node: &str) -> String {
    let csr = on_node(slurmd, "generate_csr", node).text();
    let certificate = on_controller(hosts, "sign_csr", &[&csr]).text();
    let key = on_node(slurmd, "get_cert_key", node).text();
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
    assert_eq!(openssl::subject_of_certificate(&certificate), format!("CN={node}"));
    let anchors = hosts.read(CONTROLLER, hosts.layout.ca_cert);
    openssl::verify(&certificate, &anchors, "sslserver");
    openssl::verify(&certificate, &anchors, "sslclient");
    certificate
}

/// The scripts match tokens as patterns, and some match anything at all.
fn what_the_scripts_let_through_is_refused(layout: &'static Layout) {
    let hosts = Hosts::new(layout, &["n1"]);
    let token = hosts.token("n1");
    for wrong in ["", ".", ".*", "\n", "n1", &token[1..], &token[..8], &format!("{token}\n\n")] {
        let run = on_controller(&hosts, "validate_node_token", &["n1", wrong]);
        assert!(!run.accepted(), "{wrong:?} was accepted");
    }
    assert!(!on_controller(&hosts, "validate_node_token", &["n1"]).accepted());
    let key = hosts.read("n1", layout.node_key);
    let csr = openssl::request(&key, &format!("{}/CN=slurmctld", layout.subject), &[]);
    hosts.configure(CONTROLLER, "bind = \"off\"");
    assert!(on_controller(&hosts, "sign_csr", &[&csr]).answer().is_err());
}

/// Our sign_csr beside the site's own generate_csr.
fn an_unbound_request_waits_for_the_bind_key(layout: &'static Layout) {
    let hosts = Hosts::new(layout, &["n1"]);
    let key = hosts.read("n1", layout.node_key);
    let csr = openssl::request(&key, &format!("{}/CN=n1", layout.subject), &[]);
    let refused = on_controller(&hosts, "sign_csr", &[&csr]);
    let Err(run) = refused.answer() else { panic!("an unbound request was signed") };
    let said = String::from_utf8(run.output.clone()).unwrap();
    assert!(said.contains("bind = \"warn\" or \"off\""), "{said}");
    for bind in ["warn", "off"] {
        hosts.configure(CONTROLLER, &format!("bind = \"{bind}\""));
        let certificate = on_controller(&hosts, "sign_csr", &[&csr]).text();
        assert_eq!(openssl::subject_of_certificate(&certificate), "CN=n1");
    }
}

/// Our generate_csr beside the site's own sign_csr: no key in our config is needed for that.
fn the_sites_own_openssl_signs_our_request(layout: &'static Layout) {
    let hosts = Hosts::new(layout, &["n1"]);
    let mut slurmd = Daemon::start(&hosts.slurm("n1"));
    let csr = on_node(&mut slurmd, "generate_csr", "n1").text();
    let (ca_cert, ca_key) = (hosts.path(CONTROLLER, layout.ca_cert), hosts.path(CONTROLLER, layout.ca_key));
    let (ca_cert, ca_key) = (ca_cert.to_str().unwrap(), ca_key.to_str().unwrap());
    let args = ["x509", "-req", "-CA", ca_cert, "-CAkey", ca_key, "-set_serial", "1"];
    let certificate = openssl::read(&args, csr.as_bytes());
    assert_eq!(openssl::subject_of_certificate(&certificate), "CN=n1");
    let key = on_node(&mut slurmd, "get_cert_key", "n1").text();
    assert_eq!(openssl::public_of_certificate(&certificate), openssl::public_of_key(&key));
}

fn on_node(slurmd: &mut Daemon, name: &str, node: &str) -> Run {
    slurmd.run(&program(name), &[node])
}

fn on_controller(hosts: &Hosts, name: &str, argv: &[&str]) -> Run {
    hosts.slurm(CONTROLLER).run(&program(name), argv)
}
