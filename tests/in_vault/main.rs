//! The controller's two programs with CA and records in Vault: what they say when it fails, that nothing is half issued
//! then, and what their credentials are good for.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod admin;
mod asked;
mod bare;
mod check;
mod client;
mod enemy;
mod faults;
mod foreign_client;
mod killed;
mod layouts;
mod logins;
mod many;
mod migration;
mod names;
mod passing;
mod renew;
mod rights;
mod rollover;
mod secrets;
#[path = "../admin/rollover/server.rs"]
#[allow(dead_code, reason = "not every kind of server is needed here")]
mod server;
mod setup;
mod signed;
