//! How long a token counts, as it is asked for.

use std::fmt;
use std::time::Duration;

use pki::jwt::{DEFAULT_LIFESPAN, INFINITE_LIFESPAN};

use crate::moment;

/// The longest that needs no further word.
const YEAR: i64 = 366 * 24 * 3600;

/// A lifespan from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifespan {
    /// So many seconds, a year at most.
    Seconds(i64),
    /// scontrol's infinite: some 68 years.
    Infinite,
}

impl Lifespan {
    /// What scontrol gives to whoever asks for none.
    pub(super) const DEFAULT: Self = Self::Seconds(DEFAULT_LIFESPAN);

    /// Reads `1800`, `8h`, or scontrol's two words.
    ///
    /// # Errors
    /// What is wrong with it, for clap.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if matches!(text, "infinite" | "unlimited") {
            return Ok(Self::Infinite);
        }
        let span =
            || humantime::parse_duration(text).ok().and_then(|span| i64::try_from(span.as_secs()).ok());
        let seconds = text.parse().ok().or_else(span);
        match seconds.ok_or("neither seconds nor a time like 8h")? {
            seconds @ 1..=YEAR => Ok(Self::Seconds(seconds)),
            seconds if seconds < 1 => Err("no time at all".into()),
            _ => Err("more than a year; --lifespan infinite --until-key-changes, if that is meant".into()),
        }
    }

    /// Its length.
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Infinite => INFINITE_LIFESPAN,
        }
    }
}

impl fmt::Display for Lifespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => {
                f.write_str(&moment::span(Duration::from_secs(u64::try_from(*seconds).unwrap_or_default())))
            }
            Self::Infinite => f.write_str("without an end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_spans_and_scontrols_words_are_read() {
        assert_eq!(Lifespan::parse("1800"), Ok(Lifespan::DEFAULT));
        assert_eq!(Lifespan::parse("8h"), Ok(Lifespan::Seconds(28_800)));
        assert_eq!(Lifespan::parse("unlimited"), Ok(Lifespan::Infinite));
        assert_eq!(Lifespan::Infinite.seconds(), 2_147_483_646);
        for bad in ["", "0", "-5", "soon", "2y", "99999999999", "1.5"] {
            assert!(Lifespan::parse(bad).is_err(), "{bad}");
        }
    }
}
