//! What differs between the releases of Slurm when a token is judged (docs/slurm-contract.md 6).

use pki::jwk::{RsaKey, Sifted};
use pki::jwt::Identity;
use pki::slurm_release::SlurmRelease;

/// What a release does with the identity in a token; `counts` and `only` are use_jwt_client_ids and ..._only.
pub(crate) fn identity(release: SlurmRelease, (counts, only): (bool, bool)) -> Identity {
    if counts && release >= SlurmRelease::V26_05_0 {
        Identity::Counts { only, inverted: release == SlurmRelease::V26_05_0 }
    } else {
        Identity::Ignored
    }
}

/// The keys of a list that a release matches: before 26.05.3 none that does not say its alg.
pub(crate) fn matched(release: SlurmRelease, list: &Sifted) -> Vec<&RsaKey> {
    let says_alg = |key: &RsaKey| !list.without_alg.iter().any(|kid| kid == key.kid());
    list.keys.iter().filter(|key| release >= SlurmRelease::V26_05_3 || says_alg(key)).collect()
}
