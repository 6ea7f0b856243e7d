//! `--key-type`: the kinds of key that we make.

use clap::ValueEnum;
use pki::key::KeyKind;

/// A kind of key to make. RSA is taken where a site has it, and never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyType {
    /// NIST P-256: the fastest that Slurm's TLS takes
    P256,
    /// NIST P-384: where a rule asks for it
    P384,
}

impl From<KeyType> for KeyKind {
    fn from(given: KeyType) -> Self {
        match given {
            KeyType::P256 => Self::P256,
            KeyType::P384 => Self::P384,
        }
    }
}
