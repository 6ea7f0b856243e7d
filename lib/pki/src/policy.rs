//! The decision: may this request have a certificate, and what will stand in it?

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::binding::Binding;
use crate::csr::{BindingClaim, Csr};
use crate::explain::Explain;
use crate::key::{KeyKind, PublicKey};
use crate::name::NodeName;
use crate::record::RecordId;
use crate::standing::{Standing, Windows};
use crate::time::UnixTime;

/// How far ahead of ours a node's clock may be.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// What a site demands of a request's binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bind {
    /// No binding, no certificate.
    Required,
    /// None is let through, with a mark against it; a wrong one is refused, and a node that once sent
    /// a valid one is held to it.
    Warn,
    /// Not judged: for sites that keep another generate_csr.
    Off,
}

/// A subject attribute that a site adds to every certificate, as RFC 4514 abbreviates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum SubjectAttribute {
    /// countryName, two letters.
    C,
    /// stateOrProvinceName.
    ST,
    /// localityName.
    L,
    /// organizationName.
    O,
    /// organizationalUnitName.
    OU,
}

/// What the site allows and what it puts into certificates.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether requests must be bound.
    pub bind: Bind,
    /// How old a binding may be: slurmd resends one request while slurmctld is away.
    pub max_request_age: Duration,
    /// How long old rights last.
    pub windows: Windows,
    /// Kinds of key that are certified.
    pub allowed_keys: Vec<KeyKind>,
    /// Life of a certificate, from now on.
    pub validity: Duration,
    /// How far before now it begins, for nodes whose clock is behind.
    pub backdate: Duration,
    /// What is added to CN.
    pub subject: Vec<(SubjectAttribute, String)>,
    /// dNSNames, with `%n` for the node's name.
    pub san: Vec<String>,
    /// Common names of the CA's own certificates: no node may be called so (contract.md 3.4).
    pub ca_names: Vec<Vec<u8>>,
}

/// Why a request gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A name that belongs to a daemon or to us.
    ReservedName(NodeName),
    /// The CA's own name.
    CaName(NodeName),
    /// A kind of key that `allowed_keys` leaves out.
    KeyKind(KeyKind),
    /// CA:TRUE asked for.
    AsksForCa,
    /// keyCertSign or cRLSign asked for.
    AsksForSigning,
    /// A subjectAltName other than dNSName = CN asked for.
    ForeignSan,
    /// An extension asked for that cannot be read.
    UnreadableExtension,
    /// Neither record nor list line.
    NotEnrolled(NodeName),
    /// Records, but none with rights left.
    Removed(NodeName),
    /// No binding where one is required.
    Unbound(NodeName),
    /// No binding from a node that has sent valid ones.
    UnboundNow(NodeName),
    /// A binding that breaks the format.
    MalformedBinding(&'static str),
    /// A binding that no key of this node made for this name and key.
    WrongBinding(NodeName),
    /// A binding older than `max_request_age`.
    TooOld(UnixTime),
    /// A binding more than a day ahead.
    FromTheFuture(UnixTime),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request refused: ")?;
        match self {
            Self::ReservedName(name) => write!(f, "{name} is a name that no node may have"),
            Self::CaName(name) => write!(f, "{name} is the name of the CA"),
            Self::KeyKind(kind) => write!(f, "{kind} keys are not in allowed_keys"),
            Self::AsksForCa => f.write_str("it asks to be a CA (CA:TRUE)"),
            Self::AsksForSigning => f.write_str("it asks for keyCertSign or cRLSign"),
            Self::ForeignSan => f.write_str("it asks for a subjectAltName other than its own name"),
            Self::UnreadableExtension => f.write_str("it asks for an extension that cannot be read"),
            Self::NotEnrolled(name) => write!(f, "node {name} is not enrolled"),
            Self::Removed(name) => write!(f, "node {name} was removed, or its secrets are withdrawn"),
            Self::Unbound(name) => write!(f, "it is not bound to node {name} (bind = \"required\")"),
            Self::UnboundNow(name) => {
                write!(f, "it is not bound, though node {name} has sent bound requests before")
            }
            Self::MalformedBinding(why) => f.write_str(why),
            Self::WrongBinding(name) => {
                write!(f, "its binding is not by node {name} for this name and this key")
            }
            Self::TooOld(time) => write!(f, "it was made at {time}, longer ago than max_request_age"),
            Self::FromTheFuture(time) => write!(f, "it was made at {time}, more than a day from now"),
        }
    }
}

impl Explain for Refusal {
    fn hint(&self) -> String {
        match self {
            Self::ReservedName(_) | Self::CaName(_) => "give the node another NodeName".into(),
            Self::KeyKind(_) => "use another key on the node, or name the kind in allowed_keys".into(),
            Self::AsksForCa | Self::AsksForSigning | Self::ForeignSan | Self::UnreadableExtension => {
                "a node's request carries a key and its name; if the node did not mean to ask for more, look \
                 for whoever did"
                    .into()
            }
            Self::NotEnrolled(name) => {
                format!("if it is yours: slurm-pki node add {name}, then bundle {name} to it")
            }
            Self::Removed(name) => {
                format!("if it is to come back: slurm-pki node token {name}, then bundle {name} to it")
            }
            Self::Unbound(_) => {
                "use generate_csr of slurm-pki on the node, or set bind = \"warn\" or \"off\" \
                 in [controller] while another one is in use"
                    .into()
            }
            Self::UnboundNow(_) => {
                "somebody may be posing as this node; see what runs as generate_csr_script there".into()
            }
            Self::MalformedBinding(_) => {
                "see that node and controller run the same version of slurm-pki".into()
            }
            Self::WrongBinding(name) => format!(
                "the node's token file and the controller's record differ: slurm-pki node verify {name}, or \
                 give it a new secret with: slurm-pki node token {name}"
            ),
            Self::TooOld(_) | Self::FromTheFuture(_) => {
                "set the clocks of node and controller; restart slurmd to make a new request".into()
            }
        }
    }
}

/// What a certificate will say: the policy's decision, which only the policy can make.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) common_name: String,
    pub(crate) subject: Vec<(SubjectAttribute, String)>,
    pub(crate) dns: Vec<String>,
    pub(crate) key: PublicKey,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    pub(crate) decided_at: UnixTime,
    pub(crate) authority: Authorisation,
}

/// What spoke for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorisation {
    /// A binding by the key of this record.
    Record(RecordId),
    /// A binding by a line of the token list.
    ListLine,
    /// Nothing but the name; these records' tokens still enrol and are now used.
    Unbound(Vec<RecordId>),
    /// A person who runs the CA: daemon certificates.
    Admin,
}

impl Plan {
    /// The common name: the node, or the daemon.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// What spoke for it.
    #[must_use]
    pub fn authorisation(&self) -> &Authorisation {
        &self.authority
    }

    /// The record that bound the request, for the ledger.
    #[must_use]
    pub fn record(&self) -> Option<&RecordId> {
        match &self.authority {
            Authorisation::Record(id) => Some(id),
            _ => None,
        }
    }

    /// A daemon's certificate, by an admin's own decision: `common_name` slurmctld, slurmdbd or
    /// slurmrestd with the host names as `dns`, or a static pair's node name.
    #[must_use]
    pub fn for_daemon(
        common_name: &str,
        dns: Vec<String>,
        key: PublicKey,
        subject: &[(SubjectAttribute, String)],
        validity: Duration,
        backdate: Duration,
        now: UnixTime,
    ) -> Self {
        Self {
            common_name: common_name.to_owned(),
            subject: subject.to_vec(),
            dns,
            key,
            not_before: now.minus(backdate),
            not_after: now.plus(validity),
            decided_at: now,
            authority: Authorisation::Admin,
        }
    }
}

impl Policy {
    /// Judges a request of a node that stands as `standing` says, at `now`.
    ///
    /// # Errors
    /// The reason why it gets nothing.
    pub fn decide(&self, csr: &Csr, standing: &Standing, now: UnixTime) -> Result<Plan, Refusal> {
        let name = csr.name();
        // The rehearsal node is enrolled by `init` alone: never by a list, never without a binding.
        let rehearsal = name.is_rehearsal() && matches!(standing, Standing::Recorded(_));
        if name.is_reserved() && !rehearsal {
            return Err(Refusal::ReservedName(name.clone()));
        }
        if self.ca_names.iter().any(|ca| ca.eq_ignore_ascii_case(name.as_str().as_bytes())) {
            return Err(Refusal::CaName(name.clone()));
        }
        self.nothing_more_is_asked(csr)?;
        let authority = self.authorise(csr, standing, now)?;
        if rehearsal && !matches!(authority, Authorisation::Record(_)) {
            return Err(Refusal::Unbound(name.clone()));
        }
        Ok(Plan {
            common_name: name.as_str().to_owned(),
            subject: self.subject.clone(),
            dns: self.san.iter().map(|template| template.replace("%n", name.as_str())).collect(),
            key: csr.key().clone(),
            not_before: now.minus(self.backdate),
            not_after: now.plus(self.validity),
            decided_at: now,
            authority,
        })
    }

    fn nothing_more_is_asked(&self, csr: &Csr) -> Result<(), Refusal> {
        let asks = csr.asks();
        if !self.allowed_keys.contains(&csr.key().kind()) {
            Err(Refusal::KeyKind(csr.key().kind()))
        } else if asks.ca {
            Err(Refusal::AsksForCa)
        } else if asks.signing {
            Err(Refusal::AsksForSigning)
        } else if asks.foreign_san {
            Err(Refusal::ForeignSan)
        } else if asks.unreadable {
            Err(Refusal::UnreadableExtension)
        } else {
            Ok(())
        }
    }

    fn authorise(&self, csr: &Csr, standing: &Standing, now: UnixTime) -> Result<Authorisation, Refusal> {
        let name = csr.name();
        if !standing.is_enrolled(now, &self.windows) {
            return Err(match standing {
                Standing::Recorded(_) => Refusal::Removed(name.clone()),
                _ => Refusal::NotEnrolled(name.clone()),
            });
        }
        let unbound = || Authorisation::Unbound(standing.still_enrolling(now, &self.windows));
        match (self.bind, csr.binding()) {
            (Bind::Required, BindingClaim::Absent) => Err(Refusal::Unbound(name.clone())),
            (Bind::Warn, BindingClaim::Absent) if standing.has_bound() => {
                Err(Refusal::UnboundNow(name.clone()))
            }
            (Bind::Warn | Bind::Off, BindingClaim::Absent) => Ok(unbound()),
            (Bind::Off, BindingClaim::Malformed(_)) => Ok(unbound()),
            (_, BindingClaim::Malformed(why)) => Err(Refusal::MalformedBinding(why)),
            (Bind::Off, BindingClaim::Present(binding)) => {
                Ok(self.bound(csr, binding, standing, now).unwrap_or_else(|_| unbound()))
            }
            (_, BindingClaim::Present(binding)) => self.bound(csr, binding, standing, now),
        }
    }

    fn bound(
        &self,
        csr: &Csr,
        binding: &Binding,
        standing: &Standing,
        now: UnixTime,
    ) -> Result<Authorisation, Refusal> {
        let name = csr.name();
        let binder = standing
            .binders(now, &self.windows)
            .into_iter()
            .find(|binder| binding.is_by(&binder.key, name, csr.key().spki()))
            .ok_or_else(|| Refusal::WrongBinding(name.clone()))?;
        let made = binding.issued_at();
        if now > made.plus(self.max_request_age) {
            return Err(Refusal::TooOld(made));
        }
        if made > now.plus(MAX_AHEAD) {
            return Err(Refusal::FromTheFuture(made));
        }
        Ok(binder.record.map_or(Authorisation::ListLine, Authorisation::Record))
    }
}
