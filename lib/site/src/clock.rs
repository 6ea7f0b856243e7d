//! The clock: Slurm's peers judge certificates by theirs (slurm-contract.md 3.4), so lives begin backdated.

use std::time::{SystemTime, UNIX_EPOCH};

use pki::time::UnixTime;

/// Now, by this host's clock. A clock before 1970 reads as 1970, which every CA refuses.
#[must_use]
pub fn now() -> UnixTime {
    of(SystemTime::now())
}

/// A file's time, or any other of the system's.
#[must_use]
pub fn of(time: SystemTime) -> UnixTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UnixTime(i64::try_from(seconds).unwrap_or(i64::MAX))
}
