//! Times and spans as people read and write them.

use std::time::Duration;

use pki::time::UnixTime;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const CENTURY: Duration = Duration::from_secs(100 * 31_557_600);

/// `in 9y 364d`, `3d 2h ago`, `now`: the two largest units, which is as close as anyone plans.
pub(crate) fn relative(time: UnixTime, now: UnixTime) -> String {
    if time == now {
        return "now".into();
    }
    let text = span(Duration::from_secs(time.0.abs_diff(now.0)));
    if time.0 >= now.0 { format!("in {text}") } else { format!("{text} ago") }
}

/// `2026-12-01T00:00:00Z (in 8d 20h)`.
pub(crate) fn shown(time: UnixTime, now: UnixTime) -> String {
    format!("{time} ({})", relative(time, now))
}

/// The two largest units of a span.
pub(crate) fn span(length: Duration) -> String {
    let whole = humantime::format_duration(length).to_string();
    let units =
        [("years", "y"), ("year", "y"), ("months", "mo"), ("month", "mo"), ("days", "d"), ("day", "d")];
    let short = |word: &str| {
        let unit = units.iter().find_map(|(long, short)| Some(word.strip_suffix(long)?.to_owned() + short));
        unit.unwrap_or_else(|| word.to_owned())
    };
    whole.split(' ').take(2).map(short).collect::<Vec<_>>().join(" ")
}

/// A time for a file's name: `20261122T030405Z`.
pub(crate) fn for_file_name(time: UnixTime) -> String {
    time.to_string().replace(['-', ':'], "")
}

/// Reads `10y`, `365d` or `168h` from the command line, a minute to a century long.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|_| "not a time like 10y, 365d or 168h".to_owned())?;
    if (MINUTE..=CENTURY).contains(&span) { Ok(span) } else { Err("not between 1m and 100y".into()) }
}

/// Reads a limit such as `50s` from the command line, a second to a day long; a number alone is seconds, as monitors
/// have it.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn parse_limit(text: &str) -> Result<Duration, String> {
    let number = text.parse().map(Duration::from_secs);
    let limit = number.or_else(|_| humantime::parse_duration(text));
    let limit = limit.map_err(|_| "not a time like 50s or 2m".to_owned())?;
    if (SECOND..=DAY).contains(&limit) { Ok(limit) } else { Err("not between 1s and 1d".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_from_now_in_two_units() {
        let now = UnixTime(1_700_000_000);
        assert_eq!(relative(now.plus(Duration::from_secs(90_061)), now), "in 1d 1h");
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(now.plus(Duration::from_secs(400 * 86_400)), now), "in 1y 1mo");
        assert_eq!(relative(now.minus(Duration::from_secs(61)), now), "1m 1s ago");
        assert_eq!(for_file_name(now), "20231114T221320Z");
    }

    #[test]
    fn a_limit_may_be_seconds_without_a_unit() {
        assert_eq!(parse_limit("2m").unwrap().as_secs(), 120);
        assert_eq!(parse_limit("50").unwrap().as_secs(), 50);
        for bad in ["", "0", "100ms", "2d", "-1", "soon"] {
            assert!(parse_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_has_a_unit_and_bounds() {
        assert_eq!(parse_span("10y").unwrap().as_secs(), 315_576_000);
        for bad in ["", "10", "1s", "200y", "-1d"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
