//! certificate_renewal_period: minutes, as atoi() reads them, and how it fits the certificates' life.

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;
use crate::moment;
use crate::parameters::Parameters;

/// Slurm's default, in minutes.
const DEFAULT: i64 = 1440;

/// A certificate outlives so many renewals at least: nodes must survive a controller that is away.
const PERIODS_PER_LIFE: u64 = 5;

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

/// The period that nodes renew at, in minutes; `None` where they do not, or Slurm refuses it.
pub(in super::super) fn minutes(scene: &Scene) -> Option<u64> {
    let given = Parameters::of(scene.get("CertmgrParameters")).get("certificate_renewal_period");
    let period = given.map_or(DEFAULT, |text| atoi(text).0);
    u64::try_from(period).ok().filter(|minutes| *minutes > 0 && scene.certmgr_is_on())
}

/// Looks at the period.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if scene.get("CertmgrType").is_none() {
        return;
    }
    let given = Parameters::of(scene.get("CertmgrParameters")).get("certificate_renewal_period");
    if let Some(text) = given {
        let (number, more) = atoi(text);
        let fix = format!("give minutes without a unit (1440 is a day); {SHOW}");
        match number {
            ..0 => {
                let what = format!("certificate_renewal_period={text} is negative: certmgr does not start");
                return found.critical("period", what, fix);
            }
            0 => {
                let what =
                    format!("certificate_renewal_period={text} is 0 minutes: nodes renew without a pause");
                return found.critical("period", what, fix);
            }
            minutes if more => {
                let what = format!(
                    "certificate_renewal_period={text} is read as {minutes} min: a unit does not count"
                );
                return found.critical("period", what, fix);
            }
            _ => {}
        }
    }
    if let Some(minutes) = minutes(scene) {
        against_validity(scene, minutes, found);
    }
}

fn against_validity(scene: &Scene, minutes: u64, found: &mut Findings) {
    let validity = scene.admin.controller.validity;
    let periods = validity.as_secs() / (minutes.max(1) * 60);
    let life = moment::span(validity);
    let what = format!("nodes renew every {minutes} minutes, their certificates live {life}");
    let most = (validity.as_secs() / 60 / PERIODS_PER_LIFE).max(1);
    let fix = format!("certificate_renewal_period={most} at most, or a longer validity in [controller]");
    match periods {
        0 => found.critical("period-validity", format!("{what}: they expire before they are renewed"), fix),
        1..PERIODS_PER_LIFE => {
            let what =
                format!("{what}: less than {PERIODS_PER_LIFE} periods, so an outage becomes an expiry");
            found.warning("period-validity", what, fix);
        }
        _ => found.ok("period", what),
    }
}

#[cfg(test)]
mod tests {
    use super::atoi;

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
}
