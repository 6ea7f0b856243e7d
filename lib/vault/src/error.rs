//! What can go wrong between here and a Vault: one fact each, and what to do. No token is ever in it.

use std::fmt;
use std::time::Duration;

use pki::explain::{Explain, shown};
use pki::secret::Secret;

/// Why Vault did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An address that is none.
    Address {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A mount, role or key that is no path.
    Path(String),
    /// The CA, client certificate, token or secret that was given cannot be used.
    Unusable {
        /// Which of them.
        what: &'static str,
    },
    /// Nobody answers there.
    Unreachable {
        /// Where.
        address: String,
        /// What the kernel or the resolver said.
        why: String,
    },
    /// Something answers, in plain text.
    NoTls {
        /// Where.
        address: String,
    },
    /// The server's certificate is of a CA other than the given one.
    OtherCa {
        /// Where.
        address: String,
    },
    /// The server's certificate is past its end, or before its beginning.
    CertificateDates {
        /// Where.
        address: String,
    },
    /// The server's certificate is for another name.
    CertificateName {
        /// Where.
        address: String,
    },
    /// The server's certificate, or the handshake, is wrong in some other way.
    Tls {
        /// Where.
        address: String,
        /// What rustls says.
        why: String,
    },
    /// The deadline passed.
    TimeOver {
        /// What was asked.
        what: String,
        /// What went wrong before, when something did.
        last: Option<Box<Self>>,
    },
    /// The server is there and sealed.
    Sealed,
    /// The server is there and was never initialised.
    Uninitialised,
    /// A standby that knows of no active server.
    Standby,
    /// The server asks to come back later than there is time.
    TooMany {
        /// Its Retry-After.
        wait: Option<Duration>,
    },
    /// A 5xx that did not go away.
    Server {
        /// The status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// A redirect that is not followed.
    Redirect {
        /// Why not.
        why: &'static str,
    },
    /// The token may not do this, or is no token any more: Vault says 403 to both.
    Denied {
        /// What was asked.
        what: String,
    },
    /// The login itself was refused.
    Login {
        /// Which method.
        method: &'static str,
        /// What Vault said.
        said: String,
    },
    /// No engine is mounted where it was looked for.
    NoMount {
        /// What was asked.
        what: String,
    },
    /// The engine knows no such role.
    NoRole {
        /// What was asked.
        what: String,
    },
    /// There is nothing at that path.
    NotFound {
        /// What was asked.
        what: String,
    },
    /// Another request that Vault did not take: its own words.
    Refused {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// What Vault said.
        said: String,
    },
    /// Vault shortened the life that was asked for.
    Capped {
        /// What Vault said.
        said: String,
    },
    /// Vault did something else than it was asked, and says so.
    Warned {
        /// What Vault said.
        said: String,
    },
    /// An answer that cannot be used: cut off, too long, not what the API documents.
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The kernel gives no random bytes.
    Random,
}

impl Error {
    /// Whether another try may end better.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Sealed
                | Self::Standby
                | Self::TooMany { .. }
                | Self::Server { .. }
                | Self::Answer { why: CUT_OFF, .. }
        )
    }

    /// Of those that may pass, the ones after which what was asked for may have been done all the same.
    pub(crate) fn may_be_done(&self) -> bool {
        !matches!(self, Self::Sealed | Self::Standby | Self::TooMany { .. })
    }

    /// Whether the token is not allowed to, or has ended.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// The same, if a secret of ours was in what the other side said: whatever answers there, a proxy with a page that
    /// repeats our headers too, our log is no place for it.
    pub(crate) fn without(self, secret: Option<&Secret>) -> Self {
        let Some(secret) = secret.filter(|secret| !secret.expose().is_empty()) else { return self };
        let clean = |said: String| clean(&said, secret);
        match self {
            Self::Server { status, said } => Self::Server { status, said: clean(said) },
            Self::Login { method, said } => Self::Login { method, said: clean(said) },
            Self::Refused { what, status, said } => Self::Refused { what, status, said: clean(said) },
            Self::Capped { said } => Self::Capped { said: clean(said) },
            Self::Warned { said } => Self::Warned { said: clean(said) },
            Self::TimeOver { what, last: Some(last) } => {
                Self::TimeOver { what, last: Some(Box::new(last.without(Some(secret)))) }
            }
            other => other,
        }
    }

    /// Whether there is simply nothing at the path that was asked for.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The connection ended in the middle of an answer.
pub(crate) const CUT_OFF: &str = "it was cut off";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { given, why } => {
                write!(f, "{} is no Vault address: {why}", shown(given.as_bytes()))
            }
            Self::Path(path) => write!(f, "{} is no path in Vault", shown(path.as_bytes())),
            Self::Unusable { what } => write!(f, "{what} for Vault cannot be used"),
            Self::Unreachable { address, why } => write!(f, "Vault at {address} does not answer: {why}"),
            Self::NoTls { address } => write!(f, "{address} answers without TLS"),
            Self::OtherCa { address } => {
                write!(f, "the certificate of Vault at {address} is not of the CA in [vault] ca_cert")
            }
            Self::CertificateDates { address } => {
                write!(f, "the certificate of Vault at {address} has expired, or its time has not begun")
            }
            Self::CertificateName { address } => {
                write!(f, "the certificate of Vault at {address} is for another name")
            }
            Self::Tls { address, why } => write!(f, "no TLS connection to Vault at {address}: {why}"),
            Self::TimeOver { what, last } => {
                write!(f, "Vault took too long to {what}")?;
                last.as_ref().map_or(Ok(()), |last| write!(f, "; before that: {last}"))
            }
            Self::Sealed => f.write_str("Vault is sealed"),
            Self::Uninitialised => f.write_str("Vault was never initialised"),
            Self::Standby => f.write_str("Vault here is a standby, and no server is active"),
            Self::TooMany { wait } => {
                f.write_str("Vault is asked too often")?;
                wait.map_or(Ok(()), |wait| write!(f, ": it wants {} s of rest", wait.as_secs()))
            }
            Self::Server { status, said } => write!(f, "Vault failed with status {status}{}", colon(said)),
            Self::Redirect { why } => {
                write!(f, "Vault sends us to another server, which is not followed: {why}")
            }
            Self::Denied { what } => {
                write!(f, "Vault does not allow this token to {what}, or the token has ended")
            }
            Self::Login { method, said } => write!(f, "Vault refuses the login by {method}{}", colon(said)),
            Self::NoMount { what } => write!(f, "Vault has no such engine: asked to {what}"),
            Self::NoRole { what } => write!(f, "Vault has no such role: asked to {what}"),
            Self::NotFound { what } => write!(f, "Vault has nothing there: asked to {what}"),
            Self::Refused { what, status, said } => {
                write!(f, "Vault refuses to {what} (status {status}){}", colon(said))
            }
            Self::Capped { said } => write!(f, "Vault shortened what was asked for{}", colon(said)),
            Self::Warned { said } => write!(f, "Vault did not do quite what it was asked{}", colon(said)),
            Self::Answer { what, why } => {
                write!(f, "Vault's answer when asked to {what} cannot be used: {why}")
            }
            Self::Random => f.write_str("no random bytes"),
        }
    }
}

/// What the other side said, where it repeats no secret, nor the beginning of one that the line was too short for.
pub(crate) fn clean(said: &str, secret: &Secret) -> String {
    const TELLING: usize = 12;
    let secret = String::from_utf8_lossy(secret.expose());
    let beginning: String = secret.chars().take(TELLING).collect();
    if said.contains(&beginning) { "(it repeats a secret of ours)".to_owned() } else { said.to_owned() }
}

fn colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl std::error::Error for Error {}

impl Explain for Error {
    fn hint(&self) -> String {
        match self {
            Self::Address { .. } => {
                "set address in [vault], like https://vault.example:8200; http only for 127.0.0.1".into()
            }
            Self::Path(_) => "see pki_mount, role, kv_mount and kv_path in [vault]".into(),
            Self::Unusable { .. } => "see the files named in [vault]".into(),
            Self::Unreachable { .. } => {
                "see that it runs and that address in [vault] is right: slurm-pki vault check".into()
            }
            Self::NoTls { .. } => "see address in [vault], and tls_disable in the server's listener".into(),
            Self::OtherCa { address } => format!(
                "if that is the right server, put the CA of its TLS listener into [vault] ca_cert; see it with: openssl \
                 s_client -connect {} -showcerts",
                address.trim_start_matches("https://")
            ),
            Self::CertificateDates { .. } => "renew the certificate of Vault's listener, or set this host's clock".into(),
            Self::CertificateName { .. } => {
                "use the name in the certificate as address in [vault], or give the listener a certificate with this one"
                    .into()
            }
            Self::Tls { .. } => "see the TLS settings of Vault's listener, and cert and key in [vault]".into(),
            Self::TimeOver { .. } => {
                "Slurm waits 5 s for a script; see the server's load, storage and network: slurm-pki vault check".into()
            }
            Self::Sealed => "unseal it: vault operator unseal; nodes keep their certificates until then".into(),
            Self::Uninitialised => "vault operator init, then slurm-pki vault setup".into(),
            Self::Standby => "see vault status and vault operator raft list-peers: a leader has to be elected".into(),
            Self::TooMany { .. } => "see the rate limit quotas: vault list sys/quotas/rate-limit".into(),
            Self::Server { .. } => "see the server's own log".into(),
            Self::Redirect { .. } => "see api_addr of the Vault servers, and address in [vault]".into(),
            Self::Denied { .. } => {
                "see which it is: slurm-pki vault check; slurm-pki vault setup writes the policies".into()
            }
            Self::Login { .. } => "see auth and its files in [vault]; slurm-pki vault setup makes the role".into(),
            Self::NoMount { .. } => {
                "see pki_mount, kv_mount, auth_mount and namespace in [vault]; slurm-pki vault setup mounts what is missing"
                    .into()
            }
            Self::NoRole { .. } => "see role in [vault]; slurm-pki vault setup makes it".into(),
            Self::NotFound { .. } => "see what is there: slurm-pki vault check".into(),
            Self::Refused { said, .. } => refused_hint(said).into(),
            Self::Capped { .. } => {
                "raise max_ttl of the role and of its mount, or lower validity in [controller]: slurm-pki vault setup".into()
            }
            Self::Warned { .. } => "see the role's settings: slurm-pki vault check".into(),
            Self::Answer { .. } => {
                "see that address in [vault] is a Vault or OpenBao and no proxy or load balancer's own page".into()
            }
            Self::Random => "check that getrandom(2) works for this process".into(),
        }
    }
}

/// What stands in the way, by Vault's own words.
fn refused_hint(said: &str) -> &'static str {
    if said.contains("not allowed by this role") {
        "if the node is yours: slurm-pki vault setup writes the enrolled names into the role"
    } else if said.contains("beyond the expiration of the CA certificate") {
        "the CA in Vault ends too soon: give it a successor, or lower validity in [controller]"
    } else if said.contains("role requires keys of type") {
        "see key_type and key_bits of the role, and allowed_keys in [controller]"
    } else {
        "see the server's log and audit log"
    }
}
