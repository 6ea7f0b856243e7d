//! `slurm-pki ca rollover` on a scratch site: what sign_csr issues at every instant of it, and who accepts that.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod cluster;
mod hosts;
mod kills;
mod phases;
mod proof;
mod refusals;
#[path = "../scratch.rs"]
mod scratch;
mod server;
