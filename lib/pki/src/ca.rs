//! The local CA: makes roots, intermediates and self-signed client certificates, and signs plans
//! (RFC 5280 §4.1 for the fields, §4.2.1.9 and §6.1 for what may stand under what).

use std::fmt;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer};

use crate::certificate::{Certificate, NotAsPlanned};
use crate::explain::Explain;
use crate::key::{KeyError, PrivateKey};
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

    fn all(&self) -> impl Iterator<Item = &X509> {
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

    /// Signs a plan at `now`. The life is cut to that of every CA certificate on the way.
    ///
    /// # Errors
    /// When the CA's time is over or has not begun, or the result is not what s2n loads.
    pub fn issue(&self, plan: &Plan, serial: Serial, now: UnixTime) -> Result<Certificate, CaError> {
        let life = self.life_within(plan.not_before, plan.not_after, now)?;
        let params = profile::leaf(plan, serial, life).ok_or(CaError::Time)?;
        let leaf = self.sign(&params, &plan.key)?;
        let CaCertificates { chain, anchors } = &self.certificates;
        Certificate::accept(plan, leaf, chain, anchors, now).map_err(CaError::Output)
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
        let life = self.life_within(now.minus(new.backdate), now.plus(new.validity), now)?;
        let params = profile::ca(CaRole::Intermediate, new.common_name, new.subject, new.serial, life)
            .ok_or(CaError::Time)?;
        let public = key.public().map_err(CaError::Key)?;
        self.sign(&params, &public)
    }

    fn life_within(&self, not_before: UnixTime, not_after: UnixTime, now: UnixTime) -> Result<Life, CaError> {
        let mut life = Life { not_before, not_after };
        // A cross certificate in the chain may end earlier than the issuer; a peer's path may use it.
        for ca in std::iter::once(&self.issuer).chain(&self.certificates.chain) {
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

    fn sign(&self, params: &CertificateParams, key: &crate::key::PublicKey) -> Result<X509, CaError> {
        let subject = || CaError::IssuerName(self.issuer.facts().subject.clone());
        let issuer =
            Issuer::from_ca_cert_der(&self.issuer.der().into(), self.key.pair()).map_err(|_| subject())?;
        let made = params.signed_by(key, &issuer).map_err(|_| CaError::Signing)?;
        let made = X509::from_der(made.der()).map_err(|_| CaError::Signing)?;
        // rcgen writes the issuer's name anew; a form that it cannot repeat must not get out.
        if made.is_issued_by(&self.issuer) { Ok(made) } else { Err(subject()) }
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

/// Makes the self-signed certificate of one client command (slurm-contract.md 4). PEM.
///
/// # Errors
/// When the key cannot sign, or the dates do not fit a certificate.
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
    Ok(self_signed(key, &params)?.to_pem())
}

fn self_signed(key: &PrivateKey, params: &CertificateParams) -> Result<X509, CaError> {
    let made = params.self_signed(key.pair()).map_err(|_| CaError::Signing)?;
    X509::from_der(made.der()).map_err(|_| CaError::Signing)
}
