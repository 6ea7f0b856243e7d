//! `slurm-pki cert renew` and the site's hooks, as a timer runs them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the test"
)]

mod activated;
mod due;
mod faults;
mod foreign;
mod hooks;
mod others;
#[path = "../status/pairs.rs"]
mod pairs;
#[path = "../activation/scene.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod scene;
#[path = "../scratch.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod scratch;
mod site;
#[path = "../activation/week.rs"]
mod week;
