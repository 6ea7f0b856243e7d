//! The PKI engine: what it signs, its roles and issuers.

use pki::x509::X509;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::path::MountPath;

/// An engine at its mount.
#[derive(Clone, Debug)]
pub struct PkiEngine {
    /// Where it is mounted.
    pub mount: MountPath,
}

/// What a certificate is to say. The engine's role has the last word on all of it, so whoever asks reads back what
/// comes.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// PEM of the request, from which the key comes.
    pub csr: &'a str,
    /// The common name.
    pub common_name: &'a str,
    /// All DNS names.
    pub dns: &'a [String],
    /// Life from now on, in seconds.
    pub ttl: u64,
}

/// A certificate as it was signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate itself.
    pub leaf: X509,
    /// The issuer, then what stands above it, as far as the engine knows; may hold a root, and the same one twice.
    pub above: Vec<X509>,
}

/// Longest PEM of one certificate.
const MAX_PEM: usize = 64 * 1024;

/// Most certificates above a leaf; each is compared with each.
const MAX_ABOVE: usize = 32;

/// Vault says so when it takes the names from the request and not from us. The certificate is read back by whoever
/// asked: what counts is what stands in it.
fn is_about_names(warning: &str) -> bool {
    warning.contains("use_csr_common_name") || warning.contains("use_csr_sans")
}

impl PkiEngine {
    /// Has a request signed by a role. A life that Vault shortens, and every other warning, is an error.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn sign(&self, client: &Client, role: &str, wanted: &Wanted<'_>) -> Result<Signed, Error> {
        self.sign_at(client, &format!("{}/sign/{role}", self.mount), role, wanted)
    }

    /// The same by this issuer, whichever one the role names.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn sign_by(
        &self,
        client: &Client,
        issuer: &str,
        role: &str,
        wanted: &Wanted<'_>,
    ) -> Result<Signed, Error> {
        check(issuer)?;
        self.sign_at(client, &format!("{}/issuer/{issuer}/sign/{role}", self.mount), role, wanted)
    }

    fn sign_at(&self, client: &Client, path: &str, role: &str, wanted: &Wanted<'_>) -> Result<Signed, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            csr: &'a str,
            common_name: &'a str,
            alt_names: String,
            exclude_cn_from_sans: bool,
            ttl: String,
            format: &'static str,
        }
        #[derive(Deserialize)]
        struct Data {
            certificate: String,
            issuing_ca: String,
            /// A list without items can come as null.
            ca_chain: Option<Vec<String>>,
        }
        let what = format!("sign with the role {role} at {}", self.mount);
        let body = Body {
            csr: wanted.csr,
            common_name: wanted.common_name,
            alt_names: wanted.dns.join(","),
            // The names come by alt_names or with the request: Go's IDNA rules refuse some node names in a common name
            // that is to become a DNS name, those with an underscore.
            exclude_cn_from_sans: true,
            ttl: format!("{}s", wanted.ttl),
            format: "pem",
        };
        let answer = client.write(path, &body, &what)?;
        let data: Data = answer.without_warnings(is_about_names)?.data(&what)?;
        let one = |pem: &str| X509::all_from_pem(pem.as_bytes(), MAX_PEM);
        let unreadable =
            |_| Error::Answer { what: what.clone(), why: "it holds something other than certificates" };
        let mut all = one(&data.certificate).map_err(unreadable)?;
        let above = std::iter::once(&data.issuing_ca)
            .chain(data.ca_chain.iter().flatten())
            .filter(|pem| !pem.is_empty());
        let above: Result<Vec<_>, _> = above.map(|pem| one(pem)).collect();
        let above: Vec<_> = above.map_err(unreadable)?.into_iter().flatten().collect();
        if above.len() > MAX_ABOVE {
            return Err(Error::Answer { what, why: "it holds more certificates than any chain has" });
        }
        if all.len() != 1 {
            return Err(Error::Answer { what, why: "it holds more or less than one certificate" });
        }
        Ok(Signed { leaf: all.remove(0), above })
    }

    /// A role's settings as the engine has them; `None`: no such role.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn role(&self, client: &Client, role: &str) -> Result<Option<serde_json::Map<String, Value>>, Error> {
        let what = format!("read the role {role} at {}", self.mount);
        match client.read(&format!("{}/roles/{role}", self.mount), &what) {
            Ok(answer) => answer.data(&what).map(Some),
            Err(e) if e.is_not_found() || matches!(e, Error::NoRole { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes a role: all of its settings, since what is left out goes back to its default.
    ///
    /// # Errors
    /// Whatever went wrong; warnings are among it.
    pub fn write_role(&self, client: &Client, role: &str, settings: &Value) -> Result<(), Error> {
        let what = format!("write the role {role} at {}", self.mount);
        let answer = client.write(&format!("{}/roles/{role}", self.mount), settings, &what)?;
        // A role that was read is written back whole: what a server only shows is no mistake.
        answer.without_warnings(|warning| warning.contains("unrecognized parameters")).map(drop)
    }

    /// The ids of all issuers.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn issuers(&self, client: &Client) -> Result<Vec<String>, Error> {
        client.list(&format!("{}/issuers", self.mount), &format!("list the issuers at {}", self.mount))
    }

    /// An issuer by its id or name, or the default one; `None`: no such issuer.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn issuer(&self, client: &Client, reference: &str) -> Result<Option<Issuer>, Error> {
        check(reference)?;
        let what = format!("read the issuer {reference} at {}", self.mount);
        match client.read(&format!("{}/issuer/{reference}", self.mount), &what) {
            Ok(answer) => {
                let issuer: Issuer = answer.data(&what)?;
                let names = [&issuer.issuer_id, &issuer.key_id, &issuer.issuer_name];
                if issuer.issuer_id.is_empty() || !names.into_iter().all(|name| is_plain(name)) {
                    return Err(Error::Answer { what, why: "an id or a name in it cannot be one" });
                }
                Ok(Some(issuer))
            }
            Err(e) if e.is_not_found() => Ok(None),
            // What Vault says of an issuer that is not there, or a mount without any.
            Err(Error::Refused { said, .. } | Error::Server { said, .. })
                if said.contains("unable to find") || said.contains("no default issuer") =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}

/// The letters that Vault has in the names of issuers and keys: none that leads to another path or moves a cursor.
fn is_plain(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= 128
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        && !matches!(name, "." | "..")
}

/// A reference goes into a path: it may come from a file that is not root's.
pub(crate) fn check(reference: &str) -> Result<(), Error> {
    if !reference.is_empty() && is_plain(reference) { Ok(()) } else { Err(Error::Path(reference.to_owned())) }
}

/// An issuer, as far as we look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Issuer {
    /// Its id.
    pub issuer_id: String,
    /// Its name; may be empty.
    #[serde(default)]
    pub issuer_name: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its certificate and those above it, PEM; a list without items can come as null.
    #[serde(default, deserialize_with = "list")]
    pub ca_chain: Vec<String>,
    /// Its key; empty where the engine has none.
    #[serde(default)]
    pub key_id: String,
    /// What becomes of a leaf that would outlive it.
    #[serde(default)]
    pub leaf_not_after_behavior: String,
    /// What it may be used for, with commas: `read-only,issuing-certificates,crl-signing`.
    #[serde(default)]
    pub usage: String,
}

fn list<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_is_null_or_missing_has_no_certificates() {
        for text in [
            "{\"issuer_id\":\"1\",\"certificate\":\"c\",\"ca_chain\":null}",
            "{\"issuer_id\":\"1\",\"certificate\":\"c\"}",
        ] {
            let issuer: Issuer = serde_json::from_str(text).unwrap();
            assert!(issuer.ca_chain.is_empty(), "{text}");
        }
    }
}
