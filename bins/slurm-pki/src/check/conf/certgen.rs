//! What client commands show: without programs of their own Slurm makes certificates of thirty days.

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;
use crate::parameters::Parameters;

/// Looks at CertgenParameters.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if !scene.tls_is_on() {
        return;
    }
    let given = Parameters::of(scene.get("CertgenParameters"));
    let missing: Vec<&str> =
        ["keygen_script", "certgen_script"].into_iter().filter(|key| given.get(key).is_none()).collect();
    if missing.is_empty() {
        return found.ok("certgen", "client commands have keygen and certgen");
    }
    found.warning(
        "certgen",
        format!(
            "CertgenParameters has no {}: Slurm's own starts openssl for every command, and a certificate lives 30 \
             days, less than a long salloc",
            missing.join(" and no ")
        ),
        SHOW,
    );
}
