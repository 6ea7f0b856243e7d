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

/// How far ahead of ours, in seconds, the clock of a signer elsewhere may be.
const MAX_SKEW: u64 = 300;

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
    /// Common names of the CA's own certificates: no node may be called so (slurm-contract.md 3.4).
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
                format!("if it is to come back: slurm-pki node add {name}, then bundle {name} to it")
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
                "the node's token file and the controller's record differ: give it a new secret with: \
                 slurm-pki node token {name}, then bundle"
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

    /// The DNS names.
    #[must_use]
    pub fn dns(&self) -> &[String] {
        &self.dns
    }

    /// The life to ask a signer elsewhere for, whose clock may be ahead of ours: less than was planned by a tenth, at
    /// most five minutes, so that what comes back does not end after it was to end.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        let whole = u64::try_from(self.not_after.0.saturating_sub(self.decided_at.0)).unwrap_or(0);
        Duration::from_secs(whole - (whole / 10).min(MAX_SKEW))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csr;
    use crate::key::PrivateKey;
    use crate::record::Record;
    use crate::standing::{Held, Mark};
    use crate::token::NodeSecret;

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn policy(bind: Bind) -> Policy {
        Policy {
            bind,
            max_request_age: 7 * DAY,
            windows: Windows { replay: Duration::from_secs(3600), grace: 14 * DAY },
            allowed_keys: vec![KeyKind::P256],
            validity: 7 * DAY,
            backdate: Duration::from_secs(300),
            subject: vec![(SubjectAttribute::O, "Site".into())],
            san: vec!["%n".into(), "%n.cluster.example".into()],
            ca_names: vec![b"Site CA".to_vec()],
        }
    }

    fn name(text: &str) -> NodeName {
        NodeName::parse(text.as_bytes()).unwrap()
    }

    fn secret(n: u8) -> NodeSecret {
        NodeSecret::new([n; 32])
    }

    fn recorded(n: u8) -> Standing {
        let record = Record::of(&secret(n), RecordId::new([n; 8]), NOW);
        Standing::Recorded(vec![Held { record, mark: None }])
    }

    /// A request for `node`, bound by secret `by` at `made`, or not at all.
    fn request(node: &str, by: Option<u8>, made: UnixTime) -> Csr {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let spki = key.public().unwrap();
        let binding = by.map(|n| secret(n).binding_key().bind(&name(node), made, spki.spki()));
        Csr::parse(csr::write(&key, &name(node), binding.as_ref()).unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn a_bound_request_of_an_enrolled_node_gets_what_the_profile_says() {
        let csr = request("n1", Some(1), NOW);
        let plan = policy(Bind::Required).decide(&csr, &recorded(1), NOW).unwrap();
        assert_eq!(plan.common_name(), "n1");
        assert_eq!(plan.dns, ["n1", "n1.cluster.example"]);
        assert_eq!((plan.not_before, plan.not_after), (UnixTime(NOW.0 - 300), NOW.plus(7 * DAY)));
        assert_eq!(plan.authorisation(), &Authorisation::Record(RecordId::new([1; 8])));
    }

    #[test]
    fn another_nodes_secret_binds_nothing() {
        for bind in [Bind::Required, Bind::Warn] {
            let refusal = policy(bind).decide(&request("n1", Some(2), NOW), &recorded(1), NOW).unwrap_err();
            assert_eq!(refusal, Refusal::WrongBinding(name("n1")));
        }
    }

    #[test]
    fn a_request_without_a_binding_is_refused_let_through_or_held_to_its_past() {
        let csr = request("n1", None, NOW);
        let decide = |bind, standing: &Standing| policy(bind).decide(&csr, standing, NOW);
        assert_eq!(decide(Bind::Required, &recorded(1)).unwrap_err(), Refusal::Unbound(name("n1")));
        let marked = Authorisation::Unbound(vec![RecordId::new([1; 8])]);
        assert_eq!(decide(Bind::Warn, &recorded(1)).unwrap().authorisation(), &marked);
        let Standing::Recorded(mut held) = recorded(1) else { unreachable!() };
        held[0].mark = Some(Mark { issued: NOW, bound: Some(NOW) });
        let known = Standing::Recorded(held);
        assert_eq!(decide(Bind::Warn, &known).unwrap_err(), Refusal::UnboundNow(name("n1")));
        assert!(decide(Bind::Off, &known).is_ok());
    }

    #[test]
    fn a_removed_or_unknown_node_gets_nothing_in_any_mode() {
        let Standing::Recorded(mut held) = recorded(1) else { unreachable!() };
        held[0].record.withdrawn = Some(NOW);
        let removed = Standing::Recorded(held);
        for bind in [Bind::Required, Bind::Warn, Bind::Off] {
            for by in [None, Some(1)] {
                let csr = request("n1", by, NOW);
                let decide = |standing: &Standing| policy(bind).decide(&csr, standing, NOW).unwrap_err();
                assert_eq!(decide(&removed), Refusal::Removed(name("n1")));
                assert_eq!(decide(&Standing::Unknown), Refusal::NotEnrolled(name("n1")));
            }
        }
    }

    #[test]
    fn age_is_bounded_on_both_sides() {
        let decide = |made| policy(Bind::Required).decide(&request("n1", Some(1), made), &recorded(1), NOW);
        assert!(decide(NOW.minus(7 * DAY)).is_ok());
        let old = UnixTime(NOW.minus(7 * DAY).0 - 1);
        assert_eq!(decide(old).unwrap_err(), Refusal::TooOld(old));
        assert!(decide(NOW.plus(DAY)).is_ok());
        let ahead = UnixTime(NOW.plus(DAY).0 + 1);
        assert_eq!(decide(ahead).unwrap_err(), Refusal::FromTheFuture(ahead));
    }

    #[test]
    fn a_reserved_name_is_refused_whoever_binds_it() {
        for reserved in ["slurmctld", "SlurmDBD", "localhost"] {
            let csr = request(reserved, Some(1), NOW);
            let refusal = policy(Bind::Off).decide(&csr, &recorded(1), NOW).unwrap_err();
            assert_eq!(refusal, Refusal::ReservedName(name(reserved)));
        }
    }

    #[test]
    fn the_rehearsal_node_needs_a_record_and_a_binding_in_any_mode() {
        let rehearsal = crate::name::REHEARSAL;
        let decide =
            |by, standing: &Standing| policy(Bind::Off).decide(&request(rehearsal, by, NOW), standing, NOW);
        assert!(decide(Some(1), &recorded(1)).is_ok());
        assert_eq!(decide(None, &recorded(1)).unwrap_err(), Refusal::Unbound(name(rehearsal)));
        let listed = Standing::Listed(vec![NodeSecret::foreign(b"tok").unwrap()]);
        assert_eq!(decide(Some(1), &listed).unwrap_err(), Refusal::ReservedName(name(rehearsal)));
    }

    #[test]
    fn a_list_line_binds_too() {
        let line = NodeSecret::foreign(b"tok").unwrap();
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let spki = key.public().unwrap();
        let binding = line.binding_key().bind(&name("n1"), NOW, spki.spki());
        let csr = Csr::parse(csr::write(&key, &name("n1"), Some(&binding)).unwrap().as_bytes()).unwrap();
        let standing = Standing::Listed(vec![NodeSecret::foreign(b"other").unwrap(), line]);
        let plan = policy(Bind::Required).decide(&csr, &standing, NOW).unwrap();
        assert_eq!(plan.authorisation(), &Authorisation::ListLine);
    }

    #[test]
    fn a_kind_of_key_that_is_not_allowed_is_refused() {
        let key = PrivateKey::generate(KeyKind::P384).unwrap();
        let csr = Csr::parse(csr::write(&key, &name("n1"), None).unwrap().as_bytes()).unwrap();
        let refusal = policy(Bind::Off).decide(&csr, &recorded(1), NOW).unwrap_err();
        assert_eq!(refusal, Refusal::KeyKind(KeyKind::P384));
    }
}
