//! The runbooks of docs/operations.md for the days on which nobody has time to think: their blocks of commands are run as
//! they stand there, on a head node with the default paths, in a mount namespace of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod document;
mod expired;
mod head;
mod lost;
