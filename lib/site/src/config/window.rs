//! `window`: the hours in which a daemon may be restarted, as clocks on the wall have them.

use std::fmt;
use std::ops::Range;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_A_DAY: u16 = 24 * 60;

/// As many spans as anybody needs.
const MAX_SPANS: usize = 64;

/// `Sun 02:00-04:00`, `Mon-Fri 22:00-05:00` (past midnight), `02:00-04:00` (every day); several with commas in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    spans: Vec<Span>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    /// The days that it begins on, Monday first.
    days: [bool; 7],
    /// Minutes of the day. One that ends no later than it begins goes on past midnight.
    minutes: Range<u16>,
}

impl Window {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let spans: Vec<Span> = text.split(',').map(Span::parse).collect::<Result<_, _>>()?;
        if spans.len() > MAX_SPANS {
            return Err(format!("has more than {MAX_SPANS} parts"));
        }
        Ok(Self { spans, text: text.to_owned() })
    }

    /// Whether it is open on a day of the week (0 is Monday) at a minute of that day.
    #[must_use]
    pub fn covers(&self, day: usize, minute: u16) -> bool {
        self.spans.iter().any(|span| span.covers(day % 7, minute))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Span {
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, hours) = match words.as_slice() {
            [hours] => ([true; 7], hours),
            [days, hours] => (days_of(days)?, hours),
            _ => return Err("has a part that is not like Sun 02:00-04:00".into()),
        };
        let (from, to) = hours.split_once('-').ok_or("has a part without hours like 02:00-04:00")?;
        let minutes = minute_of(from)?..minute_of(to)?;
        if minutes.start == MINUTES_OF_A_DAY || minutes.start == minutes.end {
            return Err("has a part of no length: a whole day is 00:00-24:00".into());
        }
        Ok(Self { days, minutes })
    }

    fn covers(&self, day: usize, minute: u16) -> bool {
        let begins_on = |day: usize| self.days.get(day).copied().unwrap_or_default();
        let Range { start, end } = self.minutes;
        if start < end {
            return begins_on(day) && self.minutes.contains(&minute);
        }
        (begins_on(day) && minute >= start) || (begins_on((day + 6) % 7) && minute < end)
    }
}

/// `Sun`, or `Fri-Mon`.
fn days_of(text: &str) -> Result<[bool; 7], String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day_of(first)?, day_of(last)?);
    let mut days = [false; 7];
    let within =
        |day: usize| if first <= last { first <= day && day <= last } else { first <= day || day <= last };
    days.iter_mut().enumerate().for_each(|(day, is)| *is = within(day));
    Ok(days)
}

fn day_of(text: &str) -> Result<usize, String> {
    let day = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
    day.ok_or_else(|| "has a day that is none of Mon, Tue, Wed, Thu, Fri, Sat, Sun".into())
}

fn minute_of(text: &str) -> Result<u16, String> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_: &u16| digits)
    };
    let read = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    match read {
        Some((hour @ 0..24, minute @ 0..60)) => Ok(hour * 60 + minute),
        Some((24, 0)) => Ok(MINUTES_OF_A_DAY),
        _ => Err("has a time that is not like 02:00".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MON: usize = 0;
    const FRI: usize = 4;
    const SAT: usize = 5;
    const SUN: usize = 6;

    fn covers(window: &str, day: usize, time: &str) -> bool {
        Window::parse(window).unwrap().covers(day, minute_of(time).unwrap())
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_to_before_its_last() {
        for (time, open) in [("01:59", false), ("02:00", true), ("03:59", true), ("04:00", false)] {
            assert_eq!(covers("Sun 02:00-04:00", SUN, time), open, "{time}");
            assert_eq!(covers("02:00-04:00", MON, time), open, "{time}");
            assert!(!covers("Sun 02:00-04:00", SAT, time), "{time}");
        }
    }

    #[test]
    fn past_midnight_it_belongs_to_the_day_that_it_began_on() {
        let window = "mon-fri 22:00-05:00";
        for (day, time, open) in [
            (MON, "04:59", false),
            (MON, "22:00", true),
            (FRI, "23:59", true),
            (SAT, "04:59", true),
            (SAT, "05:00", false),
            (SAT, "22:00", false),
            (SUN, "03:00", false),
        ] {
            assert_eq!(covers(window, day, time), open, "{day} {time}");
        }
        assert!(covers("Sun 23:00-01:00", MON, "00:30"));
    }

    #[test]
    fn several_parts_and_days_around_the_weekend_are_taken() {
        let window = "Sat-Mon 00:00-24:00, Wed 12:00-12:01";
        for (day, open) in
            [(MON, true), (1, false), (2, true), (3, false), (FRI, false), (SAT, true), (SUN, true)]
        {
            assert_eq!(covers(window, day, "12:00"), open, "{day}");
        }
        assert!(!covers(window, 2, "12:01"));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for bad in [
            "",
            "Sun",
            "Sun 2:00-4:00",
            "Sun 02:00",
            "So 02:00-04:00",
            "02:00-25:00",
            "02:60-03:00",
            "24:00-02:00",
            "02:00-02:00",
            "Sun 02:00-04:00,",
            "Sun Mon 02:00-04:00",
            "+2:00-04:00",
            "Sun-Tue-Wed 02:00-04:00",
        ] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }
}
