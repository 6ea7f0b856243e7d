//! One HTTP exchange, and the tries it takes: TLS against one CA, redirects to the active server, a bounded answer, one
//! deadline over all of it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::key::PrivateKey;
use pki::secret::Secret;
use pki::x509::X509;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::{AlertDescription, CertificateError};
use ureq::Agent;
use ureq::http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use ureq::http::{Method, Request, Response, Uri};
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig};

use crate::address::Address;
use crate::error::{CUT_OFF, Error};

/// Longest answer that is read: a list of some ten thousand names.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

const MAX_HEADERS: usize = 32 * 1024;

/// RFC 7396; Vault takes a PATCH in no other form.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// How often one request is tried.
const TRIES: u32 = 4;

/// How often one try is sent on: from a standby to the active server, and once more while they change places.
const MAX_REDIRECTS: usize = 3;

/// Between the first two tries; twice that between the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A server, and how it is known to be the right one.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The namespace that all paths are in.
    pub namespace: Option<String>,
    /// Whose certificates its listener may show.
    pub ca: Vec<X509>,
    /// Our own certificate, for the listener or for a login.
    pub identity: Option<Identity>,
}

/// A certificate of ours with its chain, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<X509>,
    /// PEM of its private key.
    pub key: Secret,
}

/// What is asked of the server.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Below `/v1/`, with the query.
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a Secret>,
    pub(crate) body: Option<&'a Secret>,
    /// In words, after "asked to".
    pub(crate) what: &'a str,
    /// Whether it is asked outside the namespace that all else is in.
    pub(crate) at_root: bool,
    /// Whether it makes something new each time it is asked: after an answer that was lost it is not asked again.
    pub(crate) makes_another: bool,
}

/// What came back, whatever the status.
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) body: Secret,
}

/// A way to the server.
pub(crate) struct Transport {
    agent: Agent,
    address: Address,
    namespace: Option<HeaderValue>,
    deadline: Cell<Instant>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.address)
    }
}

impl Transport {
    pub(crate) fn new(server: &Server, deadline: Instant) -> Result<Self, Error> {
        let namespace = server.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| Error::Unusable { what: "the namespace" })?;
        if server.address.has_tls() && server.ca.is_empty() {
            return Err(Error::Unusable { what: "ca_cert" });
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy would come from the environment, and see where we go.
            .proxy(None)
            // Followed here, where the token's way is looked at.
            .max_redirects(0)
            .user_agent("slurm-pki")
            .max_response_header_size(MAX_HEADERS)
            .tls_config(tls(server)?)
            .build();
        Ok(Self {
            agent: Agent::new_with_config(config),
            address: server.address.clone(),
            namespace,
            deadline: Cell::new(deadline),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn give_until(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }

    /// Asks until there is an answer, trying again what may pass: a status of 429 or 5xx, no connection, an answer that
    /// was cut off. `judge` says what an answer means.
    pub(crate) fn ask<T>(&self, ask: &Ask<'_>, judge: impl Fn(Came) -> Result<T, Error>) -> Result<T, Error> {
        let mut last = None;
        for number in 1..=TRIES {
            let (result, wanted) = match self.once(ask) {
                Ok((came, wanted)) => (judge(came), wanted),
                Err(error) => (Err(error), None),
            };
            let error = match result {
                Err(Error::TimeOver { what, .. }) => {
                    return Err(Error::TimeOver { what, last: last.map(Box::new) });
                }
                Err(error) if error.may_pass() && !(ask.makes_another && error.may_be_done()) => error,
                done => return done,
            };
            let error =
                if let Error::TooMany { .. } = error { Error::TooMany { wait: wanted } } else { error };
            let pause = wanted.map_or_else(|| pause_after(number), Ok)?;
            if number == TRIES || self.left().is_none_or(|left| left <= pause) {
                return Err(error);
            }
            sleep(pause);
            last = Some(error);
        }
        Err(last.unwrap_or(Error::TimeOver { what: ask.what.to_owned(), last: None }))
    }

    fn left(&self) -> Option<Duration> {
        self.deadline.get().checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// One try, with its redirects; with the answer the rest that the server asks for.
    fn once(&self, ask: &Ask<'_>) -> Result<(Came, Option<Duration>), Error> {
        let mut address = self.address.clone();
        let mut path = format!("/v1/{}", ask.path);
        for _ in 0..=MAX_REDIRECTS {
            let mut response = self.exchange(ask, &address, &path)?;
            let status = response.status().as_u16();
            if !matches!(status, 307 | 308 | 301 | 302) {
                let wanted = rest(&response);
                return Ok((Came { status, body: self.body(ask, &address, &mut response)? }, wanted));
            }
            let to = location(&response).ok_or(Error::Redirect { why: "it does not say where" })?;
            address = self.address.redirected(&to).map_err(|why| Error::Redirect { why })?;
            path = to.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        }
        Err(Error::Redirect { why: "they go round in a circle" })
    }

    fn exchange(&self, ask: &Ask<'_>, address: &Address, path: &str) -> Result<Response<ureq::Body>, Error> {
        let unusable = |_| Error::Unusable { what: "the address" };
        let mut request = Request::builder().method(ask.method.clone()).uri(format!("{address}{path}"));
        // What vault itself sends with each request: a listener can demand it.
        request = request.header("X-Vault-Request", "true").header("Accept", "application/json");
        if let Some(namespace) = self.namespace.as_ref().filter(|_| !ask.at_root) {
            request = request.header("X-Vault-Namespace", namespace.clone());
        }
        if let Some(token) = ask.token {
            request = request.header("X-Vault-Token", sensitive(token)?);
        }
        let left = self.left().ok_or_else(|| over(ask))?;
        let answer = match ask.body {
            Some(body) => {
                let kind = if ask.method == Method::PATCH { MERGE_PATCH } else { "application/json" };
                let request = request.header("Content-Type", kind).body(body.expose());
                self.run(request.map_err(unusable)?, left)
            }
            None => self.run(request.body(()).map_err(unusable)?, left),
        };
        answer.map_err(|e| explain(e, ask, address))
    }

    fn run(
        &self,
        request: Request<impl ureq::AsSendBody>,
        left: Duration,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        self.agent.run(self.agent.configure_request(request).timeout_global(Some(left)).build())
    }

    fn body(
        &self,
        ask: &Ask<'_>,
        address: &Address,
        response: &mut Response<ureq::Body>,
    ) -> Result<Secret, Error> {
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        body.map(Secret::new).map_err(|e| match e {
            ureq::Error::BodyExceedsLimit(_) => answer(ask, "it is too long"),
            ureq::Error::Io(_) | ureq::Error::Protocol(_) => answer(ask, CUT_OFF),
            e => explain(e, ask, address),
        })
    }
}

fn tls(server: &Server) -> Result<TlsConfig, Error> {
    let ca: Vec<_> = server.ca.iter().map(|ca| Certificate::from_der(ca.der()).to_owned()).collect();
    let identity = server.identity.as_ref().map(client_certificate).transpose()?;
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(ca)))
        .client_cert(identity)
        .build())
}

/// The pair is judged here: what rustls cannot load would be a panic or a riddle later.
fn client_certificate(identity: &Identity) -> Result<ClientCert, Error> {
    let unusable = || Error::Unusable { what: "the pair in cert and key" };
    let key = PrivateKey::from_pem(identity.key.expose()).map_err(|_| unusable())?;
    let public = key.public().map_err(|_| unusable())?;
    if identity.chain.first().is_none_or(|leaf| leaf.facts().spki != public.spki()) {
        return Err(unusable());
    }
    let chain: Vec<_> =
        identity.chain.iter().map(|one| Certificate::from_der(one.der()).to_owned()).collect();
    let key = ureq::tls::PrivateKey::from_pem(key.to_pem().expose()).map_err(|_| unusable())?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// A header that no log shows.
fn sensitive(token: &Secret) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_bytes(token.expose()).map_err(|_| Error::Unusable { what: "the token" })?;
    value.set_sensitive(true);
    Ok(value)
}

fn location(response: &Response<ureq::Body>) -> Option<Uri> {
    response.headers().get(LOCATION)?.to_str().ok()?.parse().ok()
}

/// Retry-After in seconds; the other form, a date, is not used by Vault.
fn rest(response: &Response<ureq::Body>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// 100, 200, 400 ms, each between half and all of it, so that many who failed together do not come back together.
fn pause_after(number: u32) -> Result<Duration, Error> {
    let mut random = [0; 1];
    SystemRandom::new().fill(&mut random).map_err(|_| Error::Random)?;
    let [random] = random;
    let whole = FIRST_PAUSE * 2u32.pow(number.saturating_sub(1).min(8));
    Ok(whole / 2 + whole * u32::from(random) / 512)
}

fn answer(ask: &Ask<'_>, why: &'static str) -> Error {
    Error::Answer { what: ask.what.to_owned(), why }
}

fn over(ask: &Ask<'_>) -> Error {
    Error::TimeOver { what: ask.what.to_owned(), last: None }
}

fn explain(error: ureq::Error, ask: &Ask<'_>, address: &Address) -> Error {
    let at = address.to_string();
    match error {
        ureq::Error::Timeout(_) => over(ask),
        ureq::Error::Rustls(e) => explain_tls(&e, at),
        ureq::Error::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => explain_tls(tls, at),
            None if e.kind() == std::io::ErrorKind::TimedOut => over(ask),
            None => Error::Unreachable { address: at, why: plain(&e) },
        },
        ureq::Error::HostNotFound => Error::Unreachable { address: at, why: "no such host".into() },
        ureq::Error::Protocol(_) => answer(ask, "it is not HTTP"),
        ureq::Error::LargeResponseHeader(..) => answer(ask, "its header is too long"),
        ureq::Error::ConnectionFailed => Error::Unreachable { address: at, why: "no connection".into() },
        _ => Error::Unreachable { address: at, why: "the exchange failed".into() },
    }
}

fn explain_tls(error: &rustls::Error, address: String) -> Error {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidMessage(_) => Error::NoTls { address },
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => Error::OtherCa { address },
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => Error::CertificateDates { address },
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            Error::CertificateName { address }
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown,
        ) => Error::Tls { address, why: "it does not take our certificate (cert and key in [vault])".into() },
        other => Error::Tls { address, why: other.to_string() },
    }
}

/// What the kernel said, without Rust's "(os error 111)".
fn plain(source: &std::io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_never_stand_still() {
        for (number, most) in [(1, 100), (2, 200), (3, 400)] {
            for _ in 0..50 {
                let pause = pause_after(number).unwrap().as_millis();
                assert!((most / 2..=most).contains(&pause), "{number}: {pause}");
            }
        }
    }
}
