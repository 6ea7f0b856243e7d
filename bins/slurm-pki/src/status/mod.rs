//! `slurm-pki status`: one table over everything, and what runs out next. `slurm-pki metrics` says the same in
//! numbers ([`crate::metrics`]).
//!
//! Each part that cannot be read says so in its place, and does not hide the others.

mod ca;
mod ending;
mod ledger;
mod nodes;
mod rollover;
mod show;
mod skipped;
mod tokens;

use clap::Args;
use pki::policy::Bind;
use pki::time::UnixTime;
use serde::Serialize;
use site::clock;

pub(crate) use ca::{Ca, CaCertificate};
pub(crate) use ending::Ending;
pub(crate) use ledger::LedgerState;
pub(crate) use nodes::{CertificateState, Nodes};
pub(crate) use rollover::Rollover;
pub(crate) use skipped::Skipped;
pub(crate) use tokens::Tokens;

use crate::admin::Admin;
use crate::advice::Advice;
use crate::cert::facts::DaemonFacts;
use crate::global::Global;
use crate::node::census::Census;
use crate::report;

/// CA, daemons, nodes, tokens and ledger in one table, and what runs out next
#[derive(Args, Debug)]
#[command(
    after_help = "Run it as root or as SlurmUser: others may not read everything, and the parts that they may not \
    say so.\n\n\
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
            Self::Unknown { .. } => None,
        }
    }

    fn problem(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
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
    pub(crate) rollover: Part<Option<Rollover>>,
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
        let census = Census::take(global, admin);
        let (nodes, tokens) = match census {
            Ok(census) => {
                (Part::Known(Nodes::of(admin, &census, now)), Part::Known(Tokens::of(&census, now)))
            }
            Err(e) => {
                let unknown = || format!("{e:#}");
                (Part::Unknown { problem: unknown() }, Part::Unknown { problem: unknown() })
            }
        };
        let mut overview = Self {
            time: now,
            cluster: admin.cluster(),
            bind: bind_word(admin.controller.bind),
            ca: Ca::of(admin, now).into(),
            rollover: Rollover::of(admin).into(),
            daemons: DaemonFacts::of_this_host(admin, now)?,
            nodes,
            tokens,
            skipped: skipped::of(admin).into(),
            ledger: LedgerState::of(admin).into(),
            next: Vec::new(),
        };
        overview.next = ending::all(&overview);
        Ok(overview)
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

/// As the config has it.
pub(crate) fn bind_word(bind: Bind) -> &'static str {
    match bind {
        Bind::Required => "required",
        Bind::Warn => "warn",
        Bind::Off => "off",
    }
}
