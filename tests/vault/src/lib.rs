//! A stand-in for Vault and OpenBao, written from their public HTTP API documents: as much of it as slurm-pki uses, with
//! their access rules, their words and their defaults, on a loopback port, in memory. It can also fail in every way that a
//! server fails. What a client does with it, it does with the real ones too; where the two differ, this is wrong.
//!
//! Not a secrets manager: nothing is encrypted, stored or protected.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]
#![recursion_limit = "256"]

mod acl;
mod approle;
mod cert_auth;
mod core;
mod engine;
mod fault;
mod http;
mod issuing;
mod kv;
mod listener;
mod live;
mod params;
mod pki;
mod role;
mod sys;
mod token;

pub use fault::Fault;
pub use listener::{Listener, StandIn};
