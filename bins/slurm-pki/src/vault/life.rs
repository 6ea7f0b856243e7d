//! How long a token lives: as it is, and at most.

use std::time::Duration;

use pki::time::UnixTime;
use vault::auth::TokenFacts;

/// After how much of its term a token that is renewed every hour has been renewed, however short the term is.
const RENEWED_WITHIN: u32 = 3;

/// The life of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// When it was made.
    pub(crate) made: UnixTime,
    /// When it ends if nobody renews it; `None`: never.
    pub(crate) ends: Option<UnixTime>,
    /// What one renewal gives it.
    pub(crate) term: Duration,
    /// How far renewals reach.
    pub(crate) latest: Latest,
}

/// How far renewals reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latest {
    /// It lives as long as it is renewed, or without that.
    NoLimit,
    /// Not beyond this: it cannot be renewed, or was made with an end.
    At(UnixTime),
    /// To the limit of whatever made it, which the token does not tell: its role's, its mount's, or the server's.
    Untold,
}

impl Life {
    /// What the token says of itself. Vault's clock, by which it was made, is so many seconds `ahead` of ours.
    pub(crate) fn of(facts: &TokenFacts, now: UnixTime, ahead: i64) -> Self {
        let ends = (!facts.ttl.is_zero()).then(|| now.plus(facts.ttl));
        let made = UnixTime(facts.creation_time.saturating_sub(ahead));
        let term = if facts.period.is_zero() { facts.creation_ttl } else { facts.period };
        let latest = match ends {
            None => Latest::NoLimit,
            Some(end) if !facts.renewable => Latest::At(end),
            Some(_) if !facts.explicit_max_ttl.is_zero() => Latest::At(made.plus(facts.explicit_max_ttl)),
            Some(_) if !facts.period.is_zero() => Latest::NoLimit,
            Some(_) => Latest::Untold,
        };
        Self { made, ends, term, latest }
    }

    /// Whether most of a term has passed without a renewal.
    pub(crate) fn is_left_alone(&self, now: UnixTime) -> bool {
        self.latest != self.ends.map_or(Latest::NoLimit, Latest::At)
            && self.ends.is_some_and(|end| end <= now.plus(self.term / RENEWED_WITHIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn token() -> TokenFacts {
        TokenFacts {
            policies: Vec::new(),
            ttl: HOUR * 20,
            renewable: true,
            explicit_max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            creation_ttl: HOUR * 24,
            creation_time: NOW.minus(HOUR * 4).0,
            num_uses: 0,
        }
    }

    fn latest(change: impl Fn(&mut TokenFacts)) -> Latest {
        let mut facts = token();
        change(&mut facts);
        Life::of(&facts, NOW, 0).latest
    }

    #[test]
    fn each_kind_of_token_has_its_own_last_hour() {
        assert_eq!(latest(|_| {}), Latest::Untold);
        assert_eq!(latest(|t| t.period = HOUR), Latest::NoLimit);
        assert_eq!(latest(|t| t.ttl = Duration::ZERO), Latest::NoLimit);
        assert_eq!(latest(|t| t.renewable = false), Latest::At(NOW.plus(HOUR * 20)));
        assert_eq!(latest(|t| t.explicit_max_ttl = HOUR * 48), Latest::At(NOW.plus(HOUR * 44)));
        // An explicit end holds for a periodic token too.
        let both = |t: &mut TokenFacts| (t.period, t.explicit_max_ttl) = (HOUR, HOUR * 48);
        assert_eq!(latest(both), Latest::At(NOW.plus(HOUR * 44)));
    }

    #[test]
    fn a_clock_that_is_off_changes_no_last_hour() {
        let mut facts = token();
        (facts.explicit_max_ttl, facts.creation_time) = (HOUR * 48, facts.creation_time + 7000);
        assert_eq!(Life::of(&facts, NOW, 7000).latest, Latest::At(NOW.plus(HOUR * 44)));
    }

    #[test]
    fn a_token_that_nobody_renews_is_told_from_one_that_cannot_be() {
        let alone = |ttl: Duration, renewable: bool| {
            Life::of(&TokenFacts { ttl, renewable, ..token() }, NOW, 0).is_left_alone(NOW)
        };
        assert!(!alone(HOUR * 20, true));
        assert!(alone(HOUR * 7, true));
        assert!(!alone(HOUR * 7, false));
    }
}
