//! What differs between the releases of Slurm when a token is judged (docs/slurm-contract.md 6).

use pki::jwk::{RsaKey, Sifted};
use pki::jwt::Identity;

/// The first release of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// As in `26.05.3`.
    pub(crate) name: &'static str,
    has_identity: bool,
    is_inverted: bool,
    /// Whether a key of a list is matched that does not say its alg.
    matches_without_alg: bool,
}

/// All that are supported, oldest first; each stands for those after it.
pub(crate) const RELEASES: [Release; 4] = [
    Release { name: "25.05.1", has_identity: false, is_inverted: false, matches_without_alg: false },
    Release { name: "25.11.0", has_identity: false, is_inverted: false, matches_without_alg: false },
    Release { name: "26.05.0", has_identity: true, is_inverted: true, matches_without_alg: false },
    Release { name: "26.05.3", has_identity: true, is_inverted: false, matches_without_alg: true },
];

impl Release {
    /// What it does with the identity in a token; `counts` and `only` are use_jwt_client_ids and …_only.
    pub(crate) fn identity(self, (counts, only): (bool, bool)) -> Identity {
        if self.has_identity && counts {
            Identity::Counts { only, inverted: self.is_inverted }
        } else {
            Identity::Ignored
        }
    }

    /// The keys of a list that it matches.
    pub(crate) fn matched(self, list: &Sifted) -> Vec<&RsaKey> {
        let is_matched =
            |key: &&RsaKey| self.matches_without_alg || !list.without_alg.iter().any(|kid| kid == key.kid());
        list.keys.iter().filter(is_matched).collect()
    }
}
