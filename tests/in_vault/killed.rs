//! `node add` and `node remove` killed wherever they change something, here or in Vault: between the role and the records,
//! in the middle of a call, before a file is in its place. The same command then completes what is missing, `vault check`
//! names what differs in between, and nobody has anything signed for a node that was removed.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use support::openssl;
use support::programs::program;
use support::slurm::Slurm;
use support::strace::{self, Call};
use vault_stand_in::Fault;

use crate::bare::Bare;
use crate::client::Hand;

const REHEARSAL: &str = "slurm-pki-rehearsal";

/// What changes a file, and what goes over the network.
const CHANGES: [&str; 10] =
    ["mkdir", "mkdirat", "link", "linkat", "rename", "renameat", "renameat2", "fsync", "write", "sendto"];

fn set_up() -> Bare {
    let bare = Bare::new();
    bare.succeeds(&["vault", "setup", "--ca", "root"]);
    bare
}

fn slurm(bare: &Bare) -> Slurm {
    Slurm::bare()
        .with_env("HOME", bare.site.path(""))
        .with_env("PATH", std::env::var_os("PATH").unwrap())
        .with_env("SLURM_PKI_CONF", bare.site.path("slurm-pki.toml"))
}

/// The calls by which a command changes something.
fn changes(bare: &Bare, arguments: &[&str]) -> Vec<Call> {
    let (calls, output) = strace::trace(&slurm(bare), &program("slurm-pki"), arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let changes: Vec<_> =
        calls.into_iter().filter(|call| call.is_one_of(&CHANGES) && !call.mentions("pipe:")).collect();
    let count = |name: &str| changes.iter().filter(|call| call.name == name).count();
    assert!(count("sendto") >= 5 && count("rename") + count("renameat") + count("write") >= 1, "{changes:?}");
    changes
}

#[track_caller]
fn killed_at(bare: &Bare, arguments: &[&str], call: &Call) {
    let output = strace::strike(&slurm(bare), &program("slurm-pki"), arguments, call, strace::Fault::Kill);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(9), "{arguments:?} {call:?}: {said}");
}

/// Whether a record speaks for it.
fn is_enrolled(bare: &Bare, node: &str) -> bool {
    let output = bare.run(&["node", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = listed["data"].as_array().unwrap_or_else(|| panic!("{listed}"));
    nodes.iter().any(|one| one["name"] == node && (one["state"] == "enrolled" || one["state"] == "renews"))
}

/// What `vault check` says of the names: nothing where both sides are the same.
#[track_caller]
fn check_names(bare: &Bare, node: &str) {
    let (in_role, enrolled) = (bare.names().iter().any(|name| name == node), is_enrolled(bare, node));
    let output = bare.run(&["vault", "check"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(said.contains("vault-names"), in_role != enrolled, "{in_role} {enrolled}: {said}");
    if in_role && !enrolled {
        assert!(said.contains("and not enrolled: ") && said.contains(node), "{said}");
    }
    assert!(in_role || !enrolled, "a node that is enrolled and gets no certificate: {said}");
}

/// With the programs' own login, whoever has it: past sign_csr, which would ask for the node's binding.
fn is_signed_for_thieves(bare: &Bare, node: &str) -> bool {
    let id = |name: &str| bare.site.read(name).trim().to_owned();
    let login = json!({ "role_id": id("role_id"), "secret_id": id("secret_id") });
    let token = bare.server.root("POST", "auth/approle/login", login);
    let token = token["auth"]["client_token"].as_str().unwrap();
    let key = openssl::new_key("EC", &["ec_paramgen_curve:P-256"]);
    let csr = openssl::request(&key, &format!("/CN={node}"), &[]);
    let body = json!({ "csr": csr, "common_name": node, "alt_names": node });
    Hand::at(&bare.server, &bare.site.path("vault_ca.pem"), token)
        .ask("POST", "pki/sign/slurm", Some(&body))
        .status
        == 200
}

/// A request of the node's own, with the secret that waited for it.
fn request_of(bare: &Bare, node: &str) -> String {
    let waiting = std::fs::read(bare.site.path(&format!("state/outgoing/{node}_token.txt"))).unwrap();
    let path = bare.site.path(&format!("node/{node}_token.txt"));
    let _ = std::fs::remove_file(path);
    bare.site.write(&format!("node/{node}_token.txt"), &waiting, 0o400);
    bare.site.slurm().run(&program("generate_csr"), &[node]).text()
}

fn signs(bare: &Bare, request: &str) -> bool {
    bare.site.slurm().run(&program("sign_csr"), &[request]).answer().is_ok()
}

#[track_caller]
fn is_added(bare: &Bare, node: &str) {
    bare.succeeds(&["node", "add", node]);
    assert!(is_enrolled(bare, node));
    assert_eq!(bare.names(), [node, REHEARSAL]);
    assert!(signs(bare, &request_of(bare, node)), "{node}");
}

#[track_caller]
fn is_removed(bare: &Bare, node: &str, request: &str) {
    bare.succeeds(&["node", "remove", node, "--yes"]);
    assert!(!is_enrolled(bare, node));
    assert_eq!(bare.names(), [REHEARSAL]);
    assert!(!signs(bare, request) && !is_signed_for_thieves(bare, node), "{node}");
    let check = bare.run(&["vault", "check"]);
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert!(!said.contains("vault-names"), "{said}");
}

#[test]
fn wherever_add_and_remove_are_killed_the_same_command_completes_both_sides() {
    let bare = set_up();
    // Folders are made once.
    is_added(&bare, "b00");
    is_removed(&bare, "b00", &request_of(&bare, "b00"));
    let (add, remove) = (["node", "add", "a00"], ["node", "remove", "a00", "--yes"]);
    let (adds, removes) = (changes(&bare, &add), changes(&bare, &remove));
    for (number, call) in adds.iter().enumerate() {
        let node = format!("a{:02}", number + 1);
        killed_at(&bare, &["node", "add", &node], call);
        check_names(&bare, &node);
        is_added(&bare, &node);
        let request = request_of(&bare, &node);
        is_removed(&bare, &node, &request);
    }
    for (number, call) in removes.iter().enumerate() {
        let node = format!("r{number:02}");
        is_added(&bare, &node);
        let request = request_of(&bare, &node);
        killed_at(&bare, &["node", "remove", &node, "--yes"], call);
        check_names(&bare, &node);
        // Once the records say so nothing is signed by ours, whatever the role says still.
        assert_eq!(signs(&bare, &request), is_enrolled(&bare, &node), "{call:?}");
        is_removed(&bare, &node, &request);
    }
}

#[test]
fn killed_while_vault_does_what_it_was_asked_the_same_command_completes_it() {
    let bare = set_up();
    for (number, call) in ["POST pki/roles/slurm", "POST node-tokens/data/"].into_iter().enumerate() {
        let node = format!("n{number}");
        killed_in(&bare, &["node", "add", &node], call);
        check_names(&bare, &node);
        is_added(&bare, &node);
        let request = request_of(&bare, &node);
        killed_in(&bare, &["node", "remove", &node, "--yes"], call);
        check_names(&bare, &node);
        assert!(!signs(&bare, &request), "the record is withdrawn first");
        is_removed(&bare, &node, &request);
    }
}

/// Killed when the server has the question; it then does what it was asked.
fn killed_in(bare: &Bare, arguments: &[&str], call: &str) {
    let seen = || bare.server.requests().iter().filter(|one| one.starts_with(call)).count();
    let so_far = seen();
    bare.server.fail(call, Fault::Slow(Duration::from_millis(500)), 1);
    let mut command = slurm(bare).command(&program("slurm-pki"), arguments);
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while seen() == so_far && begun.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen() > so_far, "{arguments:?}: {call} was never asked");
    // Until it is done there: the next question waits for the same lock.
    while seen_writes(bare, call, so_far) {
        sleep(Duration::from_millis(20));
    }
}

/// Whether the server still has that question before it.
fn seen_writes(bare: &Bare, call: &str, so_far: usize) -> bool {
    bare.server.answered(call) <= so_far
}
