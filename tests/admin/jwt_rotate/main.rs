//! `slurm-pki jwt key rotate`, with a few lines of shell in the place of slurmctld, slurmdbd and their commands, and a small
//! server in that of slurmrestd.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod faults;
mod kills;
mod restd;
mod scene;
#[path = "../scratch.rs"]
#[expect(dead_code, reason = "shared with the tests of other commands")]
mod scratch;
mod success;
