//! A certificate that was read back before anyone else sees it: slurmctld never looks at it, and a node
//! that s2n cannot load it into crashes (slurm-contract.md 1.3).

use std::fmt;

use crate::explain::Explain;
use crate::loads_in_s2n::{self, MAX_CHAIN_PEM, Unloadable};
use crate::policy::Plan;
use crate::time::UnixTime;
use crate::x509::X509;

/// An issued certificate with its chain: it says what its plan says and a peer that trusts the bundle
/// accepts it. There is no other way to have one.
#[derive(Clone, Debug)]
pub struct Certificate {
    leaf: X509,
    pem: String,
}

/// Why what came from the signer is not handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAsPlanned {
    /// The certificate carries another public key than the request.
    Key,
    /// Another name in CN or subjectAltName.
    Name,
    /// CA:TRUE, or usages other than digitalSignature, serverAuth and clientAuth.
    Usage,
    /// A life that begins later or ends later than planned, or not now.
    Life,
    /// s2n would not load it, or peers would not accept it.
    Unloadable(Unloadable),
}

impl fmt::Display for NotAsPlanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate that was made is not handed out: ")?;
        match self {
            Self::Key => f.write_str("it carries another public key than the request"),
            Self::Name => f.write_str("it carries another name than the request"),
            Self::Usage => f.write_str("its usages are not those of a node"),
            Self::Life => f.write_str("its life is not the planned one"),
            Self::Unloadable(e) => e.fmt(f),
        }
    }
}

impl Explain for NotAsPlanned {
    fn hint(&self) -> String {
        match self {
            Self::Unloadable(e) => e.hint(),
            _ => "see that ca_cert, ca_chain and ca_key belong together: slurm-pki ca show".into(),
        }
    }
}

/// The order of names in a subjectAltName means nothing, and a signer that is not ours may sort them.
fn same_names(dns: Option<&[String]>, planned: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    sorted(dns.unwrap_or_default()) == sorted(planned)
}

impl Certificate {
    /// Takes what a signer made: `leaf` and the certificates to send after it. `anchors` is what every
    /// host trusts.
    ///
    /// # Errors
    /// When any of it differs from the plan, or s2n would refuse it (ARCHITECTURE.md).
    pub fn accept(
        plan: &Plan,
        leaf: X509,
        chain: &[X509],
        anchors: &[X509],
        now: UnixTime,
    ) -> Result<Self, NotAsPlanned> {
        let facts = leaf.facts();
        if facts.spki != plan.key.spki() {
            return Err(NotAsPlanned::Key);
        }
        let cn_is_planned =
            matches!(facts.common_names.as_slice(), [cn] if cn == plan.common_name.as_bytes());
        if !cn_is_planned || facts.other_names || !same_names(facts.dns.as_deref(), &plan.dns) {
            return Err(NotAsPlanned::Name);
        }
        let usages = (facts.key_usage, facts.extended_key_usage);
        if facts.ca || usages != (Some((true, false)), Some((true, true))) {
            return Err(NotAsPlanned::Usage);
        }
        let planned = facts.not_before <= plan.decided_at && facts.not_after <= plan.not_after;
        if !planned || !leaf.is_valid_at(now) {
            return Err(NotAsPlanned::Life);
        }
        let pem: String = std::iter::once(&leaf).chain(chain).map(X509::to_pem).collect();
        let sent = loads_in_s2n::own_chain(pem.as_bytes()).map_err(NotAsPlanned::Unloadable)?;
        loads_in_s2n::accepted_by_peers(&sent, anchors, now).map_err(NotAsPlanned::Unloadable)?;
        debug_assert!(pem.len() < MAX_CHAIN_PEM);
        Ok(Self { leaf, pem })
    }

    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> &X509 {
        &self.leaf
    }

    /// SHA-256 of its SubjectPublicKeyInfo, lower-case hex.
    #[must_use]
    pub fn spki_sha256(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.leaf.facts().spki);
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// Leaf first, then the chain: what is printed.
    #[must_use]
    pub fn to_pem(&self) -> &str {
        &self.pem
    }
}
