//! The crypto library of slurm-pki: bytes, a time and randomness in; bytes or a reason out.
//!
//! It knows no clock, file, environment variable or socket. (One exception that no caller can
//! change: `ring` seals its random source, so fresh keys and ECDSA nonces come from the kernel
//! through `ring`, not through an argument.)
//!
//! The modules stand in the order in which they use each other. The types make the wrong order of
//! steps impossible: [`csr::Csr`] exists only after its self-signature was verified, a
//! [`policy::Plan`] is made only by the policy, and a [`certificate::Certificate`] only from a plan,
//! after it was read back the way a peer's TLS library will read it.

pub mod explain;
pub mod time;

pub mod armor;
pub mod key;
pub mod name;
pub mod secret;

pub mod binding;
pub mod record;
pub mod standing;
pub mod token;

pub mod auth_jwt;
pub mod auth_slurm;
pub mod loading;
pub mod slurm_release;

pub mod ca;
pub mod certificate;
pub mod certmgr_state;
pub mod csr;
pub mod jws;
pub mod jwt;

pub mod jwk;
pub mod loads_in_s2n;
pub mod policy;
pub mod profile;
pub mod x509;

mod key_list;
mod rsa;
mod shape;
