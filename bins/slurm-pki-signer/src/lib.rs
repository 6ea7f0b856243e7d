//! How Vault is entered with what `[vault]` says, and what is asked of it there. The program of this name answers
//! sign_csr and validate_node_token with it; the admin command enters by the same door.

mod answer;
mod connect;
mod records;

pub use answer::answer;
pub use connect::{Door, kv, node_key, of_vault, pki_engine};
pub use records::Records;

/// What the program prints for `--help`, and what its manual page is made of.
pub const HELP: &str = include_str!("../help.txt");
