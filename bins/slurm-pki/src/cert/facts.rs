//! What is known of each daemon's pair on this host, from its files alone: for whoever lists it, renews it
//! or warns of it.
//!
//! A caller who may not read a key still learns what the certificate says, and that the rest is not known.

use std::path::{Path, PathBuf};

use pki::key::{MAX_KEY_PEM, PublicKey};
use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM, MAX_CHAIN_PEM};
use pki::time::UnixTime;
use pki::x509::X509;
use serde::Serialize;
use site::Error;
use site::config::{Daemon, DaemonConfig};
use site::file::{self, Keep};

use super::due::due_at;
use super::target::Target;
use crate::admin::Admin;
use crate::daemon_files::{DaemonFiles, Standing};

/// How a daemon's pair is, in one word: the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// There is no certificate.
    Missing,
    /// The certificate cannot be read by whoever asks.
    Unknown,
    /// Certificate and key do not load together: the daemon would not start.
    Broken,
    /// Its time is over.
    Expired,
    /// No way leads from it to what hosts trust now: it was not issued by the present CA.
    Untrusted,
    /// It is time to renew it.
    Due,
    /// It works, and others made the files.
    Foreign,
    /// It works.
    Ok,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Missing,
        Self::Unknown,
        Self::Broken,
        Self::Expired,
        Self::Untrusted,
        Self::Due,
        Self::Foreign,
        Self::Ok,
    ];

    /// The word for it, the same in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Broken => "broken",
            Self::Expired => "expired",
            Self::Untrusted => "untrusted",
            Self::Due => "due",
            Self::Foreign => "foreign",
            Self::Ok => "ok",
        }
    }

    /// Whether a new pair is called for, where there is one.
    pub(crate) fn needs_renewal(self) -> bool {
        matches!(self, Self::Broken | Self::Expired | Self::Untrusted | Self::Due)
    }
}

/// A daemon's pair on this host.
#[derive(Debug, Serialize)]
pub(crate) struct DaemonFacts {
    /// Whose.
    #[serde(rename = "section", serialize_with = "short")]
    pub(crate) daemon: Daemon,
    /// The name that its certificates carry; of static pairs the program's.
    pub(crate) program: &'static str,
    /// The certificate file, under the name that Slurm knows.
    pub(crate) cert: PathBuf,
    /// The key file, under the name that Slurm knows.
    pub(crate) key: PathBuf,
    /// In one word.
    pub(crate) state: State,
    /// What is behind the word, where it is not `ok`.
    pub(crate) why: Option<String>,
    /// Whether the files are others' (and not links of ours).
    pub(crate) foreign: bool,
    /// Whether certificate and key load together in s2n; `None`: the caller cannot read them.
    pub(crate) loads: Option<bool>,
    /// Whether a peer that trusts ca_cert accepts it now; `None`: certificate or ca_cert cannot be read.
    pub(crate) trusted: Option<bool>,
    /// What the certificate says.
    pub(crate) leaf: Option<LeafFacts>,
    /// When it is to be renewed.
    pub(crate) due: Option<UnixTime>,
    /// Leaf first, as the daemon sends it; empty where it cannot be read.
    #[serde(skip)]
    pub(crate) chain: Vec<X509>,
}

/// What a daemon's certificate says.
#[derive(Debug, Serialize)]
pub(crate) struct LeafFacts {
    /// Subject.
    pub(crate) subject: String,
    /// Host names in it.
    pub(crate) names: Vec<String>,
    /// Who issued it.
    pub(crate) issuer: String,
    /// Serial number, lower-case hex.
    pub(crate) serial: String,
    /// SHA-256 of its DER.
    pub(crate) sha256: String,
    /// Kind of its key; `None` for one that is not taken here.
    pub(crate) key_type: Option<String>,
    /// First second of its life.
    pub(crate) not_before: UnixTime,
    /// Last second of its life.
    pub(crate) not_after: UnixTime,
}

impl LeafFacts {
    fn of(leaf: &X509) -> Self {
        let facts = leaf.facts();
        Self {
            subject: facts.subject.clone(),
            names: facts.dns.clone().unwrap_or_default(),
            issuer: facts.issuer.clone(),
            serial: facts.serial.clone(),
            sha256: leaf.fingerprint(),
            key_type: PublicKey::from_spki(&facts.spki).ok().map(|key| key.kind().to_string()),
            not_before: facts.not_before,
            not_after: facts.not_after,
        }
    }
}

/// What hosts trust, or why that cannot be told.
#[derive(Debug)]
pub(crate) struct Trusted(Result<Vec<X509>, String>);

impl Trusted {
    /// By the site's ca_cert; ca_chain, which not everybody may read, is in the daemon's own file.
    pub(crate) fn of(admin: &Admin) -> Self {
        let path = &admin.controller.ca_cert;
        let bundle = file::read(path, Keep::Intact, MAX_BUNDLE_PEM);
        let anchors =
            bundle.and_then(|pem| loads_in_s2n::trust_bundle(pem.expose()).map_err(Error::contents(path)));
        Self(anchors.map_err(|e| e.to_string()))
    }

    /// Why ca_cert cannot be used.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }

    /// Whether a peer would accept it at that time; not, when what hosts trust cannot be told.
    pub(crate) fn accept(&self, chain: &[X509], at: UnixTime) -> bool {
        self.accepts(chain, at).0 == Some(true)
    }

    fn accepts(&self, chain: &[X509], now: UnixTime) -> (Option<bool>, Option<String>) {
        match &self.0 {
            Ok(anchors) => match loads_in_s2n::accepted_by_peers(chain, anchors, now) {
                Ok(()) => (Some(true), None),
                Err(e) => (Some(false), Some(e.to_string())),
            },
            Err(why) => (None, Some(why.clone())),
        }
    }
}

impl DaemonFacts {
    /// Every daemon that has a pair on this host, or a section in the config.
    ///
    /// # Errors
    /// When the config has no meaning.
    pub(crate) fn of_this_host(admin: &Admin, now: UnixTime) -> anyhow::Result<Vec<Self>> {
        let trusted = Trusted::of(admin);
        let mut all = Vec::new();
        for daemon in Daemon::ALL {
            for target in Target::here(admin, daemon)? {
                let facts = Self::of(daemon, &target.config, &trusted, now)?;
                if target.config.configured || facts.state != State::Missing {
                    all.push(facts);
                }
            }
        }
        Ok(all)
    }

    /// What is known of one daemon's pair.
    ///
    /// # Errors
    /// When the config has no meaning.
    pub(crate) fn of(
        daemon: Daemon,
        config: &DaemonConfig,
        trusted: &Trusted,
        now: UnixTime,
    ) -> anyhow::Result<Self> {
        let files = DaemonFiles::of(daemon, config)?;
        let standing = files.standing();
        let read = Read::pair(&files, standing == Standing::Unlinked);
        Ok(Self::of_read(daemon, config, read, matches!(standing, Standing::Foreign(_)), trusted, now))
    }

    /// What is known of a pair on another host: its certificate, and whether there is a key.
    pub(crate) fn elsewhere(
        daemon: Daemon,
        config: &DaemonConfig,
        cert: Option<&[u8]>,
        has_key: bool,
        trusted: &Trusted,
        now: UnixTime,
    ) -> Self {
        let read = Read::elsewhere(config, cert, has_key);
        Self::of_read(daemon, config, read, false, trusted, now)
    }

    fn of_read(
        daemon: Daemon,
        config: &DaemonConfig,
        read: Read,
        foreign: bool,
        trusted: &Trusted,
        now: UnixTime,
    ) -> Self {
        let (accepted, refusal) = match read.chain.as_slice() {
            [] => (None, None),
            chain => trusted.accepts(chain, now),
        };
        let due = read.chain.first().map(|leaf| due_at(leaf, config.renew_at));
        let mut facts = Self {
            daemon,
            program: daemon.program(),
            cert: config.cert.clone(),
            key: config.key.clone(),
            state: State::Ok,
            why: None,
            foreign,
            loads: read.loads(),
            trusted: accepted,
            leaf: read.chain.first().map(LeafFacts::of),
            due,
            chain: read.chain,
        };
        (facts.state, facts.why) = facts.judge(read.trouble, refusal, now);
        facts
    }

    /// The first word that holds, and what is behind it.
    fn judge(
        &self,
        trouble: Option<(Trouble, String)>,
        refusal: Option<String>,
        now: UnixTime,
    ) -> (State, Option<String>) {
        let unreadable_key = match trouble {
            Some((Trouble::Missing, why)) => return (State::Missing, Some(why)),
            Some((Trouble::Broken, why)) => return (State::Broken, Some(why)),
            Some((Trouble::Unreadable, why)) if self.chain.is_empty() => {
                return (State::Unknown, Some(why));
            }
            Some((Trouble::Unreadable, why)) => Some(why),
            None => None,
        };
        if let Some(leaf) = self.leaf.as_ref().filter(|leaf| leaf.not_after <= now) {
            return (State::Expired, Some(format!("it ended at {}", leaf.not_after)));
        }
        if self.trusted == Some(false) {
            return (State::Untrusted, refusal);
        }
        if let Some(due) = self.due.filter(|due| *due <= now) {
            return (State::Due, Some(format!("it was to be renewed from {due} on")));
        }
        match self.foreign {
            true => (State::Foreign, Some("not made by slurm-pki".into())),
            // What could not be looked at is said, and changes nothing.
            false => (State::Ok, unreadable_key.or(refusal)),
        }
    }
}

/// What keeps a pair from being one, or us from telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Missing,
    Unreadable,
    Broken,
}

/// The two files as they were read.
struct Read {
    chain: Vec<X509>,
    trouble: Option<(Trouble, String)>,
}

impl Read {
    fn pair(files: &DaemonFiles, unlinked: bool) -> Self {
        let first = Self::once(files.cert(), files.key());
        let read = match &first.trouble {
            // Read while a renewal exchanged the pair, certificate and key may be of two pairs.
            Some((Trouble::Broken, _)) => Self::once(files.cert(), files.key()),
            _ => first,
        };
        let why = "a pair was made and its links were not: run the command that makes it again";
        if unlinked { Self { trouble: Some((Trouble::Broken, why.into())), ..read } } else { read }
    }

    fn elsewhere(config: &DaemonConfig, cert: Option<&[u8]>, has_key: bool) -> Self {
        let nothing = |trouble| Self { chain: Vec::new(), trouble: Some(trouble) };
        let Some(pem) = cert else {
            return nothing((Trouble::Missing, format!("there is no {}", config.cert.display())));
        };
        match loads_in_s2n::own_chain(pem) {
            Err(e) => nothing((Trouble::Broken, format!("{}: {e}", config.cert.display()))),
            Ok(chain) if has_key => Self { chain, trouble: None },
            Ok(chain) => {
                let why = format!("there is no {}", config.key.display());
                Self { chain, trouble: Some((Trouble::Broken, why)) }
            }
        }
    }

    fn once(cert: &Path, key: &Path) -> Self {
        let nothing = |trouble| Self { chain: Vec::new(), trouble: Some(trouble) };
        let pem = match file::read_with_metadata(cert, MAX_CHAIN_PEM) {
            Ok((pem, _)) => pem,
            Err(e) => return nothing(trouble(&e)),
        };
        let chain = match loads_in_s2n::own_chain(pem.expose()) {
            Ok(chain) => chain,
            Err(e) => return nothing((Trouble::Broken, format!("{}: {e}", cert.display()))),
        };
        let trouble = match file::read_with_metadata(key, MAX_KEY_PEM) {
            Ok((key_pem, _)) => loads_in_s2n::own_pair(pem.expose(), key_pem.expose())
                .err()
                .map(|e| (Trouble::Broken, format!("{}: {e}", key.display()))),
            // A certificate without its key stops the daemon.
            Err(e) if e.is_not_found() => Some((Trouble::Broken, e.to_string())),
            Err(e) => Some(trouble(&e)),
        };
        Self { chain, trouble }
    }

    fn loads(&self) -> Option<bool> {
        match self.trouble {
            None => Some(true),
            Some((Trouble::Broken, _)) => Some(false),
            Some((Trouble::Missing | Trouble::Unreadable, _)) => None,
        }
    }
}

fn trouble(e: &Error) -> (Trouble, String) {
    let kind = match e {
        _ if e.is_not_found() => Trouble::Missing,
        Error::Read { .. } => Trouble::Unreadable,
        _ => Trouble::Broken,
    };
    (kind, e.to_string())
}

fn short<S: serde::Serializer>(daemon: &Daemon, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(daemon.short())
}
