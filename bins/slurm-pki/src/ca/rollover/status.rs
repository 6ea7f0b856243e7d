//! `slurm-pki ca rollover status`.

use clap::Args;
use pki::key::PrivateKey;
use pki::time::UnixTime;
use pki::x509::X509;
use serde::Serialize;
use site::clock;
use site::signer;

use super::alive::{self, Holder};
use super::hosts;
use super::in_vault::{self, InVault};
use super::state::{self, Named, Phase, State};
use crate::admin::Admin;
use crate::fleet::{Missed, Skips};
use crate::global::Global;
use crate::hostlist;
use crate::moment;
use crate::report;

/// Show where a rollover stands, and what is left to do
#[derive(Args, Debug)]
#[command(after_help = "Run it as root or as SlurmUser.\n\n\
    Exit codes: 0 shown, whether one is under way or not; 1 failed; 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki ca rollover status\n  \
    slurm-pki ca rollover status --json | jq -r .data.phase")]
pub(super) struct Status {}

/// All of it; without a rollover only the phase, "none".
#[derive(Serialize)]
struct Shown {
    phase: String,
    since: Option<UnixTime>,
    begun: Option<UnixTime>,
    old: Option<Named>,
    new: Option<Named>,
    /// Who issues: "old" or "new"; null: the key or Vault cannot be read, or it is another one.
    signs: Option<&'static str>,
    /// Issuers in Vault; null: the CA is not there, or they cannot be read.
    issuers: Option<Vec<in_vault::Shown>>,
    /// Hosts that were given the bundle of this host.
    hosts_given: usize,
    /// Hosts that were not.
    hosts_lacking: Vec<String>,
    /// Dead hosts that were left out.
    hosts_skipped: Vec<String>,
    /// Names with a certificate of the old CA that has not ended, by the ledger.
    old_certificates: Vec<Holder>,
    /// What is left to do, in order.
    left: Vec<String>,
}

impl Status {
    pub(super) fn run(&self, global: &Global, admin: &Admin) -> anyhow::Result<()> {
        let now = clock::now();
        let shown = match State::load(&state::path(admin))? {
            Some(state) => look(admin, state, now)?,
            None => none(),
        };
        if global.json {
            return report::json("slurm-pki.ca.rollover.status.v1", &shown);
        }
        print(&shown, now);
        Ok(())
    }
}

fn none() -> Shown {
    Shown {
        phase: "none".into(),
        since: None,
        begun: None,
        old: None,
        new: None,
        signs: None,
        issuers: None,
        hosts_given: 0,
        hosts_lacking: Vec::new(),
        hosts_skipped: Vec::new(),
        old_certificates: Vec::new(),
        left: Vec::new(),
    }
}

fn look(admin: &Admin, state: State, now: UnixTime) -> anyhow::Result<Shown> {
    let hosts = hosts::standing(admin)?;
    let old_certificates = alive::holders(admin, &state.old.subject, now)?;
    let (signs, issuers) = match &state.vault {
        None => (signs(admin, &state), None),
        Some(issuers) => signs_in_vault(admin, issuers),
    };
    let left = left(&state, signs, &hosts.lacking, &old_certificates);
    Ok(Shown {
        phase: state.phase.to_string(),
        since: Some(state.since),
        begun: Some(state.begun),
        signs,
        issuers,
        hosts_given: hosts.given,
        hosts_lacking: hosts.lacking,
        hosts_skipped: Skips::load(admin)?.missing(Missed::CaCert),
        old_certificates,
        left,
        old: Some(state.old),
        new: Some(state.new),
    })
}

/// Who signs in Vault, and who is there. Without a token that may look, neither is known.
fn signs_in_vault(
    admin: &Admin,
    issuers: &in_vault::Issuers,
) -> (Option<&'static str>, Option<Vec<in_vault::Shown>>) {
    let look = || {
        let vault = InVault::of(admin)?;
        let signs = match (vault.signs(&issuers.new)?, vault.signs(&issuers.old)?) {
            (true, _) => Some("new"),
            (_, true) => Some("old"),
            _ => None,
        };
        anyhow::Ok((signs, vault.shown()?))
    };
    match look() {
        Ok((signs, shown)) => (signs, Some(shown)),
        Err(e) => {
            report::warning(&format!("Vault was not asked: {e:#}"));
            (None, None)
        }
    }
}

/// Whose key lies in `ca_key`.
fn signs(admin: &Admin, state: &State) -> Option<&'static str> {
    let key = signer::ca_key(&admin.controller.ca_key).ok()?;
    let certificates = signer::ca_certificates(&admin.controller).ok()?;
    let all = || certificates.chain.iter().chain(&certificates.anchors);
    let is_named = |ca: &X509, named: &Named| ca.facts().subject == named.subject && is_key_of(&key, ca);
    if all().any(|ca| is_named(ca, &state.new)) {
        Some("new")
    } else if all().any(|ca| is_named(ca, &state.old)) {
        Some("old")
    } else {
        None
    }
}

fn is_key_of(key: &PrivateKey, ca: &X509) -> bool {
    key.public().is_ok_and(|public| public.spki() == ca.facts().spki)
}

fn left(state: &State, signs: Option<&str>, lacking: &[String], old: &[Holder]) -> Vec<String> {
    let fold = |names: &[String]| hostlist::fold_texts(names.iter().map(String::as_str));
    let mut left = Vec::new();
    match state.phase {
        Phase::Begun => {
            if !lacking.is_empty() {
                left.push(format!("bring both roots to {}: slurm-pki ca rollover begin", fold(lacking)));
            }
            left.push("slurm-pki ca rollover switch".into());
        }
        Phase::Switched if signs != Some("new") => {
            left.push("complete it: slurm-pki ca rollover switch".into());
        }
        Phase::Switched => {
            let waiting: Vec<_> =
                old.iter().filter(|holder| !holder.has_newer).map(|holder| holder.name.clone()).collect();
            if !waiting.is_empty() {
                left.push(format!("wait for the renewal of {}", fold(&waiting)));
            }
            left.push(
                "restart slurmctld, slurmdbd and slurmrestd, where that was not done since switch".into(),
            );
            left.push("slurm-pki ca rollover finish".into());
        }
        Phase::Finishing => left.push("complete it: slurm-pki ca rollover finish".into()),
        Phase::Aborting => left.push("complete it: slurm-pki ca rollover abort".into()),
    }
    left
}

fn print(shown: &Shown, now: UnixTime) {
    let (Some(since), Some(old), Some(new)) = (shown.since, &shown.old, &shown.new) else {
        return report::line("no CA rollover is under way");
    };
    report::line(&format!("phase        {}, since {}", shown.phase, moment::shown(since, now)));
    for (name, ca) in [("old CA", old), ("new CA", new)] {
        report::line(&format!("{name:<12} {}, until {}", ca.subject, moment::shown(ca.not_after, now)));
        report::line(&format!("             SHA-256 {}", ca.sha256));
    }
    report::line(&format!("signs        {}", shown.signs.unwrap_or("neither, or the key cannot be read")));
    for (n, issuer) in shown.issuers.iter().flatten().enumerate() {
        report::line(&format!("{:<12} {issuer}", if n == 0 { "issuers" } else { "" }));
    }
    let lacking = hostlist::fold_texts(shown.hosts_lacking.iter().map(String::as_str));
    let not = if lacking.is_empty() { String::new() } else { format!(", not to {lacking}") };
    report::line(&format!("bundle       brought to {} hosts{not}", shown.hosts_given));
    if !shown.hosts_skipped.is_empty() {
        let skipped = hostlist::fold_texts(shown.hosts_skipped.iter().map(String::as_str));
        report::line(&format!("left out     {skipped}"));
    }
    let waiting = || shown.old_certificates.iter().filter(|holder| !holder.has_newer);
    if let Some(last) = waiting().map(|holder| holder.until).max() {
        let names = hostlist::fold_texts(waiting().map(|holder| holder.name.as_str()));
        report::line(&format!("old ones     {names}, the last until {}", moment::shown(last, now)));
    }
    for (n, step) in shown.left.iter().enumerate() {
        report::line(&format!("{:<12} {step}", if n == 0 { "left to do" } else { "" }));
    }
}
