//! A small client for HashiCorp Vault and OpenBao: one connection at a time, one deadline over everything.
//!
//! It speaks the public HTTP API and nothing else, trusts the one CA it is given, and knows no policy: what may be
//! signed, and for whom, is decided before it is asked. The modules stand in the order in which they use each other.

mod error;

mod address;
mod path;
mod transport;

mod answer;
mod client;

pub mod auth;
pub mod issuers;
pub mod kv;
pub mod pki_engine;
pub mod sys;

pub use address::Address;
pub use answer::{Answer, Lifetime};
pub use client::{Client, Login};
pub use error::Error;
pub use path::MountPath;
pub use transport::{Identity, Server};
