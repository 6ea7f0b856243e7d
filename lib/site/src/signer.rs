//! Who signs: one type, so that whatever asks for a signature need not know where the key is. It has what
//! is left of Slurm's five seconds for a script (slurm-contract.md 1.4).

use std::path::Path;

use pki::ca::{CaCertificates, CaError, LocalCa};
use pki::certificate::Certificate;
use pki::key::{MAX_KEY_PEM, PrivateKey};
use pki::loads_in_s2n::{MAX_BUNDLE_PEM, MAX_CHAIN_PEM};
use pki::policy::{Authorisation, Plan, Policy};
use pki::profile::Serial;
use pki::secret::Secret;
use pki::time::UnixTime;
use pki::x509::X509;

use crate::config::{ControllerConfig, Place};
use crate::error::Error;
use crate::file::{self, Keep};
use crate::random;
use crate::remote::{self, Answer, Question, Remote, Time};

/// How often key and certificates are read until the key stays the same: it changes once in years.
const TRIES: usize = 3;

/// What every host trusts and what is sent after a leaf, from the site's files.
///
/// # Errors
/// When they cannot be read or used.
pub fn ca_certificates(config: &ControllerConfig) -> Result<CaCertificates, Error> {
    CaFiles::read(config).map(|files| files.certificates)
}

/// ca_cert and ca_chain as they were read, with what they say: read once more and found to be the same, they need not be
/// parsed once more.
#[derive(Debug)]
pub struct CaFiles {
    texts: CaTexts,
    certificates: CaCertificates,
}

impl CaFiles {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read or used.
    pub fn read(config: &ControllerConfig) -> Result<Self, Error> {
        let texts = CaTexts::read(config)?;
        Ok(Self { certificates: texts.certificates(config)?, texts })
    }

    /// What they say.
    #[must_use]
    pub fn certificates(&self) -> &CaCertificates {
        &self.certificates
    }

    /// What they say now.
    fn certificates_now(&self, config: &ControllerConfig) -> Result<CaCertificates, Error> {
        let now = CaTexts::read(config)?;
        if now == self.texts { Ok(self.certificates.clone()) } else { now.certificates(config) }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct CaTexts {
    ca_cert: Vec<u8>,
    ca_chain: Option<Vec<u8>>,
}

impl CaTexts {
    fn read(config: &ControllerConfig) -> Result<Self, Error> {
        let ca_cert = file::read(&config.ca_cert, Keep::Intact, MAX_BUNDLE_PEM)?;
        let ca_chain = file::read_if_there(&config.ca_chain, Keep::Intact, MAX_CHAIN_PEM)?;
        let public = |text: Secret| text.expose().to_vec();
        Ok(Self { ca_cert: public(ca_cert), ca_chain: ca_chain.map(public) })
    }

    fn certificates(&self, config: &ControllerConfig) -> Result<CaCertificates, Error> {
        CaCertificates::from_pem(&self.ca_cert, self.ca_chain.as_deref()).map_err(|e| {
            let path = if matches!(e, CaError::Chain(_)) { &config.ca_chain } else { &config.ca_cert };
            Error::contents(path)(e)
        })
    }
}

/// The site's policy, for requests judged against these CA certificates.
#[must_use]
pub fn policy(config: &ControllerConfig, certificates: &CaCertificates) -> Policy {
    Policy {
        bind: config.bind,
        max_request_age: config.max_request_age,
        windows: config.windows,
        allowed_keys: config.allowed_keys.clone(),
        validity: config.validity,
        backdate: config.backdate,
        subject: config.subject.clone(),
        san: config.san.clone(),
        ca_names: certificates.common_names(),
    }
}

/// The signer that the config names. Made only after a request was accepted: a refused one never sees
/// the CA key.
#[derive(Debug)]
pub enum Signer {
    /// The CA key is a file of this host.
    Local(Box<LocalCa>),
    /// The CA key is in Vault.
    Vault(Box<VaultCa>),
}

/// A CA whose key is in Vault. What comes back from there is judged like anything that comes over a network.
#[derive(Debug)]
pub struct VaultCa {
    certificates: CaCertificates,
    config: ControllerConfig,
    remote: Remote,
}

impl Signer {
    /// Opens the signer for a person's command.
    ///
    /// # Errors
    /// When the CA key cannot be used, or does not belong to the certificates.
    pub fn open(config: &ControllerConfig) -> Result<Self, Error> {
        Self::open_within(config, &CaFiles::read(config)?, Time::PerQuestion)
    }

    /// The same within a time that other questions share, where the CA's files were read before.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(config: &ControllerConfig, files: &CaFiles, time: Time) -> Result<Self, Error> {
        match config.signer {
            Place::Local => {
                let (key, certificates) = key_and_certificates(config, files)?;
                let ca = LocalCa::new(certificates, key).map_err(Error::contents(&config.ca_key))?;
                Ok(Self::Local(Box::new(ca)))
            }
            Place::Vault => Ok(Self::Vault(Box::new(VaultCa {
                certificates: files.certificates.clone(),
                config: config.clone(),
                remote: Remote::new(config.source.clone(), time),
            }))),
        }
    }

    /// Signs a plan. What comes back was read back. `request` is the PEM that the plan was made for; a CA key that is
    /// here needs only the plan.
    ///
    /// # Errors
    /// When the CA cannot sign now, or what it made is not what was planned.
    pub fn sign(&self, plan: &Plan, request: &str, now: UnixTime) -> Result<Certificate, Error> {
        match self {
            Self::Local(ca) => ca.issue(plan, Serial::new(random::bytes()?), now).map_err(refused),
            Self::Vault(ca) => ca.sign(plan, request, now),
        }
    }

    /// Whether this CA, as it is now, has signed a certificate. After the change to another CA what the old one signed is
    /// still trusted, and no longer its own. Of a CA in Vault only that is known which ca_cert and ca_chain hold: in the
    /// middle of a change, the one whose cross certificate is sent along.
    #[must_use]
    pub fn has_signed(&self, leaf: &X509) -> bool {
        match self {
            Self::Local(ca) => leaf.is_issued_by(ca.issuer()),
            Self::Vault(ca) => match ca.cross_signed() {
                Some(new) => leaf.is_issued_by(new),
                None => ca.certificates.all().any(|ca| leaf.is_issued_by(ca)),
            },
        }
    }

    /// The last second of whatever it signs now: a certificate never outlives its CA.
    ///
    /// # Errors
    /// When the CA's time is over or has not begun.
    pub fn latest_end(&self, now: UnixTime) -> Result<UnixTime, Error> {
        match self {
            Self::Local(ca) => ca.latest_end(now).map_err(refused),
            Self::Vault(ca) => {
                let valid = ca.certificates.all().filter(|ca| ca.is_valid_at(now));
                let end = valid.map(|ca| ca.facts().not_after).max();
                end.ok_or_else(|| refused(CaError::NoIssuer))
            }
        }
    }
}

impl VaultCa {
    /// What lies on the disk after Vault has signed, and what lay there before. A change of CA writes the new one's way into
    /// ca_chain before it lets it sign, and takes it out after: in one of the two it is, whichever signed.
    fn as_it_is_now(&self) -> Result<CaCertificates, Error> {
        let mut now = ca_certificates(&self.config)?;
        for ca in &self.certificates.chain {
            if !now.chain.contains(ca) {
                now.chain.push(ca.clone());
            }
        }
        Ok(now)
    }

    /// The root whose cross certificate lies in ca_chain: from `switch` to the end of a change of CA.
    fn cross_signed(&self) -> Option<&X509> {
        let is_cross_of = |root: &X509, ca: &X509| {
            !ca.is_self_issued() && ca.same_subject(root) && ca.facts().spki == root.facts().spki
        };
        let chain = &self.certificates.chain;
        self.certificates.anchors.iter().find(|root| chain.iter().any(|ca| is_cross_of(root, ca)))
    }

    fn sign(&self, plan: &Plan, request: &str, now: UnixTime) -> Result<Certificate, Error> {
        let question = Question::Sign {
            csr: request.to_owned(),
            common_name: plan.common_name().to_owned(),
            dns: plan.dns().to_vec(),
            ttl: plan.ttl().as_secs(),
            daemon: *plan.authorisation() == Authorisation::Admin,
        };
        let Answer::Certificate { leaf, above } = self.remote.ask(question)? else {
            return Err(remote::other_answer());
        };
        let leaf = certificates(&leaf)?.pop().ok_or_else(remote::other_answer)?;
        let above: Result<Vec<_>, Error> = above.iter().map(|pem| certificates(pem)).collect();
        let above = above?.concat();
        self.as_it_is_now()?.accept(plan, leaf, &above, now).map_err(|e| Error::Contents {
            path: "Vault".into(),
            why: e.to_string(),
            hint: "see that ca_cert, ca_chain and the issuer in Vault belong together, and its role and clock: slurm-pki \
                   vault check"
                .into(),
        })
    }
}

/// Both as they stood at one time: a CA rollover that changes the key between two reads could give it the
/// certificates of the other key. It writes what a key needs before the key, and takes it away after.
fn key_and_certificates(
    config: &ControllerConfig,
    files: &CaFiles,
) -> Result<(PrivateKey, CaCertificates), Error> {
    let read = || file::read(&config.ca_key, Keep::Secret, MAX_KEY_PEM);
    let mut before = read()?;
    for _ in 0..TRIES {
        let certificates = files.certificates_now(config)?;
        let after = read()?;
        if before.expose() == after.expose() {
            let key = PrivateKey::from_pem(before.expose()).map_err(Error::contents(&config.ca_key))?;
            return Ok((key, certificates));
        }
        before = after;
    }
    Err(Error::Busy { path: config.ca_key.clone() })
}

/// The CA cannot sign now.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(e: CaError) -> Error {
    Error::Contents { path: "CA".into(), why: e.to_string(), hint: pki::explain::Explain::hint(&e) }
}

fn certificates(pem: &str) -> Result<Vec<X509>, Error> {
    X509::all_from_pem(pem.as_bytes(), MAX_CHAIN_PEM).map_err(Error::contents(Path::new("Vault")))
}

/// Reads a CA's private key.
///
/// # Errors
/// When others could have read it, or it is not a key that we take.
pub fn ca_key(path: &Path) -> Result<PrivateKey, Error> {
    let pem = file::read(path, Keep::Secret, MAX_KEY_PEM)?;
    PrivateKey::from_pem(pem.expose()).map_err(Error::contents(path))
}
