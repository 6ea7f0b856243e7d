//! Where a node stands: what its records, or the lines of a token list, allow it right now.

use std::fmt;
use std::time::Duration;

use crate::binding::BindingPublic;
use crate::explain::Explain;
use crate::record::{Record, RecordId};
use crate::time::UnixTime;
use crate::token::{NodeSecret, Token};

/// When a record was first used: the contents of `<NodeName>.<id>.used`.
///
/// Its text is the unix time of the first certificate issued under the record. Where that certificate
/// was not bound (`bind` other than "required"), a second word says when the first bound one came,
/// or `-` while none has: single use counts from the first, grace and "once bound" from the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The first certificate of any kind.
    pub issued: UnixTime,
    /// The first certificate that this record's key bound.
    pub bound: Option<UnixTime>,
}

impl Mark {
    /// Reads a mark; `None` when the text is not one.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.split_ascii_whitespace();
        let issued = UnixTime(words.next()?.parse().ok()?);
        let bound = match words.next() {
            None => Some(issued),
            Some("-") => None,
            Some(time) => Some(UnixTime(time.parse().ok()?)),
        };
        words.next().is_none().then_some(Self { issued, bound })
    }

    /// What an empty mark means, last changed at `modified`: issued and bound then. Nothing of ours
    /// leaves one behind, and the strictest reading harms nobody.
    #[must_use]
    pub fn of_empty_file(modified: UnixTime) -> Self {
        Self { issued: modified, bound: Some(modified) }
    }

    /// The text of the mark, with a newline.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self.bound {
            Some(bound) if bound == self.issued => format!("{}\n", self.issued.0),
            Some(bound) => format!("{} {}\n", self.issued.0, bound.0),
            None => format!("{} -\n", self.issued.0),
        }
    }
}

/// A record and its mark.
#[derive(Clone, Debug)]
pub struct Held {
    /// The record.
    pub record: Record,
    /// Its mark, if a certificate was ever issued under it.
    pub mark: Option<Mark>,
}

/// How long old rights last.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// How long a single-use token may be repeated after the first certificate under it: Slurm resends
    /// token and request without end when a reply is lost (slurm-contract.md 2).
    pub replay: Duration,
    /// How long a node's former secret lasts after the first certificate bound by the new one.
    pub grace: Duration,
}

/// Where a node stands. Its own records alone judge it, withdrawn ones included; only a node without
/// any falls back on the token list.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Nobody enrolled it.
    Unknown,
    /// Its records, oldest first.
    Recorded(Vec<Held>),
    /// The lines of the token list that apply to it.
    Listed(Vec<NodeSecret>),
}

/// Why a token is not valid for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// The node has neither record nor line.
    UnknownNode,
    /// No record or line has this token.
    WrongToken,
    /// The record with this token was withdrawn: the node was removed, or got a new secret.
    Withdrawn,
    /// `enrols_until` is past.
    Expired,
    /// A single-use token, and the replay window after its first use is over.
    Used,
    /// The node's former secret, and the grace after its first use of the new one is over.
    Superseded,
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownNode => "token rejected: the node is not enrolled",
            Self::WrongToken => "token rejected: it is not this node's",
            Self::Withdrawn => "token rejected: it was withdrawn",
            Self::Expired => "token rejected: its time to enrol is over",
            Self::Used => "token rejected: it is for a single use and was used",
            Self::Superseded => "token rejected: the node has a newer secret and uses it",
        })
    }
}

impl Explain for TokenRefusal {
    fn hint(&self) -> String {
        match self {
            Self::UnknownNode => {
                "enrol it with: slurm-pki node add NODE (or put its token into token_list)".into()
            }
            Self::WrongToken => {
                "if the node is yours, give it a new secret: slurm-pki node token NODE, then bundle".into()
            }
            Self::Withdrawn => {
                "give the node a new secret: slurm-pki node token NODE (node add, if it was removed), then bundle"
                    .into()
            }
            _ => "give the node a new secret: slurm-pki node token NODE, then bundle".into(),
        }
    }
}

/// A key that may bind requests of a node now, and the record it stands in (`None`: a list line).
#[derive(Clone, Debug)]
pub struct Binder {
    /// The record, where there is one.
    pub record: Option<RecordId>,
    /// The public half of B.
    pub key: BindingPublic,
}

impl Standing {
    /// Whether `token` enrols the node at `now`. Every digest is compared, in constant time.
    ///
    /// # Errors
    /// The reason why not.
    pub fn enrols(&self, token: &Token, now: UnixTime, windows: &Windows) -> Result<(), TokenRefusal> {
        let given = token.digest();
        match self {
            Self::Unknown => Err(TokenRefusal::UnknownNode),
            Self::Listed(lines) => {
                let mut found = false;
                for line in lines {
                    found |= line.token().digest() == given;
                }
                if found { Ok(()) } else { Err(TokenRefusal::WrongToken) }
            }
            Self::Recorded(held) => {
                let mut verdict = Err(TokenRefusal::WrongToken);
                for one in held {
                    if one.record.token == given {
                        verdict = self.enrol_right(one, now, windows);
                    }
                }
                verdict
            }
        }
    }

    /// The keys that may bind a request of this node at `now`, newest record first.
    #[must_use]
    pub fn binders(&self, now: UnixTime, windows: &Windows) -> Vec<Binder> {
        match self {
            Self::Unknown => Vec::new(),
            Self::Listed(lines) => {
                lines.iter().map(|line| Binder { record: None, key: line.binding_key().public() }).collect()
            }
            Self::Recorded(held) => held
                .iter()
                .rev()
                .filter(|one| self.lives(one, now, windows).is_ok())
                .map(|one| Binder { record: Some(one.record.id.clone()), key: one.record.bind })
                .collect(),
        }
    }

    /// Whether anything still speaks for this node: a record with the right to bind, or a list line.
    #[must_use]
    pub fn is_enrolled(&self, now: UnixTime, windows: &Windows) -> bool {
        match self {
            Self::Unknown => false,
            Self::Listed(lines) => !lines.is_empty(),
            Self::Recorded(held) => held.iter().any(|one| self.lives(one, now, windows).is_ok()),
        }
    }

    /// Whether the node ever sent a request that one of its records' keys had bound.
    #[must_use]
    pub fn has_bound(&self) -> bool {
        let Self::Recorded(held) = self else { return false };
        held.iter().any(|one| one.mark.is_some_and(|mark| mark.bound.is_some()))
    }

    /// The records whose tokens still enrol: those that an unbound certificate marks as used.
    #[must_use]
    pub fn still_enrolling(&self, now: UnixTime, windows: &Windows) -> Vec<RecordId> {
        let Self::Recorded(held) = self else { return Vec::new() };
        held.iter()
            .filter(|one| self.enrol_right(one, now, windows).is_ok())
            .map(|one| one.record.id.clone())
            .collect()
    }

    /// How many of the oldest records can be forgotten so that `keep` or more stay: they have neither
    /// right left, no other record's rights hang on them, and what stays still says whether the node ever
    /// bound a request. A cloud node that gets a secret at every boot would otherwise fill its file.
    #[must_use]
    pub fn forgettable(&self, keep: usize, now: UnixTime, windows: &Windows) -> usize {
        let Self::Recorded(held) = self else { return 0 };
        // From the oldest on, without a gap: a record ends only those before it, and they are gone too.
        let dead = held.iter().take_while(|one| self.lives(one, now, windows).is_err()).count();
        let most = dead.min(held.len().saturating_sub(keep));
        let bound = |one: &Held| one.mark.is_some_and(|mark| mark.bound.is_some());
        let (old, young) = held.split_at(most);
        if young.iter().any(bound) { most } else { old.iter().take_while(|one| !bound(one)).count() }
    }

    fn enrol_right(&self, one: &Held, now: UnixTime, windows: &Windows) -> Result<(), TokenRefusal> {
        self.lives(one, now, windows)?;
        if one.record.enrols_until.is_some_and(|until| now > until) {
            return Err(TokenRefusal::Expired);
        }
        match one.mark {
            Some(mark) if one.record.single_use && now >= mark.issued.plus(windows.replay) => {
                Err(TokenRefusal::Used)
            }
            _ => Ok(()),
        }
    }

    /// Withdrawn ends both rights, and so does a newer secret after its grace.
    fn lives(&self, one: &Held, now: UnixTime, windows: &Windows) -> Result<(), TokenRefusal> {
        // Whatever the time in it: a clock that was set back, or is behind the one that wrote it, must
        // not bring a removed node back.
        if one.record.withdrawn.is_some() {
            return Err(TokenRefusal::Withdrawn);
        }
        let Self::Recorded(held) = self else { return Ok(()) };
        let newer = held.iter().skip_while(|other| other.record.id != one.record.id).skip(1);
        let over = newer.filter_map(|other| other.mark?.bound).any(|bound| now >= bound.plus(windows.grace));
        if over { Err(TokenRefusal::Superseded) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const WINDOWS: Windows = Windows { replay: HOUR, grace: Duration::from_secs(14 * 86400) };
    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn secret(n: u8) -> NodeSecret {
        NodeSecret::new([n; 32])
    }

    fn held(n: u8) -> Held {
        Held { record: Record::of(&secret(n), RecordId::new([n; 8]), NOW), mark: None }
    }

    fn bound_at(time: UnixTime) -> Option<Mark> {
        Some(Mark { issued: time, bound: Some(time) })
    }

    #[test]
    fn any_live_record_enrols_and_binds() {
        let standing = Standing::Recorded(vec![held(1), held(2)]);
        assert_eq!(standing.enrols(&secret(1).token(), NOW, &WINDOWS), Ok(()));
        assert_eq!(standing.enrols(&secret(2).token(), NOW, &WINDOWS), Ok(()));
        assert_eq!(standing.enrols(&secret(3).token(), NOW, &WINDOWS), Err(TokenRefusal::WrongToken));
        assert_eq!(standing.binders(NOW, &WINDOWS).len(), 2);
    }

    #[test]
    fn a_withdrawn_record_neither_enrols_nor_binds() {
        let mut one = held(1);
        one.record.withdrawn = Some(NOW);
        let standing = Standing::Recorded(vec![one]);
        assert_eq!(standing.enrols(&secret(1).token(), NOW, &WINDOWS), Err(TokenRefusal::Withdrawn));
        assert!(standing.binders(NOW, &WINDOWS).is_empty());
        assert!(!standing.is_enrolled(NOW, &WINDOWS));
    }

    #[test]
    fn a_clock_behind_the_withdrawal_does_not_bring_a_record_back() {
        let mut one = held(1);
        one.record.withdrawn = Some(NOW.plus(HOUR));
        let standing = Standing::Recorded(vec![one]);
        assert_eq!(standing.enrols(&secret(1).token(), NOW, &WINDOWS), Err(TokenRefusal::Withdrawn));
        assert!(!standing.is_enrolled(NOW, &WINDOWS));
    }

    #[test]
    fn expiry_and_single_use_end_enrolment_but_not_binding() {
        let mut expired = held(1);
        expired.record.enrols_until = Some(UnixTime(NOW.0 - 1));
        let mut used = held(2);
        used.record.single_use = true;
        used.mark = bound_at(NOW.minus(HOUR));
        let expired = Standing::Recorded(vec![expired]);
        let used = Standing::Recorded(vec![used]);
        assert_eq!(expired.enrols(&secret(1).token(), NOW, &WINDOWS), Err(TokenRefusal::Expired));
        assert_eq!(used.enrols(&secret(2).token(), NOW, &WINDOWS), Err(TokenRefusal::Used));
        assert_eq!((expired.binders(NOW, &WINDOWS).len(), used.binders(NOW, &WINDOWS).len()), (1, 1));
    }

    #[test]
    fn a_single_use_token_may_be_repeated_inside_the_window() {
        let mut one = held(1);
        one.record.single_use = true;
        one.mark = bound_at(UnixTime(NOW.0 - 3599));
        let standing = Standing::Recorded(vec![one]);
        assert_eq!(standing.enrols(&secret(1).token(), NOW, &WINDOWS), Ok(()));
    }

    #[test]
    fn a_former_secret_ends_after_its_grace_counted_from_the_first_use_of_the_new_one() {
        let mut new = held(2);
        new.mark = bound_at(NOW);
        let standing = Standing::Recorded(vec![held(1), new]);
        let almost = UnixTime(NOW.plus(WINDOWS.grace).0 - 1);
        assert_eq!(standing.enrols(&secret(1).token(), almost, &WINDOWS), Ok(()));
        let after = NOW.plus(WINDOWS.grace);
        assert_eq!(standing.enrols(&secret(1).token(), after, &WINDOWS), Err(TokenRefusal::Superseded));
        assert_eq!(standing.enrols(&secret(2).token(), after, &WINDOWS), Ok(()));
        assert_eq!(standing.binders(after, &WINDOWS).len(), 1);
    }

    #[test]
    fn the_oldest_dead_records_are_forgotten_and_nothing_that_still_counts() {
        let mut all: Vec<_> = (1..=6).map(held).collect();
        for one in &mut all[..4] {
            one.record.withdrawn = Some(NOW);
        }
        let forgettable =
            |all: &[Held], keep| Standing::Recorded(all.to_vec()).forgettable(keep, NOW, &WINDOWS);
        assert_eq!(forgettable(&all, 3), 3);
        assert_eq!(forgettable(&all, 1), 4);
        all[1].mark = bound_at(NOW);
        assert_eq!(forgettable(&all, 1), 1, "what says that the node bound must stay");
        all[5].mark = bound_at(NOW);
        assert_eq!(forgettable(&all, 1), 4);
        all[0].record.withdrawn = None;
        assert_eq!(forgettable(&all, 1), 0);
    }

    #[test]
    fn an_unbound_first_use_counts_for_single_use_only() {
        let mut new = held(2);
        new.mark = Some(Mark { issued: UnixTime(0), bound: None });
        let standing = Standing::Recorded(vec![held(1), new]);
        assert_eq!(standing.enrols(&secret(1).token(), NOW, &WINDOWS), Ok(()));
        assert!(!standing.has_bound());
    }

    #[test]
    fn marks_are_read_back_and_other_texts_are_none() {
        for mark in [
            Mark { issued: UnixTime(5), bound: Some(UnixTime(5)) },
            Mark { issued: UnixTime(5), bound: Some(UnixTime(9)) },
            Mark { issued: UnixTime(5), bound: None },
        ] {
            assert_eq!(Mark::parse(mark.to_text().as_bytes()), Some(mark));
        }
        assert_eq!(Mark::of_empty_file(NOW), bound_at(NOW).unwrap());
        for text in ["", "soon", "5 6 7", "5 then"] {
            assert_eq!(Mark::parse(text.as_bytes()), None, "{text}");
        }
    }
}
