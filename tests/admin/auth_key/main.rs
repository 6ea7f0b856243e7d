//! `slurm-pki auth-key` on a scratch site: what every daemon has loaded at every instant, and whether all of them accept what
//! any of them signs.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod abort;
mod cluster;
mod first_key;
mod hosts;
mod kills;
mod phases;
mod refusals;
mod rotate;
#[allow(dead_code, reason = "not every test target uses all of it")]
#[path = "../scratch.rs"]
mod scratch;
