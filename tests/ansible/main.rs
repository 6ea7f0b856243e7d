//! The Ansible role, played by ansible-playbook over real sshd to hosts of their own: a head node, compute nodes and a login
//! node. Each host is this machine's file system with a layer of its own above it.
//!
//! Needs root, and says so: nobody else can make hosts.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod hosts;
mod role;
