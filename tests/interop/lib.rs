//! Other people's code, asked about what lib/pki makes: s2n (the TLS library inside Slurm), the
//! `openssl` command and webpki. Nothing here is shipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a failure here is a failed test"
)]

pub mod handshake;
pub mod making;
pub mod openssl;
pub mod rustls;
pub mod vectors;
pub mod wire;
