//! `slurm-pki conf enable` and `disable`, run as a person runs them, on sample configs and on a scratch site.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod apart;
mod edited_since;
mod held;
mod hosts;
mod kills;
mod options;
mod prepared;
mod samples;
#[path = "../scratch.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod scratch;
mod site;
mod still;
mod subjects;
mod unusable;
