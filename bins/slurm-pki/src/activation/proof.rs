//! What a daemon serves, seen from outside.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pki::x509::X509;

use crate::probe::{Address, Probe, ProbeError, Served};

/// How long one connection may take.
const ONE_LOOK: Duration = Duration::from_secs(5);

/// Between two looks.
const NAP: Duration = Duration::from_millis(200);

/// A daemon that still serves it so much later has not died of it at its start.
const STEADY: Duration = Duration::from_secs(1);

/// A daemon that goes on giving the wrong answer for so long is not one that is still on its way down.
const WRONG_FOR: Duration = Duration::from_secs(10);

/// What one look shows.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The certificate that was looked for.
    ServesIt(Served),
    /// Another one.
    ServesAnother(Served),
    /// It answers, and not in TLS.
    NotTls(String),
    /// Nobody is there.
    Down(String),
    /// It answers, and what it serves cannot be told.
    Unclear(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServesIt(served) => write!(f, "it serves that certificate ({})", spoken(served)),
            Self::ServesAnother(served) => {
                let serial = served.leaf().map_or("none", |leaf| leaf.facts().serial.as_str());
                write!(f, "it serves another certificate, with serial {serial} ({})", spoken(served))
            }
            Self::NotTls(why) | Self::Down(why) | Self::Unclear(why) => f.write_str(why),
        }
    }
}

/// "TLS 1.3, TLS13_AES_256_GCM_SHA384".
pub(crate) fn spoken(served: &Served) -> String {
    format!("{}, {}", served.version, served.cipher)
}

/// One look at each address: the first that does not serve `wanted` is the answer.
pub(crate) fn look(addresses: &[Address], wanted: &X509) -> Answer {
    look_within(addresses, wanted, ONE_LOOK)
}

fn look_within(addresses: &[Address], wanted: &X509, wait: Duration) -> Answer {
    let mut answer = Answer::Unclear("nobody knows where it answers".into());
    for address in addresses {
        answer = one(address, wanted, wait);
        if !matches!(answer, Answer::ServesIt(_)) {
            break;
        }
    }
    answer
}

fn one(address: &Address, wanted: &X509, wait: Duration) -> Answer {
    match (Probe { address, tls12_only: false, client: None, wait }).run() {
        Ok(served) if served.leaf().is_some_and(|leaf| leaf.der() == wanted.der()) => {
            Answer::ServesIt(served)
        }
        Ok(served) => Answer::ServesAnother(served),
        Err(ProbeError::Unreachable(why)) => Answer::Down(format!("nobody answers: {why}")),
        Err(e @ ProbeError::NotTls(_)) => Answer::NotTls(format!("{address}: {e}")),
        Err(e) => Answer::Unclear(format!("{address}: {e}")),
    }
}

/// Looks until `wanted` is served and goes on being served, for `wait` at most; a wrong answer need not be waited for as long
/// as none.
///
/// # Errors
/// The last answer.
pub(crate) fn wait_for(addresses: &[Address], wanted: &X509, wait: Duration) -> Result<Served, Answer> {
    let deadline = Instant::now() + wait;
    let (mut right_before, mut wrong_since) = (false, None);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // The look that confirms has all its time, wherever the deadline is by then.
        let one_look = if right_before { ONE_LOOK } else { ONE_LOOK.min(left.max(NAP)) };
        let answer = look_within(addresses, wanted, one_look);
        match answer {
            Answer::ServesIt(served) if right_before => return Ok(served),
            Answer::ServesIt(_) => {
                (right_before, wrong_since) = (true, None);
                sleep(STEADY);
                continue;
            }
            Answer::ServesAnother(_) | Answer::NotTls(_) => {
                wrong_since.get_or_insert_with(Instant::now);
            }
            Answer::Down(_) | Answer::Unclear(_) => wrong_since = None,
        }
        right_before = false;
        let wrong_long_enough = wrong_since.is_some_and(|since| since.elapsed() >= WRONG_FOR);
        if wrong_long_enough || Instant::now() >= deadline {
            return Err(answer);
        }
        sleep(NAP);
    }
}
