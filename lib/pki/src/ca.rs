//! The local CA: makes roots, intermediates and self-signed client certificates, and signs plans
//! (RFC 5280 §4.1 for the fields, §4.2.1.9 and §6.1 for what may stand under what).

use std::fmt;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer};

use crate::armor;
use crate::certificate::{Certificate, NotAsPlanned};
use crate::explain::Explain;
use crate::key::{KeyError, PrivateKey, PublicKey};
use crate::loads_in_s2n::{self, Unloadable};
use crate::policy::{Plan, SubjectAttribute};
use crate::profile::{self, CaRole, Life, Serial};
use crate::time::UnixTime;
use crate::x509::{X509, X509Error};

/// The public half of a CA: what every host trusts, and what is sent after the leaf.
#[derive(Clone, Debug)]
pub struct CaCertificates {
    /// `ca_cert`: one or more roots (or intermediates) that every host trusts.
    pub anchors: Vec<X509>,
    /// `ca_chain`: intermediates and cross certificates, issuer first; may be empty.
    pub chain: Vec<X509>,
}

/// Why a CA cannot be used, or cannot sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaError {
    /// ca_cert cannot be what hosts load.
    Bundle(Unloadable),
    /// ca_chain cannot be read.
    Chain(X509Error),
    /// The key cannot be used.
    Key(KeyError),
    /// No certificate of ca_chain or ca_cert carries the key's public half.
    NoIssuer,
    /// The issuer is not a CA certificate, or may not sign certificates.
    NotACa(String),
    /// The issuer's name has a form that cannot be written again byte for byte.
    IssuerName(String),
    /// A CA that is to be cross-signed carries the name of the one that is to sign it.
    SameName(String),
    /// A certificate that is to be cross-signed is no root, or not the one that was described.
    NotThatRoot(String),
    /// The CA's time is over.
    Expired(UnixTime),
    /// The CA's time has not begun: a wrong clock.
    NotYetValid(UnixTime),
    /// A time that a certificate cannot carry.
    Time,
    /// The signature could not be made.
    Signing,
    /// What was signed is not what was planned.
    Output(NotAsPlanned),
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(e) => write!(f, "ca_cert cannot be used: {e}"),
            Self::Chain(e) => write!(f, "ca_chain cannot be used: {e}"),
            Self::Key(e) => write!(f, "the CA key cannot be used: {e}"),
            Self::NoIssuer => f.write_str("no certificate in ca_chain or ca_cert belongs to the CA key"),
            Self::NotACa(subject) => write!(f, "{subject} may not sign certificates"),
            Self::IssuerName(subject) => {
                write!(f, "the CA's name {subject} cannot be written into a certificate unchanged")
            }
            Self::SameName(subject) => write!(f, "both CAs are called {subject}"),
            Self::NotThatRoot(subject) => write!(f, "{subject} cannot be cross-signed"),
            Self::Expired(end) => write!(f, "the CA expired at {end}"),
            Self::NotYetValid(begin) => write!(f, "the CA's time begins only at {begin}"),
            Self::Time => f.write_str("a date that a certificate cannot carry"),
            Self::Signing => f.write_str("the CA key could not sign"),
            Self::Output(e) => e.fmt(f),
        }
    }
}

impl Explain for CaError {
    fn hint(&self) -> String {
        match self {
            Self::Bundle(e) => e.hint(),
            Self::Chain(e) => e.hint(),
            Self::Key(e) => e.hint(),
            Self::NoIssuer => "see which belong together with: slurm-pki ca show".into(),
            Self::NotACa(_) => {
                "it needs basicConstraints CA:TRUE and, if keyUsage is there, keyCertSign".into()
            }
            Self::IssuerName(_) => {
                "sign an intermediate with a plain subject under it and import that: slurm-pki ca import"
                    .into()
            }
            Self::SameName(_) => "give the new CA another name: --common-name".into(),
            Self::NotThatRoot(_) => "it has to be a self-signed CA with a subjectKeyIdentifier".into(),
            Self::Expired(_) => "make or import a new CA; docs/operations.md, \"CA expired\"".into(),
            Self::NotYetValid(_) => "set this host's clock".into(),
            Self::Time => "check validity, backdate and this host's clock".into(),
            Self::Signing => "check that getrandom(2) works for this process".into(),
            Self::Output(e) => e.hint(),
        }
    }
}

impl CaCertificates {
    /// Reads `ca_cert` by the rules of slurm-contract.md 3.1 and 3.2, and `ca_chain` where there is one.
    ///
    /// # Errors
    /// When hosts could not load the bundle, or the chain is not certificates.
    pub fn from_pem(ca_cert: &[u8], ca_chain: Option<&[u8]>) -> Result<Self, CaError> {
        let anchors = loads_in_s2n::trust_bundle(ca_cert).map_err(CaError::Bundle)?;
        let chain = match ca_chain {
            Some(pem) => X509::all_from_pem(pem, loads_in_s2n::MAX_CHAIN_PEM).map_err(CaError::Chain)?,
            None => Vec::new(),
        };
        Ok(Self { anchors, chain })
    }

    /// The common names of all of them: what no node may be called.
    #[must_use]
    pub fn common_names(&self) -> Vec<Vec<u8>> {
        self.all().flat_map(|ca| ca.facts().common_names.clone()).collect()
    }

    /// Takes a leaf that a CA elsewhere signed, with the certificates that came along. Those that lie on its way up,
    /// from ca_chain or from the signer, are sent after it, its issuer first; what every host trusts anyway and roots
    /// that nobody here trusts are not.
    ///
    /// # Errors
    /// When it is not what was planned, or peers would not accept it.
    pub fn accept(
        &self,
        plan: &Plan,
        leaf: X509,
        offered: &[X509],
        now: UnixTime,
    ) -> Result<Certificate, NotAsPlanned> {
        let useful = |ca: &&X509| ca.is_valid_at(now) && !ca.is_self_issued() && !self.anchors.contains(ca);
        let pool: Vec<&X509> = self.chain.iter().chain(offered).filter(useful).collect();
        let mut sent: Vec<X509> = Vec::new();
        let mut below = vec![leaf.clone()];
        while let Some(from) = below.pop() {
            for above in pool.iter().filter(|above| from.is_issued_by(above)) {
                if !sent.contains(above) {
                    sent.push((*above).clone());
                    below.push((*above).clone());
                }
            }
        }
        Certificate::accept(plan, leaf, &sent, &self.anchors, now)
    }

    /// All of them, the chain first.
    pub fn all(&self) -> impl Iterator<Item = &X509> {
        self.chain.iter().chain(&self.anchors)
    }
}

/// A CA whose key is in this process.
#[derive(Debug)]
pub struct LocalCa {
    certificates: CaCertificates,
    issuer: X509,
    key: PrivateKey,
}

impl LocalCa {
    /// Joins certificates and key. The issuer is the certificate in the chain, else among the anchors,
    /// that carries the key's public half (the first of several).
    ///
    /// # Errors
    /// When there is none, or it may not sign certificates.
    pub fn new(certificates: CaCertificates, key: PrivateKey) -> Result<Self, CaError> {
        let public = key.public().map_err(CaError::Key)?;
        let issuer = certificates
            .all()
            .find(|ca| ca.facts().spki == public.spki())
            .cloned()
            .ok_or(CaError::NoIssuer)?;
        let facts = issuer.facts();
        if !facts.ca || facts.key_usage.is_some_and(|(_, cert_sign)| !cert_sign) {
            return Err(CaError::NotACa(facts.subject.clone()));
        }
        Ok(Self { certificates, issuer, key })
    }

    /// The certificate that signs.
    #[must_use]
    pub fn issuer(&self) -> &X509 {
        &self.issuer
    }

    /// What every host trusts, and what is sent after the leaf.
    #[must_use]
    pub fn certificates(&self) -> &CaCertificates {
        &self.certificates
    }

    /// Signs a plan at `now`. The life is cut to that of every CA certificate on the way, and of the chain
    /// goes along what lies on it: in the middle of a rollover ca_chain holds the way of either key.
    ///
    /// # Errors
    /// When the CA's time is over or has not begun, or the result is not what s2n loads.
    pub fn issue(&self, plan: &Plan, serial: Serial, now: UnixTime) -> Result<Certificate, CaError> {
        let life = self.life_within(plan.not_before, plan.not_after, now)?;
        let params = profile::leaf(plan, serial, life).ok_or(CaError::Time)?;
        let leaf = self.sign(&params, &plan.key)?;
        let sent: Vec<X509> = self.sent(now).into_iter().cloned().collect();
        Certificate::accept(plan, leaf, &sent, &self.certificates.anchors, now).map_err(CaError::Output)
    }

    /// The last second of whatever is signed at `now`, however long it is to live.
    ///
    /// # Errors
    /// When the CA's time is over or has not begun.
    pub fn latest_end(&self, now: UnixTime) -> Result<UnixTime, CaError> {
        Ok(self.life_within(now, UnixTime(i64::MAX), now)?.not_after)
    }

    /// Signs an intermediate's certificate for `key`.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn issue_intermediate(
        &self,
        key: &PrivateKey,
        new: &NewCa<'_>,
        now: UnixTime,
    ) -> Result<X509, CaError> {
        self.issue_intermediate_for(&key.public().map_err(CaError::Key)?, new, now)
    }

    /// The same for a key that is elsewhere.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn issue_intermediate_for(
        &self,
        key: &PublicKey,
        new: &NewCa<'_>,
        now: UnixTime,
    ) -> Result<X509, CaError> {
        let life = self.life_within(now.minus(new.backdate), now.plus(new.validity), now)?;
        let params = profile::ca(CaRole::Intermediate, new.common_name, new.subject, new.serial, life)
            .ok_or(CaError::Time)?;
        self.sign_ca(&params, key)
    }

    /// Signs `root`'s cross certificate: its subject, key and key identifier under this CA, for as long as
    /// both last. Peers that know only this CA's root then accept what the other one signs. `new` is what
    /// the root was made from, with a serial number of the cross certificate's own.
    ///
    /// # Errors
    /// When the two share a name (slurm-contract.md 3.4), `root` is no root or another one, or as
    /// [`issue`](Self::issue).
    pub fn cross_sign(&self, root: &X509, new: &NewCa<'_>, now: UnixTime) -> Result<X509, CaError> {
        let facts = root.facts();
        if root.same_subject(&self.issuer) {
            return Err(CaError::SameName(facts.subject.clone()));
        }
        let not_that = || CaError::NotThatRoot(facts.subject.clone());
        let key_id = facts.subject_key_id.as_deref().ok_or_else(not_that)?;
        if !facts.ca || !root.is_issued_by(root) {
            return Err(not_that());
        }
        let life = self.life_within(facts.not_before, facts.not_after, now)?;
        let params = profile::cross(new.common_name, new.subject, key_id, new.serial, life);
        let key = PublicKey::from_spki(&facts.spki).map_err(CaError::Key)?;
        let cross = self.sign_ca(&params.ok_or(CaError::Time)?, &key)?;
        if cross.same_subject(root) { Ok(cross) } else { Err(not_that()) }
    }

    /// What goes along with a leaf: of the chain the issuer, under whichever CA, and what stands above it.
    /// A cross certificate whose time is over is left out where the issuer has another one that lasts.
    fn sent(&self, now: UnixTime) -> Vec<&X509> {
        let chain = &self.certificates.chain;
        let lasting = self.issuer_at(now).is_valid_at(now);
        let signs = |ca: &&X509| self.is_the_issuer(ca) && (ca.is_valid_at(now) || !lasting);
        let mut sent: Vec<&X509> = chain.iter().filter(signs).collect();
        // Not above one that is over: an old intermediate would stop the new CA together with its cross certificate.
        let mut below = [sent.as_slice(), &[self.issuer_at(now)]].concat();
        while let Some(ca) = below.pop() {
            for above in chain.iter().filter(|above| !self.is_the_issuer(above) && ca.names_as_issuer(above))
            {
                if !sent.contains(&above) {
                    sent.push(above);
                    below.push(above);
                }
            }
        }
        sent
    }

    /// The issuer's certificate that counts at `now`: of two for the same key, one that lasts.
    fn issuer_at(&self, now: UnixTime) -> &X509 {
        let valid = |ca: &&X509| self.is_the_issuer(ca) && ca.is_valid_at(now);
        let all = std::iter::once(&self.issuer).chain(self.certificates.all());
        all.into_iter().find(valid).unwrap_or(&self.issuer)
    }

    /// Whether this is the certificate that signs, or another one for the same CA: what is issued under
    /// one fits under the other.
    fn is_the_issuer(&self, ca: &X509) -> bool {
        let (is, signs) = (ca.facts(), self.issuer.facts());
        ca.same_subject(&self.issuer) && is.spki == signs.spki && is.subject_key_id == signs.subject_key_id
    }

    fn life_within(&self, not_before: UnixTime, not_after: UnixTime, now: UnixTime) -> Result<Life, CaError> {
        let mut life = Life { not_before, not_after };
        // A cross certificate in the chain may end earlier than the issuer; a peer's path may use it.
        for ca in std::iter::once(self.issuer_at(now)).chain(self.sent(now)) {
            let facts = ca.facts();
            if now < facts.not_before {
                return Err(CaError::NotYetValid(facts.not_before));
            }
            if now >= facts.not_after {
                return Err(CaError::Expired(facts.not_after));
            }
            life.not_before = life.not_before.max(facts.not_before);
            life.not_after = life.not_after.min(facts.not_after);
        }
        Ok(life)
    }

    fn sign(&self, params: &CertificateParams, key: &PublicKey) -> Result<X509, CaError> {
        let subject = || CaError::IssuerName(self.issuer.facts().subject.clone());
        let issuer =
            Issuer::from_ca_cert_der(&self.issuer.der().into(), self.key.pair()).map_err(|_| subject())?;
        let made = params.signed_by(key, &issuer).map_err(|_| CaError::Signing)?;
        let made = X509::from_der(made.der()).map_err(|_| CaError::Signing)?;
        // rcgen writes the issuer's name anew; a form that it cannot repeat must not get out.
        if made.names_as_issuer(&self.issuer) { Ok(made) } else { Err(subject()) }
    }

    /// The same with its signature verified, which [`Certificate::accept`] does for a leaf.
    fn sign_ca(&self, params: &CertificateParams, key: &PublicKey) -> Result<X509, CaError> {
        let made = self.sign(params, key)?;
        if made.is_issued_by(&self.issuer) { Ok(made) } else { Err(CaError::Signing) }
    }
}

/// What a new CA certificate is to say.
#[derive(Clone, Copy, Debug)]
pub struct NewCa<'a> {
    /// Its common name.
    pub common_name: &'a str,
    /// What is added to it.
    pub subject: &'a [(SubjectAttribute, String)],
    /// Its serial number.
    pub serial: Serial,
    /// Its life, from now on.
    pub validity: Duration,
    /// How far before now it begins.
    pub backdate: Duration,
}

/// Makes a root: a self-signed CA certificate for `key`.
///
/// # Errors
/// When the key cannot sign, or the dates do not fit a certificate.
pub fn new_root(key: &PrivateKey, new: &NewCa<'_>, now: UnixTime) -> Result<X509, CaError> {
    let life = Life { not_before: now.minus(new.backdate), not_after: now.plus(new.validity) };
    let params =
        profile::ca(CaRole::Root, new.common_name, new.subject, new.serial, life).ok_or(CaError::Time)?;
    self_signed(key, &params)
}

/// Makes the self-signed certificate of one client command (slurm-contract.md 4). PEM that was read back, as s2n reads a pair.
///
/// # Errors
/// When the key cannot sign, the dates do not fit a certificate, or s2n would not load the pair.
pub fn client_certificate(
    key: &PrivateKey,
    common_name: &str,
    serial: Serial,
    validity: Duration,
    backdate: Duration,
    now: UnixTime,
) -> Result<String, CaError> {
    let life = Life { not_before: now.minus(backdate), not_after: now.plus(validity) };
    let params = profile::client(common_name, serial, life).ok_or(CaError::Time)?;
    let made = params.self_signed(key.pair()).map_err(|_| CaError::Signing)?;
    let pem = armor::public("CERTIFICATE", made.der());
    loads_in_s2n::own_pair_with(pem.as_bytes(), key)
        .map_err(|e| CaError::Output(NotAsPlanned::Unloadable(e)))?;
    Ok(pem)
}

fn self_signed(key: &PrivateKey, params: &CertificateParams) -> Result<X509, CaError> {
    let made = params.self_signed(key.pair()).map_err(|_| CaError::Signing)?;
    X509::from_der(made.der()).map_err(|_| CaError::Signing)
}

/// The real s2n shakes hands with all of this in tests/interop.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyKind;
    use crate::loads_in_s2n::accepted_by_peers;

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn new_ca(common_name: &str, days: u32) -> NewCa<'_> {
        let serial = Serial::new([u8::try_from(common_name.len()).unwrap(); 16]);
        NewCa { common_name, subject: &[], serial, validity: DAY * days, backdate: DAY }
    }

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::P256).unwrap()
    }

    fn copy(key: &PrivateKey) -> PrivateKey {
        PrivateKey::from_pem(key.to_pem().expose()).unwrap()
    }

    fn ca(anchors: &[&X509], chain: &[&X509], key: &PrivateKey) -> LocalCa {
        let own = |certificates: &[&X509]| certificates.iter().map(|&one| one.clone()).collect();
        let certificates = CaCertificates { anchors: own(anchors), chain: own(chain) };
        LocalCa::new(certificates, copy(key)).unwrap()
    }

    /// What is sent with a leaf that lasts a day.
    fn issued(ca: &LocalCa, now: UnixTime) -> Result<Vec<X509>, CaError> {
        let key = key().public().unwrap();
        let plan = Plan::for_daemon("slurmctld", vec!["h1".into()], key, &[], DAY, Duration::ZERO, now);
        let made = ca.issue(&plan, Serial::new([9; 16]), now)?;
        Ok(X509::all_from_pem(made.to_pem().as_bytes(), loads_in_s2n::MAX_CHAIN_PEM).unwrap())
    }

    struct Two {
        old_key: PrivateKey,
        old: X509,
        new_key: PrivateKey,
        new: X509,
        cross: X509,
    }

    fn two(old_days: u32, new_days: u32) -> Two {
        let (old_key, new_key) = (key(), key());
        let old = new_root(&old_key, &new_ca("c1 Slurm CA", old_days), NOW).unwrap();
        let new = new_root(&new_key, &new_ca("c1 Slurm CA G2", new_days), NOW).unwrap();
        let cross = ca(&[&old], &[], &old_key).cross_sign(&new, &new_ca("c1 Slurm CA G2", 1), NOW).unwrap();
        Two { old_key, old, new_key, new, cross }
    }

    #[test]
    fn a_cross_certificate_says_what_the_root_says_under_the_other_ca() {
        let Two { old, new, cross, .. } = two(100, 200);
        let (is, root) = (cross.facts(), new.facts());
        assert!(cross.same_subject(&new) && cross.is_issued_by(&old) && !cross.is_self_issued());
        assert_eq!((&is.spki, &is.subject_key_id), (&root.spki, &root.subject_key_id));
        assert_eq!(is.authority_key_id, old.facts().subject_key_id);
        assert_eq!((is.ca, is.key_usage, is.path_len), (root.ca, root.key_usage, root.path_len));
    }

    #[test]
    fn it_lasts_no_longer_than_either() {
        let Two { old, cross, .. } = two(100, 200);
        assert_eq!(cross.facts().not_after, old.facts().not_after);
        let Two { new, cross, .. } = two(200, 100);
        assert_eq!(cross.facts().not_after, new.facts().not_after);
    }

    #[test]
    fn namesakes_and_others_than_that_root_are_not_cross_signed() {
        let Two { old_key, old, new, cross, .. } = two(100, 200);
        let signer = ca(&[&old], &[], &old_key);
        let sign = |root: &X509, name| signer.cross_sign(root, &new_ca(name, 1), NOW).unwrap_err();
        let namesake = new_root(&key(), &new_ca("c1 Slurm CA", 100), NOW).unwrap();
        assert_eq!(sign(&namesake, "c1 Slurm CA"), CaError::SameName("CN=c1 Slurm CA".into()));
        let not_that = CaError::NotThatRoot("CN=c1 Slurm CA G2".into());
        assert_eq!(sign(&new, "c1 Slurm CA G3"), not_that);
        assert_eq!(sign(&cross, "c1 Slurm CA G2"), not_that);
    }

    #[test]
    fn nothing_is_cross_signed_outside_the_signers_life() {
        let Two { old_key, old, new, .. } = two(100, 200);
        let signer = ca(&[&old], &[], &old_key);
        let sign = |now| signer.cross_sign(&new, &new_ca("c1 Slurm CA G2", 1), now).unwrap_err();
        assert_eq!(sign(NOW.plus(DAY * 101)), CaError::Expired(old.facts().not_after));
        assert_eq!(sign(NOW.minus(DAY * 2)), CaError::NotYetValid(old.facts().not_before));
    }

    /// The chain of a rollover is the way of the new key; the old key's way is found in it too.
    #[test]
    fn whichever_key_is_there_its_own_way_is_sent() {
        let Two { old_key, old, new_key, new, cross } = two(100, 200);
        let by_old = issued(&ca(&[&old, &new], &[&cross], &old_key), NOW).unwrap();
        assert_eq!(by_old.len(), 1);
        accepted_by_peers(&by_old, std::slice::from_ref(&old), NOW).unwrap();
        for anchors in [[&old, &new].as_slice(), &[&old], &[&new]] {
            let by_new = issued(&ca(anchors, &[&cross], &new_key), NOW).unwrap();
            assert_eq!(by_new[1..], *std::slice::from_ref(&cross));
            for peer in [&old, &new] {
                accepted_by_peers(&by_new, std::slice::from_ref(peer), NOW).unwrap();
            }
        }
    }

    #[test]
    fn an_intermediate_cross_signs_and_both_its_ways_stand_in_one_chain() {
        let (root_key, old_key) = (key(), key());
        let root = new_root(&root_key, &new_ca("c1 Slurm CA root", 100), NOW).unwrap();
        let signer = ca(&[&root], &[], &root_key);
        let old = signer.issue_intermediate(&old_key, &new_ca("c1 Slurm CA", 90), NOW).unwrap();
        let new_key = key();
        let new = new_root(&new_key, &new_ca("c1 Slurm CA G2", 200), NOW).unwrap();
        let signer = ca(&[&root], &[&old], &old_key);
        let cross = signer.cross_sign(&new, &new_ca("c1 Slurm CA G2", 1), NOW).unwrap();
        for chain in [[&cross, &old], [&old, &cross]] {
            let by_old = issued(&ca(&[&root, &new], &chain, &old_key), NOW).unwrap();
            assert_eq!(by_old[1..], *std::slice::from_ref(&old));
            accepted_by_peers(&by_old, std::slice::from_ref(&root), NOW).unwrap();
            let by_new = issued(&ca(&[&root, &new], &chain, &new_key), NOW).unwrap();
            assert_eq!(by_new[1..], [cross.clone(), old.clone()]);
            for peer in [&root, &new] {
                accepted_by_peers(&by_new, std::slice::from_ref(peer), NOW).unwrap();
            }
        }
    }

    /// Or a rollover that outlives the old CA would stop sign_csr.
    #[test]
    fn a_cross_certificate_that_is_over_is_left_out_where_the_root_is_trusted() {
        let Two { old, new_key, new, cross, .. } = two(100, 200);
        let after = NOW.plus(DAY * 101);
        let made = issued(&ca(&[&old, &new], &[&cross], &new_key), after).unwrap();
        assert_eq!(made.len(), 1);
        accepted_by_peers(&made, std::slice::from_ref(&new), after).unwrap();
        let refused = issued(&ca(&[&old], &[&cross], &new_key), after).unwrap_err();
        assert_eq!(refused, CaError::Expired(cross.facts().not_after));
    }

    /// The same where the old CA was an intermediate, which lies in the chain too.
    #[test]
    fn an_intermediate_that_is_over_does_not_stop_the_new_root() {
        let (root_key, old_key, new_key) = (key(), key(), key());
        let root = new_root(&root_key, &new_ca("c1 Slurm CA root", 300), NOW).unwrap();
        let signer = ca(&[&root], &[], &root_key);
        let old = signer.issue_intermediate(&old_key, &new_ca("c1 Slurm CA", 90), NOW).unwrap();
        let new = new_root(&new_key, &new_ca("c1 Slurm CA G2", 200), NOW).unwrap();
        let signer = ca(&[&root], &[&old], &old_key);
        let cross = signer.cross_sign(&new, &new_ca("c1 Slurm CA G2", 1), NOW).unwrap();
        let after = NOW.plus(DAY * 91);
        for chain in [[&cross, &old], [&old, &cross]] {
            let made = issued(&ca(&[&root, &new], &chain, &new_key), after).unwrap();
            assert_eq!(made.len(), 1, "what is over is not sent");
            accepted_by_peers(&made, std::slice::from_ref(&new), after).unwrap();
        }
    }

    #[test]
    fn a_leaf_lasts_no_longer_than_the_cross_certificate_that_goes_with_it() {
        let Two { old, new_key, new, cross, .. } = two(1, 200);
        let now = NOW.plus(DAY / 2);
        let made = issued(&ca(&[&old, &new], &[&cross], &new_key), now).unwrap();
        assert_eq!(made[0].facts().not_after, cross.facts().not_after);
    }
}
