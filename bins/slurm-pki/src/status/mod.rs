//! `slurm-pki status`: one table over everything, and what runs out next. `slurm-pki metrics` says the same in
//! numbers ([`crate::metrics`]).
//!
//! Each part that cannot be read says so in its place, and does not hide the others.

mod ca;
mod ending;
mod keys;
mod ledger;
mod nodes;
mod show;
mod skipped;
mod tokens;
mod vault;

use std::io::ErrorKind;

use clap::Args;
use pki::policy::Bind;
use pki::time::UnixTime;
use serde::Serialize;
use site::clock;

pub(crate) use ca::{Ca, CaCertificate};
pub(crate) use ending::Ending;
pub(crate) use ledger::LedgerState;
pub(crate) use nodes::{CertificateState, Nodes};
pub(crate) use skipped::Skipped;
pub(crate) use tokens::Tokens;
pub(crate) use vault::VaultState;

use crate::admin::Admin;
use crate::advice::Advice;
use crate::ca::rollover::UnderWay;
use crate::cert::facts::DaemonFacts;
use crate::global::Global;
use crate::key_facts::KeyFacts;
use crate::node::census::Census;
use crate::report;

/// CA, daemons, nodes, tokens, ledger and keys in one table, and what runs out next
#[derive(Args, Debug)]
#[command(
    after_help = "Run it as root or as SlurmUser: others may not read everything, and the parts that they may not \
    say so. Daemons are those of this host: run it on the others too, or slurm-pki cert renew --dry-run here, which \
    looks at all of them.\n\n\
    Exit codes: 0 shown, whatever it is; 1 a part could not be read; 64 wrong usage. To be warned, use slurm-pki \
    check or slurm-pki metrics.\n\n\
    Examples:\n  \
    slurm-pki status\n  \
    slurm-pki status --json | jq '.data.next[0]'              what runs out first\n  \
    slurm-pki status --json | jq -r '.data.nodes.expired'     as a hostlist"
)]
pub(crate) struct Status {}

impl Status {
    /// Runs the command.
    ///
    /// # Errors
    /// When config or slurm.conf cannot be used, or a part cannot be read; the others are shown all the same.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let overview = Overview::of(global, &admin)?;
        if global.json {
            report::json("slurm-pki.status.v1", &overview)?;
        } else {
            show::print(&admin, &overview)?;
        }
        overview.whole()
    }
}

/// A part of the site, or why it is not known.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Part<T> {
    /// This host has no controller's state: neither store nor ledger. Null in JSON.
    Elsewhere,
    /// As it is.
    Known(T),
    /// It could not be read.
    Unknown {
        /// Why.
        problem: String,
    },
}

impl<T> Part<T> {
    /// What is known of it.
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(part) => Some(part),
            Self::Unknown { .. } | Self::Elsewhere => None,
        }
    }

    fn is_here(&self) -> bool {
        !matches!(self, Self::Elsewhere)
    }

    fn problem(&self) -> Option<&str> {
        match self {
            Self::Known(_) | Self::Elsewhere => None,
            Self::Unknown { problem } => Some(problem),
        }
    }
}

impl<T> From<anyhow::Result<T>> for Part<T> {
    fn from(result: anyhow::Result<T>) -> Self {
        match result {
            Ok(part) => Self::Known(part),
            Err(e) => Self::Unknown { problem: format!("{e:#}") },
        }
    }
}

/// The whole site at one time.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    /// When it was looked at.
    pub(crate) time: UnixTime,
    /// The cluster's name.
    pub(crate) cluster: String,
    /// Whether requests must be bound.
    pub(crate) bind: &'static str,
    /// What hosts trust and what signs.
    pub(crate) ca: Part<Ca>,
    /// A change of CA that is under way.
    pub(crate) rollover: Part<Option<UnderWay>>,
    /// The pairs of this host's daemons.
    pub(crate) daemons: Vec<DaemonFacts>,
    /// Nodes and their certificates.
    pub(crate) nodes: Part<Nodes>,
    /// Nodes' tokens.
    pub(crate) tokens: Part<Tokens>,
    /// Hosts that a command left out.
    pub(crate) skipped: Part<Vec<Skipped>>,
    /// Where certificates are recorded.
    pub(crate) ledger: Part<LedgerState>,
    /// Vault, where CA or records are there.
    pub(crate) vault: Part<VaultState>,
    /// Keys of auth/slurm and auth/jwt.
    pub(crate) keys: Part<KeyFacts>,
    /// What runs out, the first first.
    pub(crate) next: Vec<Ending>,
}

impl Overview {
    /// Looks at everything.
    ///
    /// # Errors
    /// When the config has no meaning.
    pub(crate) fn of(global: &Global, admin: &Admin) -> anyhow::Result<Self> {
        let now = clock::now();
        let mut overview = Self {
            time: now,
            cluster: admin.cluster(),
            bind: bind_word(admin.controller.bind),
            ca: Ca::of(admin, now).into(),
            rollover: Part::Elsewhere,
            daemons: DaemonFacts::of_this_host(admin, now)?,
            nodes: Part::Elsewhere,
            tokens: Part::Elsewhere,
            skipped: Part::Elsewhere,
            ledger: Part::Elsewhere,
            vault: Part::Elsewhere,
            keys: Part::Elsewhere,
            next: Vec::new(),
        };
        if is_controller(admin) {
            overview.look_at_state(global, admin);
        }
        overview.next = ending::all(&overview);
        Ok(overview)
    }

    /// What only a controller has.
    fn look_at_state(&mut self, global: &Global, admin: &Admin) {
        let census = Census::take(global, admin);
        (self.nodes, self.tokens) = match census {
            Ok(census) => (
                Part::Known(Nodes::of(admin, &census, self.time)),
                Part::Known(Tokens::of(&census, self.time)),
            ),
            Err(e) => {
                let problem = format!("{e:#}");
                (Part::Unknown { problem: problem.clone() }, Part::Unknown { problem })
            }
        };
        self.rollover = UnderWay::of(admin).into();
        self.skipped = skipped::of(admin).into();
        self.ledger = LedgerState::of(admin).into();
        self.vault = VaultState::of(admin, self.time);
        self.keys = KeyFacts::of(admin).into();
    }

    /// The parts that this host has, and whether each could be read.
    pub(crate) fn parts(&self) -> Vec<(&'static str, bool)> {
        let all = [
            ("ca", self.ca.is_here()),
            ("rollover", self.rollover.is_here()),
            ("nodes", self.nodes.is_here()),
            ("tokens", self.tokens.is_here()),
            ("skipped", self.skipped.is_here()),
            ("ledger", self.ledger.is_here()),
            ("vault", self.vault.is_here()),
            ("keys", self.keys.is_here()),
        ];
        let problems = self.problems();
        let readable = |part| !problems.iter().any(|(unreadable, _)| *unreadable == part);
        all.into_iter().filter(|(_, here)| *here).map(|(part, _)| (part, readable(part))).collect()
    }

    /// The parts that could not be read.
    pub(crate) fn problems(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("ca", self.ca.problem()),
            ("rollover", self.rollover.problem()),
            ("nodes", self.nodes.problem()),
            ("tokens", self.tokens.problem()),
            ("skipped", self.skipped.problem()),
            ("ledger", self.ledger.problem()),
            ("vault", self.vault.problem()),
            ("keys", self.keys.problem()),
        ];
        all.into_iter().filter_map(|(part, problem)| Some((part, problem?))).collect()
    }

    /// Nothing, when every part could be read.
    ///
    /// # Errors
    /// Else, with all that could not.
    pub(crate) fn whole(&self) -> anyhow::Result<()> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        let parts: Vec<_> = problems.iter().map(|(part, problem)| format!("{part} ({problem})")).collect();
        Err(Advice::new(
            format!("not everything could be read: {}", parts.join("; ")),
            "run it as root or as SlurmUser; if you did, mend what is named here",
        )
        .into())
    }
}

/// Whether this host has a controller's state. slurmdbd's host, say, has a pair and nothing else to show; a site
/// whose folders cannot be looked at is not taken for one.
fn is_controller(admin: &Admin) -> bool {
    let files = &admin.controller;
    [&files.tokens, &files.ledger]
        .into_iter()
        .any(|folder| !matches!(folder.symlink_metadata(), Err(e) if e.kind() == ErrorKind::NotFound))
}

/// As the config has it.
pub(crate) fn bind_word(bind: Bind) -> &'static str {
    match bind {
        Bind::Required => "required",
        Bind::Warn => "warn",
        Bind::Off => "off",
    }
}
