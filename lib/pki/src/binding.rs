//! The binding: a statement, inside the CSR, that the node with this secret asks for this key.
//!
//! Slurm gives `sign_csr` nothing but the request, and renewals skip validation (slurm-contract.md 1.5), so
//! the request carries its own authorisation: an attribute challengePassword (RFC 2985 §5.4.1) whose
//! one UTF8String is `slurm-pki.v1.` and base64url(u64 issued-at || Ed25519 signature).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::name::NodeName;
use crate::time::UnixTime;

const PREFIX: &str = "slurm-pki.v1.";
const LABEL: &[u8] = b"slurm-pki csr v1\0";
const SIGNATURE_LEN: usize = 64;

/// B: what only the node with secret S can derive. Signs bindings.
#[derive(Debug)]
pub struct BindingKey(Ed25519KeyPair);

impl BindingKey {
    /// The key with this seed of 32 bytes. (A shorter or longer one is hashed to 32 bytes, so that
    /// there is no way to fail: the only caller has an HMAC-SHA256 tag.)
    pub(crate) fn from_seed(seed: &[u8]) -> Self {
        match Ed25519KeyPair::from_seed_unchecked(seed) {
            Ok(pair) => Self(pair),
            Err(_) => Self::from_seed(ring::digest::digest(&ring::digest::SHA256, seed).as_ref()),
        }
    }

    /// The half that the store keeps.
    #[must_use]
    pub fn public(&self) -> BindingPublic {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        BindingPublic(bytes)
    }

    /// Binds the request for `name` with the public key `spki` (raw SubjectPublicKeyInfo bytes).
    #[must_use]
    pub fn bind(&self, name: &NodeName, issued_at: UnixTime, spki: &[u8]) -> Binding {
        let signature = self.0.sign(&statement(name, issued_at, spki));
        let mut bytes = [0; SIGNATURE_LEN];
        bytes.copy_from_slice(signature.as_ref());
        Binding { issued_at, signature: bytes }
    }
}

/// The public half of B: base64url without padding in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindingPublic([u8; 32]);

impl From<BindingPublic> for String {
    fn from(key: BindingPublic) -> Self {
        BASE64URL_NOPAD.encode(&key.0)
    }
}

impl TryFrom<String> for BindingPublic {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| "not base64url")?;
        bytes.try_into().map(Self).map_err(|_| "not 32 bytes")
    }
}

/// A binding as it came in a request: well formed, not yet believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    issued_at: UnixTime,
    signature: [u8; SIGNATURE_LEN],
}

/// The attribute's text is not `slurm-pki.v1.` and base64url of 72 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingMalformed;

impl Binding {
    /// Reads the attribute's text.
    ///
    /// # Errors
    /// When it is not in the format above, to the letter.
    pub fn parse(text: &str) -> Result<Self, BindingMalformed> {
        let base64 = text.strip_prefix(PREFIX).ok_or(BindingMalformed)?;
        let bytes = BASE64URL_NOPAD.decode(base64.as_bytes()).map_err(|_| BindingMalformed)?;
        let (time, signature) = bytes.split_first_chunk::<8>().ok_or(BindingMalformed)?;
        let issued_at = i64::try_from(u64::from_be_bytes(*time)).map_err(|_| BindingMalformed)?;
        let signature = signature.try_into().map_err(|_| BindingMalformed)?;
        Ok(Self { issued_at: UnixTime(issued_at), signature })
    }

    /// Whether a text is meant to be a binding of ours at all; another challengePassword is not.
    #[must_use]
    pub fn claims_to_be_one(text: &str) -> bool {
        text.starts_with("slurm-pki.")
    }

    /// The attribute's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(8 + SIGNATURE_LEN);
        bytes.extend_from_slice(&self.issued_at.0.to_be_bytes());
        bytes.extend_from_slice(&self.signature);
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// When the node says that it made the request. Signed, so an old request cannot be made new.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// Whether the holder of `key` bound exactly this name and this key at that time.
    #[must_use]
    pub fn is_by(&self, key: &BindingPublic, name: &NodeName, spki: &[u8]) -> bool {
        let statement = statement(name, self.issued_at, spki);
        UnparsedPublicKey::new(&ED25519, &key.0).verify(&statement, &self.signature).is_ok()
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({}, ..)", self.issued_at)
    }
}

/// "slurm-pki csr v1" 0x00 || u16 length || NodeName || u64 issued-at || u32 length || spki, integers
/// big-endian: every part's length is fixed or written, so no two statements share bytes.
fn statement(name: &NodeName, issued_at: UnixTime, spki: &[u8]) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    // A NodeName has at most 64 bytes and a request at most 64 KiB: both lengths fit their fields.
    let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let spki_len = u32::try_from(spki.len()).unwrap_or(u32::MAX);
    [LABEL, &name_len.to_be_bytes(), name, &issued_at.0.to_be_bytes(), &spki_len.to_be_bytes(), spki].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::NodeSecret;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_binding_speaks_for_one_node_one_key_and_one_time() {
        let key = NodeSecret::new([1; 32]).binding_key();
        let other = NodeSecret::new([2; 32]).binding_key();
        let binding = key.bind(&name("n1"), UnixTime(1000), b"spki");
        let binding = Binding::parse(&binding.to_text()).unwrap();
        assert!(binding.is_by(&key.public(), &name("n1"), b"spki"));
        assert!(!binding.is_by(&key.public(), &name("n2"), b"spki"));
        assert!(!binding.is_by(&key.public(), &name("n1"), b"spkj"));
        assert!(!binding.is_by(&other.public(), &name("n1"), b"spki"));
        let newer = Binding { issued_at: UnixTime(1001), ..binding };
        assert!(!newer.is_by(&key.public(), &name("n1"), b"spki"));
    }

    #[test]
    fn other_texts_are_not_bindings() {
        let good = NodeSecret::new([1; 32]).binding_key().bind(&name("n1"), UnixTime(1), b"k").to_text();
        for text in
            ["", "hunter2", "slurm-pki.v1.", "slurm-pki.v2.AAAA", &format!("{good}A"), &format!("{good}=")]
        {
            assert_eq!(Binding::parse(text), Err(BindingMalformed), "{text}");
        }
    }
}
