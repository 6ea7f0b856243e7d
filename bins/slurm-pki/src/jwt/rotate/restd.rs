//! slurmrestd, asked with a token: what it passes on, slurmctld or slurmdbd judges (slurm-contract.md 6).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM};
use pki::secret::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use site::file::{self, Keep};
use ureq::Agent;
use ureq::http::header::HeaderValue;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;

use super::proof::Judge;
use super::unix_socket::UnixSocket;
use crate::advice::{Advice, Advise as _};

/// The description of four versions of the interface is a megabyte.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// How long one question may take: slurmctld may be asked for MessageTimeout.
const ONE_ANSWER: Duration = Duration::from_secs(30);

/// As much of an answer as a person wants to read.
const MAX_SHOWN: usize = 200;

/// A slurmrestd.
pub(super) struct Restd {
    agent: Agent,
    /// What every URL begins with.
    base: String,
    /// `v0.0.45`, once it was asked.
    version: String,
}

impl fmt::Debug for Restd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restd({})", self.base)
    }
}

impl Restd {
    /// Goes to `url`, from host to host over TLS with a certificate below one of `ca`, and finds the newest version of its interface that has
    /// what is asked; `token` has to count.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn of(url: &str, ca: &Path, token: &Secret, with_dbd: bool) -> anyhow::Result<Self> {
        let place = Place::of(url).ok_or_else(|| {
            Advice::new(
                format!("restd_url = {url}: a token that counts would go over the network unencrypted"),
                "name slurmrestd's socket on this host by unix:/PATH, its port by http://127.0.0.1:PORT, or https://HOST",
            )
        })?;
        let agent = agent(&place, ca)?;
        let base = if matches!(place, Place::Socket(_)) { ANY_HOST } else { url.trim_end_matches('/') };
        let mut restd = Self { agent, base: base.to_owned(), version: String::new() };
        restd.version = restd.newest(token, with_dbd).map_err(|why| {
            Advice::new(
                format!("slurmrestd at {url} cannot be asked: {why}"),
                "see restd_url in [keys], and that it runs with -a rest_auth/jwt",
            )
        })?;
        Ok(restd)
    }

    fn newest(&self, token: &Secret, with_dbd: bool) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Description {
            paths: BTreeMap<String, IgnoredAny>,
        }
        let (status, body) = self.get("/openapi/v3", token)?;
        if status != 200 {
            return Err(format!("it answers {status} to /openapi/v3: {}", shown(&body)));
        }
        let description: Description =
            serde_json::from_slice(&body).map_err(|e| format!("/openapi/v3 is no description: {e}"))?;
        let known = |path: &str| description.paths.keys().any(|known| known.trim_end_matches('/') == path);
        let versions = description.paths.keys().filter_map(|path| version(path));
        let usable = versions.filter(|version| {
            known(&format!("/slurm/{version}/diag"))
                && (!with_dbd || known(&format!("/slurmdb/{version}/clusters")))
        });
        let newest = usable.max_by_key(|version| numbers(version));
        newest.map(str::to_owned).ok_or_else(|| {
            let what = if with_dbd { "/slurm/…/diag and /slurmdb/…/clusters" } else { "/slurm/…/diag" };
            format!("no version of its interface has {what}")
        })
    }

    /// Asks something that needs a token which counts.
    ///
    /// # Errors
    /// What it answers otherwise.
    pub(super) fn ask(&self, judge: Judge, token: &Secret) -> Result<(), String> {
        let path = match judge {
            Judge::Slurmctld => format!("/slurm/{}/diag/", self.version),
            Judge::Slurmdbd => format!("/slurmdb/{}/clusters/", self.version),
        };
        match self.get(&path, token)? {
            (200, body) => no_errors(&body),
            (status, body) => Err(format!("slurmrestd answers {status}: {}", shown(&body))),
        }
    }

    fn get(&self, path: &str, token: &Secret) -> Result<(u16, Vec<u8>), String> {
        let mut header = HeaderValue::from_bytes(token.expose()).map_err(|e| e.to_string())?;
        header.set_sensitive(true);
        let asked =
            self.agent.get(format!("{}{path}", self.base)).header("X-SLURM-USER-TOKEN", header).call();
        let mut response = asked.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        reader.take(MAX_ANSWER).read_to_end(&mut body).map_err(|e| e.to_string())?;
        Ok((status, body))
    }
}

/// What a URL names when the connection is there already.
const ANY_HOST: &str = "http://127.0.0.1";

/// Where a token may go.
enum Place {
    /// A unix socket.
    Socket(PathBuf),
    /// A port of this host's loopback.
    Port,
    /// A host that shows a certificate.
    Host,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|own| {
            url.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        match url.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Self::Socket(path.into())),
            None if loopback => Some(Self::Port),
            None => url.starts_with("https://").then_some(Self::Host),
        }
    }
}

fn agent(place: &Place, ca: &Path) -> anyhow::Result<Agent> {
    let tls = if matches!(place, Place::Host) { trusting(ca)? } else { TlsConfig::builder().build() };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // A proxy would come from the environment, and see the token.
        .proxy(None)
        .max_redirects(0)
        .timeout_global(Some(ONE_ANSWER))
        .user_agent("slurm-pki")
        .tls_config(tls)
        .build();
    Ok(match place {
        Place::Socket(path) => {
            Agent::with_parts(config, UnixSocket(path.clone()), DefaultResolver::default())
        }
        Place::Port | Place::Host => Agent::new_with_config(config),
    })
}

/// An answer of 200 may still say that the daemon behind refused.
fn no_errors(body: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<serde_json::Value>,
    }
    let answer: Answer =
        serde_json::from_slice(body).map_err(|e| format!("slurmrestd's answer is odd: {e}"))?;
    if answer.errors.is_empty() { Ok(()) } else { Err(format!("slurmrestd answers: {}", shown(body))) }
}

/// `v0.0.45` of `/slurm/v0.0.45/diag/`.
fn version(path: &str) -> Option<&str> {
    let version = path.strip_prefix("/slurm/")?.split('/').next()?;
    (!numbers(version).is_empty()).then_some(version)
}

fn numbers(version: &str) -> Vec<u32> {
    let numbers = version.strip_prefix('v').map(|rest| rest.split('.').map(str::parse).collect());
    numbers.and_then(Result::ok).unwrap_or_default()
}

fn trusting(ca: &Path) -> anyhow::Result<TlsConfig> {
    let pem = file::read(ca, Keep::Intact, MAX_BUNDLE_PEM).advise()?;
    let anchors = loads_in_s2n::trust_bundle(pem.expose()).map_err(|e| {
        Advice::new(
            format!("{}: {e}", ca.display()),
            "name the CA of slurmrestd's certificate: --restd-ca FILE",
        )
    })?;
    let anchors: Vec<_> = anchors.iter().map(|one| Certificate::from_der(one.der()).to_owned()).collect();
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(anchors)))
        .build())
}

/// What it says is wrong, in one line.
fn shown(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<Fault>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fault {
        error: String,
        description: String,
    }
    let faults = serde_json::from_slice::<Answer>(body).map(|answer| answer.errors).unwrap_or_default();
    let words = |fault: &Fault| [fault.description.as_str(), &fault.error].join(": ");
    let said = match faults.as_slice() {
        [] => String::from_utf8_lossy(body).lines().next().unwrap_or_default().to_owned(),
        all => all.iter().map(words).collect::<Vec<_>>().join("; "),
    };
    crate::report::printable(&said).chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_one_of_the_highest_numbers() {
        let paths =
            ["/slurm/v0.0.9/diag/", "/slurm/v0.0.45/diag/", "/slurm/diag", "/slurmdb/v0.0.46/clusters/"];
        let newest = paths.iter().filter_map(|path| version(path)).max_by_key(|version| numbers(version));
        assert_eq!(newest, Some("v0.0.45"));
    }

    #[test]
    fn an_answer_with_errors_is_a_refusal_and_told_in_its_words() {
        assert!(no_errors(br#"{"errors":[],"warnings":[]}"#).is_ok());
        let refused = br#"{"errors":[{"description":"failed","error_number":1007,"error":"Protocol authentication error"}]}"#;
        let why = no_errors(refused).unwrap_err();
        assert!(why.contains("failed: Protocol authentication error"), "{why}");
        assert!(no_errors(b"<html>").is_err());
        assert_eq!(shown(b"Authentication failure\nx"), "Authentication failure");
    }
}
