//! Renewal on other hosts: all are looked at together, and what is due is brought to all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::x509::X509;
use site::config::Daemon;
use site::file;

use super::super::facts::DaemonFacts;
use super::super::target::{Place, Target, is_static};
use super::outcome::Outcome;
use super::there::{self, There};
use super::work::{Decision, Work, common_name};
use crate::advice::Advice;
use crate::daemon_files::Pair;
use crate::fleet::{Delivery, Fleet, INTERRUPTED};
use crate::interrupt;
use crate::report;

/// As long before its end a certificate was good, if it ever was.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What was seen of other hosts before anything was renewed on this one.
pub(super) struct Others<'a> {
    fleet: Fleet,
    /// This host's certificates as they were then.
    own: BTreeMap<&'static str, Vec<u8>>,
    seen: Vec<(&'a Target, Result<There, String>)>,
}

/// A new pair that is on its way.
struct Pending<'a> {
    target: &'a Target,
    why: String,
    pair: Pair,
    delivery: Delivery,
}

impl<'a> Others<'a> {
    /// Looks at them. A controller that stands by may have this host's own files, on storage that both have: that can be
    /// told only before one of them changes.
    ///
    /// # Errors
    /// When `[fleet]` has no meaning.
    pub(super) fn look(work: &Work<'_>, targets: &'a [Target]) -> anyhow::Result<Self> {
        let fleet = Fleet::of(work.admin)?;
        let others: Vec<&Target> = targets.iter().filter(|target| target.place != Place::Here).collect();
        let seen = there::look(work.global, &fleet, &others);
        let own = targets.iter().filter(|target| target.place == Place::Here && !is_static(target.daemon));
        let own = own.filter_map(|target| Some((target.daemon.short(), own_certificate(target)?))).collect();
        Ok(Self { fleet, own, seen: others.into_iter().zip(seen).collect() })
    }

    /// Renews what is due there. `renewed`: the daemons that have a new pair on this host by now.
    pub(super) fn renew(self, work: &Work<'_>, renewed: &[Daemon]) -> Vec<(&'a Target, Outcome)> {
        let Self { fleet, own, seen } = self;
        let is_own = |target: &Target, there: &There| {
            let own = own.get(target.daemon.short());
            own.is_some_and(|own| there.cert.as_ref() == Some(own))
        };
        let (shared, mut seen): (Vec<_>, Vec<_>) = seen
            .into_iter()
            .partition(|(target, there)| there.as_ref().is_ok_and(|there| is_own(target, there)));
        let (again, settled): (Vec<_>, Vec<_>) =
            shared.into_iter().partition(|(target, _)| renewed.contains(&target.daemon));
        let mut done: Vec<_> =
            settled.into_iter().map(|(target, _)| (target, Outcome::shared(target))).collect();
        let again: Vec<&Target> = again.into_iter().map(|(target, _)| target).collect();
        let looked = if again.is_empty() { Vec::new() } else { there::look(work.global, &fleet, &again) };
        for (target, there) in again.into_iter().zip(looked) {
            match &there {
                Ok(now) if now.cert == own_certificate(target) => {
                    done.push((target, Outcome::shared(target)));
                }
                // It was a copy.
                _ => seen.push((target, there)),
            }
        }
        let mut pending = Vec::new();
        let bar = report::progress(work.global, seen.len(), "new pairs");
        for (target, there) in seen {
            match begin(work, target, there) {
                Ok(Begun::Stays(outcome)) => done.push((target, outcome)),
                Ok(Begun::Pending(one)) => pending.push(one),
                Err(e) => done.push((target, Outcome::failed(target, &e))),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        done.extend(deliver(work, &fleet, pending));
        done
    }
}

fn own_certificate(target: &Target) -> Option<Vec<u8>> {
    file::read_with_metadata(&target.config.cert, MAX_CHAIN_PEM).ok().map(|(pem, _)| pem.expose().to_vec())
}

enum Begun<'a> {
    Stays(Outcome),
    Pending(Pending<'a>),
}

fn begin<'a>(work: &Work<'_>, target: &'a Target, there: Result<There, String>) -> anyhow::Result<Begun<'a>> {
    let there = there.map_err(|why| {
        Advice::new(
            why,
            "mend that and run the same again; --skip HOSTLIST leaves dead hosts out and remembers them",
        )
    })?;
    let cert = there.cert.as_deref();
    let facts =
        DaemonFacts::elsewhere(target.daemon, &target.config, cert, there.has_key, &work.trusted, work.now);
    let why = match work.decide(target, &facts)? {
        Decision::Stay(outcome) => return Ok(Begun::Stays(outcome)),
        Decision::Renew(why) => why,
    };
    if there.foreign && !is_static(target.daemon) && !work.force {
        let (host, short) = (target.place.host(), target.daemon.short());
        return Err(Advice::new(
            format!("not made by slurm-pki: {} or its key on {host}", target.config.cert.display()),
            format!(
                "slurm-pki cert renew --only {short} --force puts links to a new pair there and keeps dated copies; or run \
                 it on {host}, where files stay files"
            ),
        )
        .into());
    }
    // What is issued now would be brought nowhere.
    if interrupt::came() {
        return Err(Advice::new(INTERRUPTED, "run the same again").into());
    }
    let looks = work.looks(target, there.looks)?;
    if work.only_says_for_vault() {
        return Ok(Begun::Stays(work.would_renew(target, why)));
    }
    let named = facts.chain.first().filter(|_| is_its_own(work, target, &facts.chain));
    let pair = work.issue(target, facts.chain.first(), named)?;
    let delivery = there.delivery(target, &pair, looks, work.now).map_err(anyhow::Error::msg)?;
    Ok(Begun::Pending(Pending { target, why, pair, delivery }))
}

/// Whether the certificate that a host shows was issued to it, be its time over or not. Root there could show any other:
/// of another CA, or one that daemons show to everybody; the names in those are not for this host.
fn is_its_own(work: &Work<'_>, target: &Target, chain: &[X509]) -> bool {
    let Some(facts) = chain.first().map(X509::facts) else { return false };
    let is_named = facts.common_names.as_slice() == [common_name(target).into_bytes()];
    // The program's name stands in the certificates of all its hosts.
    let host = target.place.host();
    let names_host =
        facts.dns.as_deref().unwrap_or_default().iter().any(|name| name.eq_ignore_ascii_case(&host));
    let when = work.now.min(facts.not_after.minus(LAST_MOMENT));
    is_named && (is_static(target.daemon) || names_host) && work.trusted.accept(chain, when)
}

/// One daemon of each host at a time: one that fails is not to take another along.
fn deliver<'a>(work: &Work<'_>, fleet: &Fleet, mut pending: Vec<Pending<'a>>) -> Vec<(&'a Target, Outcome)> {
    let mut done = Vec::new();
    while !pending.is_empty() {
        let mut hosts = BTreeSet::new();
        let (round, later): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|one| hosts.insert(one.target.place.host()));
        pending = later;
        let deliveries = round.iter().map(|one| one.delivery.clone()).collect();
        let said = (!work.global.dry_run).then(|| fleet.deliver(work.global, "certificates", deliveries));
        for Pending { target, why, pair, .. } in round {
            let arrived = said.as_ref().map_or(Ok(()), |said| arrived(said.of(&target.place.host()), &pair));
            let outcome = arrived.and_then(|()| work.renewed(target, why, &pair));
            done.push((target, outcome.unwrap_or_else(|e| Outcome::failed(target, &e))));
        }
    }
    done
}

fn arrived(said: Option<&Result<Vec<String>, String>>, pair: &Pair) -> anyhow::Result<()> {
    let why = match said {
        Some(Ok(said)) if there::is_there(said, pair) => return Ok(()),
        Some(Ok(_)) => "the new certificate does not lie there where the daemon looks for it".to_owned(),
        Some(Err(why)) => why.clone(),
        None => "it was not asked".to_owned(),
    };
    Err(Advice::new(why, "the pair that was there counts still, or the new one: run the same again").into())
}
