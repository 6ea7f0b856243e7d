//! What our programs do beyond the contract.

mod daemon_keys;
mod issuing;
mod process;

use crate::cluster::{Cluster, LineUp};

/// Two nodes, all seven programs ours.
fn cluster() -> Cluster {
    Cluster::new(LineUp::ours(), &["n1", "n2"])
}
