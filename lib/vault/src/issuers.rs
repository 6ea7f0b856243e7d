//! Several issuers in one PKI engine, as a change of CA needs them: a new one, its cross certificate by the old one, and
//! which of them signs. (Vault from 1.11 on, and OpenBao.) No key is ever exported or deleted.

use pki::x509::X509;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::Answer;
use crate::client::Client;
use crate::error::Error;
use crate::pki_engine::{Issuer, PkiEngine, check};

/// Longest PEM of one certificate or request.
const MAX_PEM: usize = 64 * 1024;

/// What an issuer says of itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Subject<'a> {
    /// CN.
    pub common_name: &'a str,
    /// C.
    pub country: Vec<&'a str>,
    /// ST.
    pub province: Vec<&'a str>,
    /// L.
    pub locality: Vec<&'a str>,
    /// O.
    pub organization: Vec<&'a str>,
    /// OU.
    pub ou: Vec<&'a str>,
}

/// What a new root is to be.
#[derive(Clone, Debug, Serialize)]
pub struct NewRoot<'a> {
    /// Its name among the issuers, which no other has.
    pub issuer_name: &'a str,
    /// What it says of itself.
    #[serde(flatten)]
    pub subject: Subject<'a>,
    /// `ec`.
    pub key_type: &'a str,
    /// Its key's size.
    pub key_bits: u16,
    /// Its end, `YYYY-MM-ddTHH:MM:SSZ`. A time to live would be cut to the mount's.
    pub not_after: String,
    /// How far before now it begins: `300s`.
    pub not_before_duration: String,
}

/// With the common name kept out of the alternative names, where it would be taken for a host's.
#[derive(Serialize)]
struct Named<'a, T> {
    #[serde(flatten)]
    is: &'a T,
    exclude_cn_from_sans: bool,
    /// A key that is there; its kind must not be said then.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ref: Option<&'a str>,
}

/// Which issuer is the mount's default one.
#[derive(Clone, Debug, Deserialize)]
pub struct Default {
    /// Its id; empty where there is none.
    #[serde(default)]
    pub default: String,
    /// Whether whatever is made next becomes it.
    #[serde(default)]
    pub default_follows_latest_issuer: bool,
}

/// A mount without URLs to put into certificates says so each time. Peers of Slurm look at none.
fn is_about_urls(warning: &str) -> bool {
    warning.contains("authority information access (AIA)")
}

impl PkiEngine {
    /// Which issuer is the default one.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn default_issuer(&self, client: &Client) -> Result<Default, Error> {
        let what = format!("say which issuer is the default one at {}", self.mount);
        client.read(&format!("{}/config/issuers", self.mount), &what)?.data(&what)
    }

    /// Makes an issuer the default one: one write, and whatever is signed after it is signed by that one.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn set_default_issuer(&self, client: &Client, id: &str) -> Result<(), Error> {
        let what = format!("make {id} the default issuer at {}", self.mount);
        let answer =
            client.write(&format!("{}/config/issuers", self.mount), &json!({ "default": id }), &what)?;
        answer.without_warnings(|_| false).map(drop)
    }

    /// Makes a root whose key never leaves Vault, and which signs nothing yet.
    ///
    /// # Errors
    /// Whatever went wrong; a name that is taken is [`Error::Refused`].
    pub fn new_root(&self, client: &Client, new: &NewRoot<'_>) -> Result<(), Error> {
        let what = format!("make the issuer {} at {}", new.issuer_name, self.mount);
        let path = format!("{}/issuers/generate/root/internal", self.mount);
        let body = Named { is: new, exclude_cn_from_sans: true, key_ref: None };
        client.write(&path, &body, &what)?.without_warnings(is_about_urls).map(drop)
    }

    /// A root's cross certificate: its subject, key and key identifier under the issuer `by`. Whoever asks reads back what
    /// comes.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn cross_sign(
        &self,
        client: &Client,
        root: (&Issuer, &X509),
        subject: &Subject<'_>,
        by: &str,
        (not_after, not_before_duration): (String, String),
    ) -> Result<X509, Error> {
        let (issuer, root) = root;
        check(by)?;
        let what = format!("have {} cross-signed at {}", issuer.issuer_id, self.mount);
        let request = Named { is: subject, exclude_cn_from_sans: true, key_ref: Some(&issuer.key_id) };
        let path = format!("{}/intermediate/cross-sign", self.mount);
        let csr = text(client.write(&path, &request, &what)?.without_warnings(is_about_urls)?, "csr", &what)?;
        let key_id = root.facts().subject_key_id.as_deref().unwrap_or_default();
        let order = json!({
            "csr": csr,
            "use_csr_values": true,
            "skid": key_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "not_after": not_after,
            "not_before_duration": not_before_duration,
            "format": "pem",
        });
        let path = format!("{}/issuer/{by}/sign-intermediate", self.mount);
        let answer = client.write(&path, &order, &what)?.without_warnings(is_about_urls)?;
        let pem = text(answer, "certificate", &what)?;
        let mut all = X509::all_from_pem(pem.as_bytes(), MAX_PEM).map_err(|_| unusable(&what))?;
        if all.len() == 1 { Ok(all.remove(0)) } else { Err(unusable(&what)) }
    }

    /// Changes what an issuer may be used for, and its name where one is given.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn change_issuer(
        &self,
        client: &Client,
        id: &str,
        usage: &str,
        name: Option<&str>,
    ) -> Result<(), Error> {
        check(id)?;
        let what = format!("change the issuer {id} at {}", self.mount);
        let body = match name {
            Some(name) => json!({ "usage": usage, "issuer_name": name }),
            None => json!({ "usage": usage }),
        };
        let answer = client.patch(&format!("{}/issuer/{id}", self.mount), &body, &what)?;
        answer.without_warnings(|_| false).map(drop)
    }

    /// Makes a role have its certificates signed by this issuer; nothing else of it changes.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn set_issuer_of_role(&self, client: &Client, role: &str, issuer: &str) -> Result<(), Error> {
        let what = format!("change the issuer of the role {role} at {}", self.mount);
        let body = json!({ "issuer_ref": issuer });
        let answer = client.patch(&format!("{}/roles/{role}", self.mount), &body, &what)?;
        answer.without_warnings(|_| false).map(drop)
    }
}

fn text(answer: Answer, name: &str, what: &str) -> Result<String, Error> {
    let mut data: serde_json::Map<String, serde_json::Value> = answer.data(what)?;
    match data.remove(name) {
        Some(serde_json::Value::String(text)) if text.len() <= MAX_PEM => Ok(text),
        _ => Err(unusable(what)),
    }
}

fn unusable(what: &str) -> Error {
    Error::Answer { what: what.to_owned(), why: "it is not what the API documents" }
}
