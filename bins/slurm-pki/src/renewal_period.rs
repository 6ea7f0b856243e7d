//! `certificate_renewal_period`: how often nodes renew, as Slurm reads it (docs/slurm-contract.md 1.1): minutes, by atoi(3).

use std::time::Duration;

use crate::parameters::Parameters;

/// Slurm's default, in minutes.
pub(crate) const DEFAULT: u64 = 1440;

/// A certificate outlives so many renewals at least: nodes must survive a controller that is away for days.
pub(crate) const PER_LIFE: u64 = 5;

/// What CertmgrParameters say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RenewalPeriod<'a> {
    /// What stands there.
    pub(crate) text: Option<&'a str>,
    /// The number that Slurm makes of it; its own where nothing stands there.
    pub(crate) minutes: i64,
    /// Whether anything follows the number, or there is none.
    pub(crate) has_more: bool,
}

impl<'a> RenewalPeriod<'a> {
    /// Of CertmgrParameters.
    pub(crate) fn of(certmgr_parameters: Option<&'a str>) -> Self {
        match Parameters::of(certmgr_parameters).get("certificate_renewal_period") {
            None => Self { text: None, minutes: DEFAULT.cast_signed(), has_more: false },
            Some(text) => {
                let (minutes, has_more) = atoi(text);
                Self { text: Some(text), minutes, has_more }
            }
        }
    }

    /// In minutes; `None` where nodes renew without a pause, or certmgr does not start.
    pub(crate) fn in_minutes(self) -> Option<u64> {
        u64::try_from(self.minutes).ok().filter(|minutes| *minutes > 0)
    }

    /// The time from one renewal to the next; `None` too where that is thousands of years.
    pub(crate) fn length(self) -> Option<Duration> {
        let minutes = self.in_minutes().and_then(|minutes| u32::try_from(minutes).ok())?;
        Some(Duration::from_secs(u64::from(minutes) * 60))
    }
}

/// What `atoi` makes of a text, and whether anything follows the number.
fn atoi(text: &str) -> (i64, bool) {
    let trimmed = text.trim_start();
    let (sign, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    (sign * number.parse::<i64>().unwrap_or_default(), !rest.is_empty() || number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_atoi_reads_them() {
        for (text, read) in [
            ("1440", (1440, false)),
            ("1d", (1, true)),
            ("-5", (-5, false)),
            ("", (0, true)),
            ("soon", (0, true)),
            (" 7", (7, false)),
            ("0", (0, false)),
        ] {
            assert_eq!(atoi(text), read, "{text}");
        }
    }

    #[test]
    fn the_first_one_counts_and_one_without_a_meaning_has_no_length() {
        let minutes = |text: &str| RenewalPeriod::of(Some(text)).length().map(|length| length.as_secs() / 60);
        assert_eq!(RenewalPeriod::of(None).length(), Some(Duration::from_secs(24 * 3600)));
        assert_eq!(minutes("sign_csr_script=/x,certificate_renewal_period=60"), Some(60));
        assert_eq!(minutes("certificate_renewal_period=1d,certificate_renewal_period=5"), Some(1));
        for bad in ["0", "-5", "soon", "99999999999999999999", "5000000000"] {
            assert_eq!(minutes(&format!("certificate_renewal_period={bad}")), None, "{bad}");
        }
    }
}
