//! Keys, CAs and certificates: through lib/pki where its work is tested, through rcgen where a test
//! needs what lib/pki would never make.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use pki::armor;
use pki::ca::{self, CaCertificates, LocalCa, NewCa};
use pki::csr::{self, Csr};
use pki::key::{KeyKind, PrivateKey};
use pki::name::NodeName;
use pki::policy::{Bind, Plan, Policy};
use pki::profile::Serial;
use pki::record::{Record, RecordId};
use pki::standing::{Held, Standing, Windows};
use pki::time::UnixTime;
use pki::token::NodeSecret;
use pki::x509::X509;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SigningKey,
};

use crate::openssl::openssl;

/// An hour.
pub const HOUR: Duration = Duration::from_secs(3600);

/// A day.
pub const DAY: Duration = Duration::from_secs(86400);

/// The time around which every certificate of a run is made. s2n looks at the wall clock itself; this is
/// five minutes ahead of it, so that what the `openssl` command makes during the run has begun.
#[must_use]
pub fn now() -> UnixTime {
    static NOW: OnceLock<UnixTime> = OnceLock::new();
    *NOW.get_or_init(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        UnixTime(since.as_secs().cast_signed()).plus(Duration::from_secs(300))
    })
}

/// The kinds of key that sites have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
}

/// All four.
pub const KINDS: [Kind; 4] = [Kind::P256, Kind::P384, Kind::Rsa2048, Kind::Rsa3072];

/// A key as PEM. RSA keys are made by the `openssl` command, two of each size in a run: they take long.
#[must_use]
pub fn key_pem(kind: Kind) -> String {
    static RSA: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let own = |kind| text_of(&PrivateKey::generate(kind).unwrap());
    let rsa = |n: usize, bits| {
        RSA[n]
            .get_or_init(|| openssl(&[], &format!("genpkey -algorithm RSA -pkeyopt {bits}")).unwrap())
            .clone()
    };
    match kind {
        Kind::P256 => own(KeyKind::P256),
        Kind::P384 => own(KeyKind::P384),
        Kind::Rsa2048 => rsa(0, "rsa_keygen_bits:2048"),
        Kind::Rsa3072 => rsa(1, "rsa_keygen_bits:3072"),
    }
}

/// A key, read by lib/pki.
#[must_use]
pub fn key(kind: Kind) -> PrivateKey {
    PrivateKey::from_pem(key_pem(kind).as_bytes()).unwrap()
}

/// The key file that lib/pki writes.
#[must_use]
pub fn text_of(key: &PrivateKey) -> String {
    String::from_utf8(key.to_pem().expose().to_vec()).unwrap()
}

/// What a new CA of this name says, for ten years.
#[must_use]
pub fn new_ca(common_name: &str) -> NewCa<'_> {
    NewCa { common_name, subject: &[], serial: serial(), validity: 3650 * DAY, backdate: HOUR }
}

/// A serial number unlike the ones before it.
#[must_use]
pub fn serial() -> Serial {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let mut bytes = [0; 16];
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    bytes[8..].copy_from_slice(&next.to_be_bytes());
    Serial::new(bytes)
}

/// What stands between root and leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The root signs leaves.
    Root,
    /// An intermediate signs leaves and is sent after them.
    Intermediate,
}

/// A CA of lib/pki with the file that every host trusts.
pub struct Site {
    /// What signs.
    pub ca: LocalCa,
    /// The text of ca_cert.
    pub trust: String,
}

/// A site's CA, its keys of this kind.
#[must_use]
pub fn site(kind: Kind, shape: Shape) -> Site {
    let root_key = key(kind);
    let root = ca::new_root(&root_key, &new_ca("Test Root"), now()).unwrap();
    let trust = root.to_pem();
    let certificates = CaCertificates::from_pem(trust.as_bytes(), None).unwrap();
    let root = LocalCa::new(certificates, root_key).unwrap();
    if shape == Shape::Root {
        return Site { ca: root, trust };
    }
    // The intermediate's key is of another size than the root's: both signature algorithms occur.
    let key = key(if kind == Kind::P256 { Kind::P384 } else { Kind::P256 });
    let chain = root.issue_intermediate(&key, &new_ca("Test Intermediate"), now()).unwrap().to_pem();
    let certificates = CaCertificates::from_pem(trust.as_bytes(), Some(chain.as_bytes())).unwrap();
    Site { ca: LocalCa::new(certificates, key).unwrap(), trust }
}

/// A node's certificate by the whole way: a bound request, the policy, the CA. The chain file's text.
#[must_use]
pub fn node_certificate(ca: &LocalCa, key: &PrivateKey) -> String {
    let name = NodeName::parse(b"n1").unwrap();
    let secret = NodeSecret::new([7; 32]);
    let binding = secret.binding_key().bind(&name, now(), key.public().unwrap().spki());
    let request = csr::write(key, &name, Some(&binding)).unwrap();
    openssl(&[("csr.pem", request.as_bytes())], "req -verify -noout -in csr.pem").unwrap();
    let record = Record::of(&secret, RecordId::new([1; 8]), now());
    let standing = Standing::Recorded(vec![Held { record, mark: None }]);
    let csr = Csr::parse(request.as_bytes()).unwrap();
    let plan = policy(ca).decide(&csr, &standing, now()).unwrap();
    ca.issue(&plan, serial(), now()).unwrap().to_pem().to_owned()
}

/// A daemon's certificate. The chain file's text.
#[must_use]
pub fn daemon_certificate(ca: &LocalCa, key: &PrivateKey) -> String {
    let dns = vec!["ctl1".to_owned(), "ctl1.cluster.example".to_owned()];
    let plan = Plan::for_daemon("slurmctld", dns, key.public().unwrap(), &[], 30 * DAY, HOUR, now());
    ca.issue(&plan, serial(), now()).unwrap().to_pem().to_owned()
}

fn policy(ca: &LocalCa) -> Policy {
    Policy {
        bind: Bind::Required,
        max_request_age: 7 * DAY,
        windows: Windows { replay: HOUR, grace: 14 * DAY },
        allowed_keys: vec![KeyKind::P256, KeyKind::P384, KeyKind::Rsa],
        validity: 7 * DAY,
        backdate: HOUR,
        subject: Vec::new(),
        san: vec!["%n".to_owned()],
        ca_names: ca.certificates().common_names(),
    }
}

/// A CA outside lib/pki that signs whatever it is told to.
pub struct Forge<K = KeyPair> {
    /// Its certificate.
    pub params: CertificateParams,
    /// Its key.
    pub key: K,
    /// Its certificate's text.
    pub pem: String,
}

impl Forge {
    /// A P-256 root.
    #[must_use]
    pub fn root(common_name: &str) -> Self {
        Self::root_with(KeyPair::generate().unwrap(), ca_params(common_name))
    }

    /// An intermediate of this one.
    #[must_use]
    pub fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = self.sign(&params, &key);
        Self { params, key, pem }
    }
}

impl<K: SigningKey> Forge<K> {
    /// A root with this key and these contents.
    #[must_use]
    pub fn root_with(key: K, params: CertificateParams) -> Self {
        let pem = certificate_pem(params.self_signed(&key).unwrap().der());
        Self { params, key, pem }
    }

    /// Signs. PEM.
    #[must_use]
    pub fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> String {
        certificate_pem(params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der())
    }

    /// Signs a node's certificate after `change` was made to it: chain file and key file.
    #[must_use]
    pub fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params();
        change(&mut params);
        (self.sign(&params, &key), pkcs8_pem(&key))
    }
}

/// What stands in a node's certificate.
#[must_use]
pub fn leaf_params() -> CertificateParams {
    let mut params = dated(CertificateParams::new(vec!["n1".to_owned()]).unwrap());
    params.distinguished_name.push(DnType::CommonName, "n1");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// What stands in a CA's certificate.
#[must_use]
pub fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = dated(CertificateParams::default());
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = now().minus(DAY).to_certificate_time().unwrap();
    params.not_after = now().plus(DAY).to_certificate_time().unwrap();
    params
}

/// A certificate's text.
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    armor::public("CERTIFICATE", der)
}

/// A key's text.
#[must_use]
pub fn pkcs8_pem(key: &KeyPair) -> String {
    armor::public("PRIVATE KEY", key.serialized_der())
}

/// The certificates in a text.
#[must_use]
pub fn read(pem: &str) -> Vec<X509> {
    X509::all_from_pem(pem.as_bytes(), 1 << 20).unwrap()
}
