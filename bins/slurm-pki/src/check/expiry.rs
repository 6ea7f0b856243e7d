//! How long before its end a certificate is worth a word.

use std::time::Duration;

use pki::time::UnixTime;
use pki::x509::X509;
use site::config::CheckConfig;

use super::finding::{Findings, Severity};
use crate::moment;

/// Certificates that live short are renewed late in their life: a month's warning would never end for one of a week.
const WARN_PART: u32 = 4;
const CRITICAL_PART: u32 = 10;

/// How long it lives.
pub(super) fn life(one: &X509) -> Duration {
    let facts = one.facts();
    Duration::from_secs(
        u64::try_from(facts.not_after.0.saturating_sub(facts.not_before.0)).unwrap_or_default(),
    )
}

/// As bad as this time is near.
pub(super) fn severity(one: &X509, thresholds: &CheckConfig, now: UnixTime) -> Severity {
    let (facts, life) = (one.facts(), life(one));
    let within = |limit: Duration, part: u32| facts.not_after <= now.plus(limit.min(life / part));
    if now >= facts.not_after || within(thresholds.critical, CRITICAL_PART) {
        Severity::Critical
    } else if within(thresholds.warn, WARN_PART) || now < facts.not_before {
        Severity::Warning
    } else {
        Severity::Ok
    }
}

/// Says when `what` ends, and `fix` where that is near.
pub(super) fn look(
    found: &mut Findings,
    code: &'static str,
    what: &str,
    one: &X509,
    thresholds: &CheckConfig,
    now: UnixTime,
    fix: &str,
) {
    let end = one.facts().not_after;
    let text = if now >= end {
        format!("{what} expired at {}", moment::shown(end, now))
    } else if now < one.facts().not_before {
        format!("{what} is not valid before {}", moment::shown(one.facts().not_before, now))
    } else {
        format!("{what} ends {}", moment::shown(end, now))
    };
    match severity(one, thresholds, now) {
        Severity::Ok => found.ok(code, text),
        severity => found.add_as(severity, code, text, fix),
    }
}
