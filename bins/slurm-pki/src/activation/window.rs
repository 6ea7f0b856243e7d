//! Whether a daemon's window is open, by the clock on this host's wall.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pki::time::UnixTime;
use site::config::Window;

/// A window of one hour a week may fall into the hour that summer time takes away; the next one is open.
const MINUTES_AHEAD: i64 = 15 * 24 * 60;

/// Whether it is open. When clocks go forward, an hour of it may be missing; when they go back, one comes twice.
pub(crate) fn is_open(window: &Window, at: UnixTime) -> bool {
    is_open_in(window, at, &TimeZone::system())
}

/// When it opens next; `at` itself where it is open.
pub(crate) fn next_opening(window: &Window, at: UnixTime) -> Option<UnixTime> {
    next_opening_in(window, at, &TimeZone::system())
}

fn is_open_in(window: &Window, at: UnixTime, zone: &TimeZone) -> bool {
    let Ok(at) = Timestamp::from_second(at.0) else { return false };
    let local = zone.to_datetime(at);
    let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
    let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
    window.covers(day, minute)
}

/// Minute by minute: 20,000 looks at a table are nothing, and no rule about summer time can be got wrong.
fn next_opening_in(window: &Window, at: UnixTime, zone: &TimeZone) -> Option<UnixTime> {
    let first = UnixTime(at.0 - at.0.rem_euclid(60));
    let minutes = (1..=MINUTES_AHEAD).map(|minute| UnixTime(first.0.saturating_add(minute * 60)));
    std::iter::once(at).chain(minutes).find(|minute| is_open_in(window, *minute, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Europe's rules, told without any file of the host: summer time from the last Sunday of March, 02:00, to the last
    /// Sunday of October, 03:00.
    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn at(utc: &str) -> UnixTime {
        UnixTime(utc.parse::<Timestamp>().unwrap().as_second())
    }

    fn open(window: &str, utc: &str) -> bool {
        is_open_in(&Window::parse(window).unwrap(), at(utc), &berlin())
    }

    fn next(window: &str, utc: &str) -> String {
        let next = next_opening_in(&Window::parse(window).unwrap(), at(utc), &berlin()).unwrap();
        next.to_string()
    }

    #[test]
    fn the_clock_on_the_wall_counts_in_winter_and_in_summer() {
        assert!(open("Sun 02:00-04:00", "2026-01-04T01:30:00Z"));
        assert!(!open("Sun 02:00-04:00", "2026-07-05T02:30:00Z"));
        assert!(open("Sun 02:00-04:00", "2026-07-05T01:30:00Z"));
        assert_eq!(next("Sun 02:00-04:00", "2026-01-05T12:34:56Z"), "2026-01-11T01:00:00Z");
        assert_eq!(next("Mon-Fri 22:00-05:00", "2026-07-04T12:00:00Z"), "2026-07-06T20:00:00Z");
        assert_eq!(next("Sun 02:00-04:00", "2026-01-04T01:30:15Z"), "2026-01-04T01:30:15Z");
    }

    #[test]
    fn of_the_hour_that_summer_time_takes_away_nothing_is_open() {
        // 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
        assert_eq!(next("Sun 02:30-04:00", "2026-03-29T00:00:00Z"), "2026-03-29T01:00:00Z");
        assert!(!open("Sun 02:30-04:00", "2026-03-29T02:00:00Z"));
        assert_eq!(next("Sun 02:15-02:45", "2026-03-28T12:00:00Z"), "2026-04-05T00:15:00Z");
    }

    #[test]
    fn the_hour_that_comes_twice_is_open_twice() {
        // 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
        for (utc, is) in
            [("2026-10-25T00:30:00Z", true), ("2026-10-25T01:30:00Z", true), ("2026-10-25T02:00:00Z", false)]
        {
            assert_eq!(open("Sun 02:00-03:00", utc), is, "{utc}");
        }
    }
}
