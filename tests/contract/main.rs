//! What Slurm expects of the seven programs, and what ours do beyond it.
//!
//! One suite ([`suite`]) runs on every line-up: our seven, the reference scripts, and mixtures of both. That
//! the reference passes proves that the suite describes Slurm's contract and not our code.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod cluster;
mod line_ups;
mod ours;
mod pem_text;
mod slurm_rules;
mod suite;
mod versions;
