//! The programs that write, struck at every system call: killed there, or told that the disk is full,
//! broken or not theirs. Afterwards the old state or the new one is there, never a mixture, and the next
//! run works.
//!
//! Needs strace.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod arguments;
mod controller;
mod ledger_name;
mod node;
mod refusals;
mod scene;
mod strikes;
