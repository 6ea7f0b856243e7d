//! Logins, and what a token says of itself.

use std::time::Duration;

use pki::secret::Secret;
use serde::{Deserialize, Serialize};
use ureq::http::Method;

use crate::answer::{Answer, Lifetime};
use crate::client::{Client, Login, to_json};
use crate::error::Error;

/// Gets a token, where the login is one that takes it.
pub(crate) fn login(client: &Client, login: &Login) -> Result<Option<(Secret, Lifetime)>, Error> {
    match login {
        Login::Token(_) | Login::Nobody => Ok(None),
        Login::AppRole { mount, role_id, secret_id } => {
            #[derive(Serialize)]
            struct Ids<'a> {
                role_id: &'a str,
                secret_id: &'a str,
            }
            let ids = Ids { role_id: text(role_id)?, secret_id: text(secret_id)? };
            let answer = log_in(client, &format!("auth/{mount}/login"), &ids, "AppRole");
            answer.map(Some).map_err(|e| e.without(Some(secret_id)).without(Some(role_id)))
        }
        Login::Certificate { mount, role } => {
            #[derive(Serialize)]
            struct Name<'a> {
                #[serde(skip_serializing_if = "Option::is_none")]
                name: Option<&'a str>,
            }
            let name = Name { name: role.as_deref() };
            log_in(client, &format!("auth/{mount}/login"), &name, "certificate").map(Some)
        }
    }
}

fn log_in(
    client: &Client,
    path: &str,
    body: &impl Serialize,
    method: &'static str,
) -> Result<(Secret, Lifetime), Error> {
    let what = format!("log in by {method}");
    let answer = client.ask_openly(Method::POST, path, Some(&to_json(body, &what)?), &what);
    answer
        .map_err(|e| match e {
            Error::Refused { said, .. } => Error::Login { method, said },
            Error::Denied { .. } => Error::Login { method, said: String::new() },
            other => other,
        })?
        .into_token(&what)
}

fn text(secret: &Secret) -> Result<&str, Error> {
    let text =
        std::str::from_utf8(secret.expose()).map_err(|_| Error::Unusable { what: "a role or secret id" })?;
    Ok(text)
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// What it may do.
    pub policies: Vec<String>,
    /// How long it still lasts; zero: without end.
    pub ttl: Duration,
    /// Whether it can be made longer.
    pub renewable: bool,
    /// After which no renewal helps, counted from its making; zero: the mount's own limit, or none.
    pub explicit_max_ttl: Duration,
    /// Set for a periodic token, which can be renewed for ever.
    pub period: Duration,
    /// The `ttl` at its making.
    pub creation_ttl: Duration,
    /// When it was made, unix seconds.
    pub creation_time: i64,
    /// How many more times it can be used; zero: without limit.
    pub num_uses: u64,
}

/// What our token says of itself.
///
/// # Errors
/// Whatever went wrong.
pub fn lookup_self(client: &Client) -> Result<TokenFacts, Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Data {
        policies: Option<Vec<String>>,
        identity_policies: Option<Vec<String>>,
        ttl: u64,
        renewable: Option<bool>,
        explicit_max_ttl: Option<u64>,
        period: Option<u64>,
        creation_ttl: u64,
        creation_time: i64,
        num_uses: u64,
    }
    let what = "look its own token up";
    let data: Data = client.read("auth/token/lookup-self", what)?.data(what)?;
    let mut policies = data.policies.unwrap_or_default();
    policies.extend(data.identity_policies.unwrap_or_default());
    Ok(TokenFacts {
        policies,
        ttl: Duration::from_secs(data.ttl),
        renewable: data.renewable.unwrap_or(false),
        explicit_max_ttl: Duration::from_secs(data.explicit_max_ttl.unwrap_or(0)),
        period: Duration::from_secs(data.period.unwrap_or(0)),
        creation_ttl: Duration::from_secs(data.creation_ttl),
        creation_time: data.creation_time,
        num_uses: data.num_uses,
    })
}

/// Makes our token last longer. Near the end of what it can have, Vault gives less than is asked, with a warning: the
/// answer says how long it lasts now and what Vault said.
///
/// # Errors
/// When it cannot be renewed.
pub fn renew_self(client: &Client) -> Result<(Lifetime, Vec<String>), Error> {
    let what = "renew its own token";
    let answer: Answer = client.write("auth/token/renew-self", &serde_json::json!({}), what)?;
    let warnings = answer.warnings().iter().map(|warning| crate::answer::said(warning)).collect();
    let lifetime = answer.lifetime();
    let lifetime = lifetime.ok_or_else(|| Error::Answer { what: what.into(), why: "it holds no token" })?;
    Ok((lifetime, warnings))
}
