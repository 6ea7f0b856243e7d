//! Which pairs are renewed now, and why.

use pki::time::UnixTime;
use site::signer::Signer;

use super::super::facts::{DaemonFacts, State};
use crate::advice::{Advice, Advise as _};
use crate::moment;

/// What is to become of a pair.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A new one, for this reason.
    Renew(String),
    /// Nothing yet.
    Keep,
    /// Nothing, though it would be time, for this reason.
    Hold(String),
}

/// Judges a pair by what is known of it.
///
/// # Errors
/// When it cannot be read, or the CA's time is over.
pub(super) fn judge(
    facts: &DaemonFacts,
    signer: &Signer,
    force: bool,
    now: UnixTime,
) -> anyhow::Result<Verdict> {
    let why = || facts.why.clone().unwrap_or_default();
    if facts.state == State::Unknown {
        return Err(Advice::new(why(), "run it as root, or as the owner of the file").into());
    }
    if force {
        return Ok(Verdict::Renew("asked for by --force".into()));
    }
    if facts.state == State::Due {
        return due(facts, signer, why(), now);
    }
    if facts.state == State::Missing || facts.state.needs_renewal() {
        return Ok(Verdict::Renew(format!("{}: {}", facts.state.word(), why())));
    }
    match facts.chain.first() {
        Some(leaf) if !signer.has_signed(leaf) => Ok(Verdict::Renew(format!(
            "it was issued by {}, and not with the key that is the CA's now",
            leaf.facts().issuer
        ))),
        _ => Ok(Verdict::Keep),
    }
}

/// A CA near its end gives no more time than the pair has already: another one at every run would help nobody.
fn due(facts: &DaemonFacts, signer: &Signer, why: String, now: UnixTime) -> anyhow::Result<Verdict> {
    let last = signer.latest_end(now).advise()?;
    let ends = facts.leaf.as_ref().map_or(now, |leaf| leaf.not_after);
    if last <= ends {
        return Ok(Verdict::Hold(format!(
            "a new one would end no later: the CA itself ends {}; begin another: slurm-pki ca rollover begin",
            moment::shown(last, now)
        )));
    }
    Ok(Verdict::Renew(why))
}
