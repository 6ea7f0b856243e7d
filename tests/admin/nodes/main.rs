//! `slurm-pki node` and `slurm-pki ledger` on a scratch site: what is written, with which mode and owner,
//! and what the programs of Slurm then make of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod add;
mod bundle;
mod cluster;
mod default_paths;
mod formats;
mod hostile;
mod import;
mod kills;
mod ledger;
mod list;
mod remove;
mod resume;
mod token;
