//! `slurm-pki cert activate`, with openssl's TLS server in the place of each daemon.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod faults;
mod gate;
mod kills;
mod others;
mod scene;
#[path = "../scratch.rs"]
#[expect(dead_code, reason = "shared with the tests of other commands")]
mod scratch;
mod success;
mod week;
