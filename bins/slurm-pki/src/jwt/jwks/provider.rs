//! One question to an identity provider: TLS against known roots, redirects to https alone, a bounded answer, one deadline
//! over all of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pki::jwk::{MAX_LIST, sift};
use pki::x509::X509;
use rustls::CertificateError;
use site::file::{self, Keep};
use ureq::http::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use ureq::http::{Request, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy};

use crate::advice::{Advice, Advise as _};

/// From the first packet to the last byte, redirects included.
const DEADLINE: Duration = Duration::from_secs(20);

const MAX_HEADERS: usize = 32 * 1024;

/// Longest ETag that is kept.
const MAX_VALIDATOR: usize = 1024;

const MAX_REDIRECTS: usize = 3;

/// Longest CA file: the bundles of distributions have some 220 KB.
const MAX_CA: usize = 4 * 1024 * 1024;

/// Servers whose keys sign the tokens of everybody who has an account there, whatever organisation it is of.
const SHARED: [&str; 8] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.windows.net",
    "www.googleapis.com",
    "appleid.apple.com",
    "gitlab.com",
    "token.actions.githubusercontent.com",
];

/// What came, where something did.
pub(super) struct Answer {
    /// The list; `None`: the one that is known still counts (RFC 9110 §15.4.5).
    pub(super) list: Option<Vec<u8>>,
    pub(super) validators: Validators,
}

/// What the provider knows its list by.
#[derive(Clone, Debug, Default)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// A place on the web that may be asked.
///
/// # Errors
/// When it is none with https.
pub(super) fn url(text: &str) -> anyhow::Result<Uri> {
    let uri: Option<Uri> = text.parse().ok();
    let uri = uri.filter(|uri: &Uri| {
        let authority = uri.authority().map(ureq::http::uri::Authority::as_str);
        uri.scheme_str() == Some("https") && authority.is_some_and(|authority| !authority.contains('@'))
    });
    uri.ok_or_else(|| {
        Advice::new(
            format!("{text:?} is no address with https"),
            "give the jwks_uri that the provider's /.well-known/openid-configuration names; keys that came without TLS \
             could be anybody's",
        )
        .into()
    })
}

/// Slurm looks neither at iss nor at aud: whoever gets the provider to sign a claim of their choice is whoever they like on
/// the cluster. Keys of one application alone (Entra ID gives them for `appid=`) are not shared.
///
/// # Errors
/// When the keys are known to sign for others than this site.
pub(super) fn refuse_shared(url: &Uri) -> anyhow::Result<()> {
    let host = url.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    if !SHARED.contains(&host.as_str()) || is_of_one_application(url) {
        return Ok(());
    }
    Err(Advice::new(
        format!(
            "{host} signs the tokens of all organisations with the same keys, and Slurm looks neither at iss nor at aud: \
             anybody with an account there could issue one for root"
        ),
        "put a proxy before slurmrestd that checks the provider's tokens, and give Slurm tokens of your own; or fetch the \
         keys of your application alone (Entra ID: appid=ID in the address, with a signing key of its own). --shared-keys, \
         if it is meant all the same",
    )
    .into())
}

fn is_of_one_application(url: &Uri) -> bool {
    url.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("appid=")))
}

/// The kids that an application's list has in common with everybody's: an application without a key of its own is given
/// those. None where the address is not of one application.
///
/// # Errors
/// When everybody's list cannot be had.
pub(super) fn shared_kids(url: &Uri, ca: Option<&Path>) -> anyhow::Result<Vec<String>> {
    if !is_of_one_application(url) {
        return Ok(Vec::new());
    }
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    let everybodys: Uri = format!("https://{authority}{}", url.path())
        .parse()
        .map_err(|_| trouble(url, "it is no address without its query"))?;
    let list = ask(&everybodys, ca, &Validators::default())?.list.unwrap_or_default();
    let sifted = sift(&list).map_err(|e| trouble(&everybodys, &e.to_string()))?;
    Ok(sifted.keys.iter().map(|key| key.kid().to_owned()).collect())
}

/// Asks for the list.
///
/// # Errors
/// When there is no answer in time, or none that counts.
pub(super) fn ask(url: &Uri, ca: Option<&Path>, known: &Validators) -> anyhow::Result<Answer> {
    let agent = agent(ca)?;
    let deadline = Instant::now() + DEADLINE;
    let mut at = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        let left = left.ok_or_else(|| trouble(&at, &too_slow()))?;
        let mut response = exchange(&agent, &at, known, left)?;
        match response.status().as_u16() {
            200 => {
                let validators = Validators::of(response.headers());
                let list = body(&at, &mut response)?;
                return Ok(Answer { list: Some(list), validators });
            }
            // To a question without conditions it is no answer.
            304 if known.etag.is_some() || known.last_modified.is_some() => {
                return Ok(Answer { list: None, validators: known.clone() });
            }
            301 | 302 | 303 | 307 | 308 => at = redirected(&at, response.headers())?,
            status => return Err(trouble(&at, &format!("it answered with status {status}"))),
        }
    }
    Err(trouble(url, "it sends us in a circle"))
}

fn agent(ca: Option<&Path>) -> anyhow::Result<Agent> {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots(ca)?)))
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(true)
        // Followed here, where each step is looked at.
        .max_redirects(0)
        // Sites without a way out of their own name one in the environment; TLS goes through it unopened.
        .proxy(Proxy::try_from_env())
        .user_agent("slurm-pki")
        .max_response_header_size(MAX_HEADERS)
        .tls_config(tls)
        .build();
    Ok(Agent::new_with_config(config))
}

/// The site's own CA alone, or else what the system trusts.
fn roots(ca: Option<&Path>) -> anyhow::Result<Vec<Certificate<'static>>> {
    if let Some(path) = ca {
        let text = file::read(path, Keep::Intact, MAX_CA).advise()?;
        let all = X509::all_from_pem(text.expose(), MAX_CA).map_err(|e| {
            Advice::new(
                format!("{}: {e}", path.display()),
                "give the certificate of the CA that issued the server's",
            )
        })?;
        return Ok(all.iter().map(|one| Certificate::from_der(one.der()).to_owned()).collect());
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Advice::new(
            "this system trusts no CA",
            "install its package ca-certificates, or name the CA's file: jwks_ca in [keys], or --ca",
        )
        .into());
    }
    Ok(found.certs.iter().map(|one| Certificate::from_der(one).to_owned()).collect())
}

fn exchange(agent: &Agent, at: &Uri, known: &Validators, left: Duration) -> anyhow::Result<Response<Body>> {
    let mut request = Request::get(at.clone()).header("Accept", "application/jwk-set+json, application/json");
    for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
        if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
            request = request.header(name, value);
        }
    }
    let request = request.body(()).map_err(|_| trouble(at, "it is no address"))?;
    let request = agent.configure_request(request).timeout_global(Some(left)).build();
    agent.run(request).map_err(|e| trouble(at, &reason(&e)))
}

fn body(at: &Uri, response: &mut Response<Body>) -> anyhow::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_LIST).unwrap_or(u64::MAX);
    response.body_mut().with_config().limit(limit).read_to_vec().map_err(|e| trouble(at, &reason(&e)))
}

/// Where it sends us: an absolute address, or a path on the same server.
fn redirected(at: &Uri, headers: &HeaderMap) -> anyhow::Result<Uri> {
    let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
    if to.starts_with('/') && !to.starts_with("//") {
        let authority = at.authority().map(ToString::to_string).unwrap_or_default();
        return url(&format!("https://{authority}{to}"));
    }
    url(to).map_err(|_| trouble(at, &format!("it sends us to {to:?}, which is not https")))
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let get = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (value.len() <= MAX_VALIDATOR).then(|| value.to_owned())
        };
        Self { etag: get(ETAG), last_modified: get(LAST_MODIFIED) }
    }
}

fn too_slow() -> String {
    format!("it was not done within {} seconds", DEADLINE.as_secs())
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => too_slow(),
        ureq::Error::BodyExceedsLimit(_) => format!("its answer is longer than {MAX_LIST} bytes"),
        ureq::Error::HostNotFound => "there is no such host".into(),
        ureq::Error::ConnectionFailed => "no connection".into(),
        ureq::Error::Rustls(e) => tls_reason(e),
        ureq::Error::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(e) => tls_reason(e),
            None if e.kind() == std::io::ErrorKind::TimedOut => too_slow(),
            None if e.kind() == std::io::ErrorKind::UnexpectedEof => "its answer was cut off".into(),
            None => plain(e),
        },
        ureq::Error::Protocol(_) => "its answer is no HTTP, or was cut off".into(),
        ureq::Error::LargeResponseHeader(..) => "the header of its answer is too long".into(),
        ureq::Error::InvalidProxyUrl => "the proxy in the environment (HTTPS_PROXY) is no address".into(),
        _ => "the exchange failed".into(),
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidMessage(_) => "it does not speak TLS there".into(),
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            "its certificate is by a CA that is not trusted here (jwks_ca in [keys], or --ca, names one)"
                .into()
        }
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "its certificate is for another name".into()
        }
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "its certificate has ended".into()
        }
        other => format!("TLS: {other}"),
    }
}

/// What the kernel said, without Rust's "(os error 111)".
fn plain(source: &std::io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn trouble(at: &Uri, why: &str) -> anyhow::Error {
    let at = format!("{}{}", at.authority().map(ToString::to_string).unwrap_or_default(), at.path());
    Advice::new(
        format!("no keys came from {at}: {why}"),
        "the keys that are here stay and count; see that this host reaches the provider, and run it again",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_asked() {
        for good in ["https://sso.example.org/certs", "https://[::1]:8443/k?x=1"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://127.0.0.1/",
            "https://u:p@h/",
            "file:///etc/x",
            "sso.example.org/certs",
            "",
            "/certs",
            "https://",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_sign_for_everybody_are_refused() {
        let is_refused = |text: &str| refuse_shared(&url(text).unwrap()).is_err();
        assert!(is_refused("https://login.microsoftonline.com/common/discovery/v2.0/keys"));
        assert!(is_refused("https://LOGIN.microsoftonline.com:443/f6c2/discovery/v2.0/keys?x=appid=1"));
        assert!(!is_refused("https://login.microsoftonline.com/f6c2/discovery/keys?appid=6731"));
        assert!(!is_refused("https://sso.example.org/realms/hpc/protocol/openid-connect/certs"));
        assert!(!is_refused("https://cognito-idp.eu-central-1.amazonaws.com/p/.well-known/jwks.json"));
    }

    #[test]
    fn a_redirect_stays_with_https() {
        let at = url("https://h:8443/a").unwrap();
        let to = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
            redirected(&at, &headers).map(|uri| uri.to_string())
        };
        assert_eq!(to("/b?c").unwrap(), "https://h:8443/b?c");
        assert_eq!(to("https://i/b").unwrap(), "https://i/b");
        for bad in ["http://h/b", "//i/b", "b", "", "ftp://h"] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }
}
