//! The tools that go by their names in `[fleet]`.

use std::fs;

use crate::hosts::Hosts;

/// Brings a token through a tool, has it compared, and sees a failure of a dead host.
fn works_through(tool: &str) {
    let mut hosts = Hosts::new(2);
    hosts.set("copy", tool);
    hosts.set("run", tool);
    hosts.stop(2);
    let (_, stderr) = hosts.fails(&["node", "push", "n[1-2]"]);
    assert!(stderr.contains("node push failed on 1 of 2 hosts: n2"), "{stderr}");
    assert!(hosts.secret_on("n1", "n1").is_some() && hosts.waiting("n1").is_none());
    assert!(hosts.waiting("n2").is_some(), "a host that was not reached keeps its secret waiting");
    hosts.ok(&["node", "verify", "n1"]);
    for name in fs::read_dir(hosts.path("n1/run")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with("slurm-pki."), "{name}");
    }
}

#[test]
fn clush_is_the_default_and_works() {
    works_through("clush");
}

#[test]
fn ssh_and_scp_work() {
    works_through("ssh");
}

#[test]
fn pdsh_and_pdcp_work() {
    works_through("pdsh");
}

#[test]
fn ansible_works() {
    works_through("ansible");
}
