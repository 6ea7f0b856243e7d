//! Points in time as the formats of slurm-pki write them.

use std::fmt;
use std::time::Duration;

use ::time::OffsetDateTime;
use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z. RFC 5280 §4.1.2.5 has whole seconds, and so have our files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// This time plus `span`; stops at the far end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(seconds(span)))
    }

    /// This time less `span`; stops at the far end of time instead of wrapping.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(seconds(span)))
    }

    /// The same time for `rcgen`; `None` outside the years that a certificate can carry
    /// (RFC 5280 §4.1.2.5: 0000 to 9999; we stop at 1950, where UTCTime begins).
    #[must_use]
    pub fn to_certificate_time(self) -> Option<OffsetDateTime> {
        let time = OffsetDateTime::from_unix_timestamp(self.0).ok()?;
        (1950..=9999).contains(&time.year()).then_some(time)
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// `2026-11-22T03:04:05Z`.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp(self.0) {
            Ok(t) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute(),
                t.second()
            ),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_iso_form() {
        assert_eq!(UnixTime(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(UnixTime(i64::MAX).plus(Duration::from_secs(9)), UnixTime(i64::MAX));
        assert!(UnixTime(i64::MAX).to_certificate_time().is_none());
    }
}
