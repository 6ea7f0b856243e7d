//! The CA: every certificate that hosts trust or that is sent along, and which of them are in use.

use pki::ca::{CaCertificates, LocalCa};
use pki::time::UnixTime;
use pki::x509::X509;
use serde::Serialize;
use site::config::Place;
use site::signer;

use crate::admin::Admin;
use crate::advice::Advise as _;

/// What hosts trust and what signs.
#[derive(Debug, Serialize)]
pub(crate) struct Ca {
    /// Trusted ones, then those that are sent along.
    pub(crate) certificates: Vec<CaCertificate>,
    /// When the first of those in use ends: what is issued ends then too.
    pub(crate) ends: Option<UnixTime>,
    /// Why it is not known which one signs: then all count as in use.
    pub(crate) problem: Option<String>,
}

/// One certificate of the CA.
#[derive(Debug, Serialize)]
pub(crate) struct CaCertificate {
    /// Subject.
    pub(crate) subject: String,
    /// root, intermediate or cross.
    pub(crate) kind: &'static str,
    /// Serial number, lower-case hex.
    pub(crate) serial: String,
    /// SHA-256 of its DER.
    pub(crate) sha256: String,
    /// First second of its life.
    pub(crate) not_before: UnixTime,
    /// Last second of its life.
    pub(crate) not_after: UnixTime,
    /// Whether it is valid now.
    pub(crate) valid: bool,
    /// Whether every host trusts it (it stands in ca_cert).
    pub(crate) trusted: bool,
    /// Whether it signs; `None`: it is not known which one does.
    pub(crate) signs: Option<bool>,
    /// Whether it lies on the way from what is issued now to what hosts trust.
    pub(crate) in_use: bool,
}

impl Ca {
    /// Looks at it.
    ///
    /// # Errors
    /// When ca_cert or ca_chain cannot be used.
    pub(super) fn of(admin: &Admin, now: UnixTime) -> anyhow::Result<Self> {
        let certificates = signer::ca_certificates(&admin.controller).advise()?;
        let (issuer, problem) = match issuer(admin, &certificates) {
            Ok(issuer) => (issuer, None),
            Err(why) => (None, Some(why)),
        };
        let in_use = issuer.as_ref().map(|issuer| way_up(issuer, &certificates));
        let trusted = certificates.anchors.iter().map(|ca| (ca, true));
        let all = trusted.chain(certificates.chain.iter().map(|ca| (ca, false)));
        let shown: Vec<_> = all
            .map(|(ca, trusted)| CaCertificate {
                trusted,
                valid: ca.is_valid_at(now),
                signs: issuer.as_ref().map(|issuer| issuer == ca),
                in_use: in_use.as_ref().is_none_or(|way| way.contains(&ca)),
                ..CaCertificate::of(ca, &certificates)
            })
            .collect();
        let ends = shown.iter().filter(|ca| ca.in_use).map(|ca| ca.not_after).min();
        Ok(Self { certificates: shown, ends, problem })
    }
}

impl CaCertificate {
    fn of(ca: &X509, all: &CaCertificates) -> Self {
        let facts = ca.facts();
        let is_anchors_twin =
            |anchor: &X509| anchor.same_subject(ca) && anchor.facts().spki == facts.spki && anchor != ca;
        Self {
            subject: facts.subject.clone(),
            kind: match ca.is_self_issued() {
                true => "root",
                false if all.anchors.iter().any(is_anchors_twin) => "cross",
                false => "intermediate",
            },
            serial: facts.serial.clone(),
            sha256: ca.fingerprint(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            valid: false,
            trusted: false,
            signs: None,
            in_use: false,
        }
    }
}

/// The certificate that signs; `None` where that is done elsewhere.
fn issuer(admin: &Admin, certificates: &CaCertificates) -> Result<Option<X509>, String> {
    match admin.controller.signer {
        // Without the state of a controller here, another host signs.
        Place::Local if !super::is_controller(admin) => Ok(None),
        Place::Local => {
            let key = signer::ca_key(&admin.controller.ca_key).map_err(|e| e.to_string())?;
            let ca = LocalCa::new(certificates.clone(), key).map_err(|e| e.to_string())?;
            Ok(Some(ca.issuer().clone()))
        }
        Place::Vault => Ok(None),
    }
}

/// The issuer, and those above it.
fn way_up<'a>(issuer: &'a X509, all: &'a CaCertificates) -> Vec<&'a X509> {
    let mut way = vec![issuer];
    let mut at = 0;
    while let Some(&below) = way.get(at) {
        at += 1;
        for above in all.anchors.iter().chain(&all.chain) {
            if !way.contains(&above) && below != above && below.is_issued_by(above) {
                way.push(above);
            }
        }
    }
    way
}
