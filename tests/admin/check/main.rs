//! `slurm-pki check` on a site that is well, and broken in one way at a time: each trap is found, and nothing else is.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

#[path = "../scratch.rs"]
#[expect(dead_code, reason = "shared with tests that need other parts of it")]
mod scratch;

mod ca;
mod command;
mod conf;
mod files;
mod fleet;
mod healthy;
mod host;
mod keys;
mod node;
mod programs;
mod served;
mod shipped;
