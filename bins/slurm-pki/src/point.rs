//! `30d` or `2026-12-01T00:00:00Z` on a command line: a span from now, or a time.

use std::time::Duration;

use pki::time::UnixTime;

/// A point in time that is given by a span or by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// So long from now, on whichever side the option means.
    Span(Duration),
    /// UTC.
    Time(UnixTime),
}

impl Point {
    /// Reads `30d`, `2026-12-01`, `2026-12-01 12:00:00` or `2026-12-01T12:00:00Z`; times are UTC.
    ///
    /// # Errors
    /// What it should look like, for clap.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(span) = humantime::parse_duration(text) {
            return Ok(Self::Span(span));
        }
        let of_day = format!("{text}T00:00:00Z");
        let time = [text, &of_day].into_iter().find_map(|text| humantime::parse_rfc3339_weak(text).ok());
        match time {
            Some(time) => Ok(Self::Time(site::clock::of(time))),
            None => Err("neither a span like 30d nor a UTC time like 2026-12-01T00:00:00Z".into()),
        }
    }

    /// For an end that lies ahead.
    pub(crate) fn ahead_of(self, now: UnixTime) -> UnixTime {
        match self {
            Self::Span(span) => now.plus(span),
            Self::Time(time) => time,
        }
    }

    /// For a beginning that lies behind.
    pub(crate) fn before(self, now: UnixTime) -> UnixTime {
        match self {
            Self::Span(span) => now.minus(span),
            Self::Time(time) => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_span_or_a_time() {
        let now = UnixTime(1_700_000_000);
        let day = Point::parse("1d").unwrap();
        assert_eq!((day.ahead_of(now).0 - now.0, now.0 - day.before(now).0), (86_400, 86_400));
        for text in ["2023-11-14T00:00:00Z", "2023-11-14 00:00:00", "2023-11-14"] {
            assert_eq!(Point::parse(text), Ok(Point::Time(UnixTime(1_699_920_000))), "{text}");
        }
        for text in ["", "tomorrow", "30", "2023-13-01"] {
            assert!(Point::parse(text).is_err(), "{text}");
        }
    }
}
