//! `slurm-pki node push`, `verify` and `reissue` over real sshd, with the tools that sites have. Each host is an sshd on a
//! loopback address of its own, in a mount namespace of its own: what it has under the site's folder and in /run, no other
//! host has.
//!
//! Needs root, and says so: nobody else can make hosts.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod faults;
mod hosts;
mod jwt_key;
mod push;
mod reissue;
mod secrets;
mod tools;
mod verify;
