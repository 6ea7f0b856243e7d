//! `slurm-pki init`, `ca`, `cert` and `conf`, run as a person runs them, on a scratch site.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod ca;
mod cert;
mod conf;
mod init;
mod scratch;
