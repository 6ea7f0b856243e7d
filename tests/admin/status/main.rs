//! What slurm-pki tells of a site that nobody touches: `cert list`, `cert needs-renewal`, `status`,
//! `metrics`, and a ledger that is rotated.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod certificates;
mod keys;
mod metrics;
mod monitoring;
mod nodes;
mod overview;
#[expect(dead_code, reason = "other tests use the rest")]
mod pairs;
mod rotation;
#[path = "../scratch.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod scratch;
