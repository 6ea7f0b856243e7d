//! What Vault's answers have in common: data, warnings, errors, and what a status means.

use std::time::Duration;

use pki::secret::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{CUT_OFF, Error};
use crate::transport::Came;

/// A successful answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    data: Value,
    auth: Option<Auth>,
    warnings: Option<Vec<String>>,
}

/// What a login or a renewal gives.
#[derive(Deserialize)]
pub(crate) struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth(.., {} s)", self.lease_duration)
    }
}

/// How long a token lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// From now on; zero: without end.
    pub ttl: Duration,
    /// Whether it can be made longer.
    pub renewable: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    /// Null where nothing is to be said.
    errors: Option<Vec<String>>,
}

impl Answer {
    /// The data as a type.
    ///
    /// # Errors
    /// When they are not what the API documents.
    pub fn data<T: DeserializeOwned>(self, what: &str) -> Result<T, Error> {
        serde_json::from_value(self.data)
            .map_err(|_| Error::Answer { what: what.to_owned(), why: "it is not what the API documents" })
    }

    /// The warnings that came along.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.warnings.as_deref().unwrap_or_default()
    }

    /// The same, if a secret of ours is repeated in a warning.
    pub(crate) fn without(mut self, secret: Option<&Secret>) -> Self {
        for warning in self.warnings.iter_mut().flatten() {
            if let Some(secret) = secret {
                *warning = crate::error::clean(warning, secret);
            }
        }
        self
    }

    /// A warning is an error: Vault did something else than it was asked. `harmless` says which are not.
    ///
    /// # Errors
    /// The warnings that are left.
    pub fn without_warnings(self, harmless: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let bad: Vec<_> =
            self.warnings().iter().filter(|warning| !harmless(warning)).map(|w| said(w)).collect();
        match bad.iter().find(|warning| warning.contains("TTL") || warning.contains("max_ttl")) {
            Some(capped) => Err(Error::Capped { said: capped.clone() }),
            None if bad.is_empty() => Ok(self),
            None => Err(Error::Warned { said: bad.join("; ") }),
        }
    }

    /// The token of a login, and how long it lasts.
    pub(crate) fn into_token(self, what: &str) -> Result<(Secret, Lifetime), Error> {
        let auth = self.auth.filter(|auth| !auth.client_token.is_empty());
        let auth = auth.ok_or_else(|| Error::Answer { what: what.to_owned(), why: "it holds no token" })?;
        let lifetime = Lifetime { ttl: Duration::from_secs(auth.lease_duration), renewable: auth.renewable };
        Ok((Secret::new(auth.client_token.into_bytes()), lifetime))
    }

    /// How long the token of this answer lasts.
    pub(crate) fn lifetime(&self) -> Option<Lifetime> {
        let auth = self.auth.as_ref()?;
        Some(Lifetime { ttl: Duration::from_secs(auth.lease_duration), renewable: auth.renewable })
    }
}

/// What came, by the rules of the API: 200 and 204 are success, everything else has a list of errors.
pub(crate) fn judge(came: &Came, what: &str) -> Result<Answer, Error> {
    let body = came.body.expose();
    match came.status {
        204 => Ok(Answer::default()),
        200..=299 if body.is_empty() => Ok(Answer::default()),
        200..=299 => serde_json::from_slice(body).map_err(|e| Error::Answer {
            what: what.to_owned(),
            why: if e.is_eof() { CUT_OFF } else { "it is not JSON" },
        }),
        status => Err(failure(status, body, what)),
    }
}

fn failure(status: u16, body: &[u8], what: &str) -> Error {
    let what = what.to_owned();
    let parsed: Option<Failure> = serde_json::from_slice(body).ok();
    let is_vault = parsed.is_some();
    let errors = parsed.and_then(|failure| failure.errors).unwrap_or_default();
    let text = said(&errors.join("; "));
    let speaks_of = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match status {
        400 if !is_vault && body.starts_with(b"Client sent an HTTP request to an HTTPS server") => {
            Error::Answer { what, why: "the server wants https://" }
        }
        400 | 404 if speaks_of(&["no handler for route", "unsupported path"]) => Error::NoMount { what },
        400 | 404 if speaks_of(&["unknown role"]) => Error::NoRole { what },
        403 => Error::Denied { what },
        404 if is_vault => Error::NotFound { what },
        429 => Error::TooMany { wait: None },
        503 if speaks_of(&["sealed"]) => Error::Sealed,
        501 if speaks_of(&["not initialized"]) => Error::Uninitialised,
        500 | 503 if speaks_of(&["active cluster node not found", "no active", "standby"]) => Error::Standby,
        500.. => Error::Server { status, said: text },
        _ if !is_vault => Error::Answer { what, why: "it is not Vault's" },
        _ => Error::Refused { what, status, said: text },
    }
}

/// Longest stretch of Vault's words in one of our lines.
const MAX_SAID: usize = 240;

/// Vault's words on one line, escaped and cut; its lists of errors come with line breaks, tabs and stars.
pub(crate) fn said(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().filter(|word| *word != "*").collect();
    let escape = |c: char| {
        if c.is_ascii_graphic() || c == ' ' { c.to_string() } else { c.escape_default().to_string() }
    };
    words.join(" ").chars().take(MAX_SAID).map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(status: u16, body: &str) -> Result<Answer, Error> {
        judge(&Came { status, body: Secret::new(body.as_bytes().to_vec()) }, "try it")
    }

    #[test]
    fn a_status_and_its_words_have_one_meaning() {
        let denied = "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}";
        assert!(matches!(came(403, denied), Err(Error::Denied { .. })));
        let sealed = came(503, "{\"errors\":[\"Vault is sealed\"]}");
        assert_eq!(sealed.unwrap_err(), Error::Sealed);
        let role = came(400, "{\"errors\":[\"unknown role: slurm\"]}");
        assert!(matches!(role, Err(Error::NoRole { .. })));
        let mount = "{\"errors\":[\"no handler for route \\\"pki/sign/x\\\". route entry not found.\"]}";
        assert!(matches!(came(404, mount), Err(Error::NoMount { .. })));
        assert!(matches!(came(404, "{\"errors\":[]}"), Err(Error::NotFound { .. })));
        assert!(matches!(came(404, "{\"errors\":null}"), Err(Error::NotFound { .. })));
        assert!(matches!(came(404, "<html>not found</html>"), Err(Error::Answer { .. })));
        assert!(matches!(came(200, "<html>"), Err(Error::Answer { why: "it is not JSON", .. })));
        assert!(matches!(came(200, "{\"data\":{\"a\""), Err(Error::Answer { why: CUT_OFF, .. })));
        assert!(matches!(came(429, ""), Err(Error::TooMany { .. })));
        assert!(matches!(came(502, "bad gateway"), Err(Error::Server { status: 502, .. })));
    }

    #[test]
    fn warnings_are_errors_and_a_shortened_life_is_told_apart() {
        let warned = |text: &str| {
            came(200, &format!("{{\"data\":{{}},\"warnings\":[\"{text}\"]}}"))
                .unwrap()
                .without_warnings(|warning| warning.contains("harmless"))
        };
        let capped = "TTL is longer than permitted maxTTL, so maxTTL is being used";
        assert!(matches!(warned(capped), Err(Error::Capped { .. })));
        assert!(matches!(warned("something else"), Err(Error::Warned { .. })));
        assert!(warned("harmless").is_ok());
        assert!(came(200, "{\"data\":{},\"warnings\":null}").unwrap().without_warnings(|_| false).is_ok());
    }

    #[test]
    fn vaults_words_come_on_one_line_without_control_characters() {
        assert_eq!(
            said("1 error occurred:\n\t* permission denied\n\n"),
            "1 error occurred: permission denied"
        );
        assert_eq!(said("a\u{1b}[2J\u{202e}"), "a\\u{1b}[2J\\u{202e}");
        assert!(said(&"x".repeat(5000)).len() <= MAX_SAID);
    }

    #[test]
    fn debug_shows_no_token() {
        let answer = came(200, "{\"auth\":{\"client_token\":\"hvs.SECRET\",\"lease_duration\":60}}").unwrap();
        assert!(!format!("{answer:?}").contains("SECRET"));
    }
}
