//! What the tests share: a stand-in for Slurm, a scratch site, requests of any shape, openssl as a second
//! reader.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: a broken premise stops the test"
)]

pub mod bound_request;
pub mod crowd;
pub mod daemon;
pub mod der;
pub mod openssl;
pub mod programs;
pub mod request;
pub mod site;
pub mod slurm;
pub mod ssh;
pub mod strace;
pub mod vaulted;
