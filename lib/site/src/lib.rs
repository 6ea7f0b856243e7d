//! The site on disk: config, checked files, node keys, token store, ledger.
//!
//! Everything that touches a file, the clock or the environment stands here; what the bytes mean is
//! decided in [`pki`]. The modules stand in the order in which they use each other.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests work in folders of their own"))]

pub mod error;

pub mod batch;
pub mod clock;
pub mod file;
pub mod folder;
pub mod host;
pub mod lock;
mod process;
pub mod random;
pub mod syslog;
pub mod trust;

pub mod config;

mod callers;
pub mod node;
pub mod node_keys;

pub mod ledger;
mod ledger_files;
pub mod remote;
pub mod signer;
pub mod store;
pub mod token_list;

pub use error::Error;
