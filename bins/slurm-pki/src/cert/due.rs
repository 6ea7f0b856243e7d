//! When a daemon's certificate is to be renewed.

use pki::time::UnixTime;
use pki::x509::X509;

/// Certificates of one day need not be renewed in one minute: as much of the life as this is spread.
const SPREAD: f64 = 0.05;

/// After the fraction `renew_at` of its life, or up to a twentieth of its life earlier. How much earlier depends on its
/// serial number alone: every run of every command comes to the same time.
pub(crate) fn due_at(leaf: &X509, renew_at: f64) -> UnixTime {
    let facts = leaf.facts();
    let life = facts.not_after.0.saturating_sub(facts.not_before.0).max(0);
    let at = (renew_at - SPREAD * jitter(&facts.serial)).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a life in seconds is far below 2^52"
    )]
    let passed = (life as f64 * at) as i64;
    UnixTime(facts.not_before.0.saturating_add(passed))
}

/// 0 to 1, from the last bytes of a random serial number in hex.
fn jitter(serial: &str) -> f64 {
    let last = serial.get(serial.len().saturating_sub(4)..).unwrap_or_default();
    f64::from(u16::from_str_radix(last, 16).unwrap_or_default()) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pki::ca::{NewCa, new_root};
    use pki::key::{KeyKind, PrivateKey};
    use pki::profile::Serial;

    use super::*;

    const BEGIN: UnixTime = UnixTime(1_700_000_000);
    const LIFE: Duration = Duration::from_secs(1_000_000);

    fn certificate(serial: [u8; 16]) -> X509 {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let serial = Serial::new(serial);
        let new = NewCa { common_name: "c", subject: &[], serial, validity: LIFE, backdate: Duration::ZERO };
        new_root(&key, &new, BEGIN).unwrap()
    }

    #[test]
    fn it_is_due_after_its_fraction_and_a_jitter_of_its_own() {
        let due = |serial| due_at(&certificate(serial), 0.66).0 - BEGIN.0;
        assert_eq!(due([0; 16]), 660_000);
        assert_eq!(due([0xff; 16]), 610_000);
        assert_eq!(due([7; 16]), due([7; 16]));
    }

    #[test]
    fn it_is_due_within_its_life_whatever_the_config_says() {
        for (serial, renew_at) in [([0; 16], 0.95), ([0xff; 16], 0.1)] {
            let due = due_at(&certificate(serial), renew_at);
            assert!(BEGIN < due && due < BEGIN.plus(LIFE), "{due:?}");
        }
    }
}
