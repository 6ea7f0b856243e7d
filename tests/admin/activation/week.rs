//! The day of the week, from the clock alone.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// 1970-01-01 was a Thursday.
pub(crate) fn weekday() -> usize {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    usize::try_from((days + 3) % 7).unwrap()
}
