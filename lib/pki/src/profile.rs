//! What stands in the certificates that we make: every profile in one sitting.
//!
//! Nothing here comes from a request but a name and a public key (RFC 5280 §4.2 for the extensions,
//! slurm-contract.md 3.3 and 3.4 for what s2n wants to see).

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};

use crate::policy::{Plan, SubjectAttribute};
use crate::time::UnixTime;

/// A serial number: 128 random bits, of which 126 count, so that it is positive and always has 16
/// bytes (RFC 5280 §4.1.2.2 allows 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A serial from random bytes.
    #[must_use]
    pub fn new(mut random: [u8; 16]) -> Self {
        let [first, ..] = &mut random;
        *first = (*first & 0x7f) | 0x40;
        Self(random)
    }

    /// Lower-case hex, as the ledger has it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    fn number(self) -> SerialNumber {
        SerialNumber::from_slice(&self.0)
    }
}

/// What a CA certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaRole {
    /// A root: self-signed, no bound on the path below it, so that it can cross-sign its successor.
    Root,
    /// An intermediate; one CA certificate may stand below it (a cross certificate).
    Intermediate,
}

/// A leaf's life, already cut to the life of the CA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

/// A node's or daemon's certificate. Every Slurm daemon is a TLS server and a TLS client, so both
/// usages stand in it.
pub(crate) fn leaf(plan: &Plan, serial: Serial, life: Life) -> Option<CertificateParams> {
    let mut params = dated(serial, life)?;
    params.distinguished_name = name(&plan.common_name, &plan.subject);
    params.subject_alt_names = dns(&plan.dns)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Some(params)
}

/// The self-signed certificate of one client command: sole trust anchor of the peers that it is sent
/// to (slurm-contract.md 4), so it needs no CA flag.
pub(crate) fn client(common_name: &str, serial: Serial, life: Life) -> Option<CertificateParams> {
    let mut params = dated(serial, life)?;
    params.distinguished_name = name(common_name, &[]);
    params.subject_alt_names = dns(&[common_name.to_owned()])?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Some(params)
}

/// A CA's certificate.
pub(crate) fn ca(
    role: CaRole,
    common_name: &str,
    subject: &[(SubjectAttribute, String)],
    serial: Serial,
    life: Life,
) -> Option<CertificateParams> {
    let mut params = dated(serial, life)?;
    params.distinguished_name = name(common_name, subject);
    params.is_ca = IsCa::Ca(match role {
        CaRole::Root => BasicConstraints::Unconstrained,
        CaRole::Intermediate => BasicConstraints::Constrained(1),
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = role == CaRole::Intermediate;
    Some(params)
}

/// A root's cross certificate: what the root says of itself, under another CA. Its key identifier is the
/// root's own, so that what the root signed fits under both (RFC 5280 §4.2.1.1).
pub(crate) fn cross(
    common_name: &str,
    subject: &[(SubjectAttribute, String)],
    key_id: &[u8],
    serial: Serial,
    life: Life,
) -> Option<CertificateParams> {
    let mut params = ca(CaRole::Root, common_name, subject, serial, life)?;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.to_vec());
    params.use_authority_key_identifier_extension = true;
    Some(params)
}

fn dated(serial: Serial, life: Life) -> Option<CertificateParams> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial.number());
    params.not_before = life.not_before.to_certificate_time()?;
    params.not_after = life.not_after.to_certificate_time()?;
    Some(params)
}

fn name(common_name: &str, subject: &[(SubjectAttribute, String)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (attribute, value) in subject {
        let kind = match attribute {
            SubjectAttribute::C => DnType::CountryName,
            SubjectAttribute::ST => DnType::StateOrProvinceName,
            SubjectAttribute::L => DnType::LocalityName,
            SubjectAttribute::O => DnType::OrganizationName,
            SubjectAttribute::OU => DnType::OrganizationalUnitName,
        };
        name.push(kind, value.as_str());
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn dns(names: &[String]) -> Option<Vec<SanType>> {
    names.iter().map(|name| name.as_str().try_into().ok().map(SanType::DnsName)).collect()
}
