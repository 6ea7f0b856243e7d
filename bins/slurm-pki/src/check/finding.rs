//! What was looked at, and what came of it: a word for it that scripts know, what it is, and what to do.

use std::fmt;
use std::io;

use clap::ValueEnum;
use pki::explain::Explain;
use serde::Serialize;

use crate::advice::Advice;

/// How bad it is, the worst last; Nagios' words and codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// As it must be.
    Ok,
    /// It could not be looked at, and should have been.
    Unknown,
    /// It will hurt.
    Warning,
    /// It hurts, or will at the next restart or renewal.
    Critical,
}

impl Severity {
    /// The exit code that Nagios knows.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// The parts of a check, as `--only` knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// slurm.conf, slurmdbd.conf, and what slurmctld runs with
    Conf,
    /// Owner, mode and contents of files, ledger, store
    Files,
    /// What every host trusts, what signs, and until when
    Ca,
    /// Clock, /proc, audit rules, units
    Host,
    /// A compute node: its token, its certificate, its next start; on a controller, whether nodes renew
    Node,
    /// Keys of auth/slurm and auth/jwt
    Keys,
    /// Vault, where the CA or the records are there
    Vault,
    /// What slurmd and slurmctld would get now
    Rehearsal,
    /// The same on backup controllers, through the site's own tools
    Fleet,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) group: Group,
    /// One word, the same in every version.
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    /// What it is, in one line.
    pub(crate) what: String,
    /// What to do, in one line; nothing where all is well.
    pub(crate) fix: Option<String>,
}

/// All of them, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    group: Group,
    skip: Vec<String>,
    all: Vec<Finding>,
    skipped: Vec<Finding>,
    not_looked_at: Vec<String>,
}

impl Findings {
    /// None yet. Those whose code is in `skip` do not count, but are told.
    pub(crate) fn new(skip: &[String]) -> Self {
        Self {
            group: Group::Conf,
            skip: skip.to_vec(),
            all: Vec::new(),
            skipped: Vec::new(),
            not_looked_at: Vec::new(),
        }
    }

    /// What follows belongs to this group.
    pub(crate) fn begin(&mut self, group: Group) {
        self.group = group;
    }

    /// It is as it must be.
    pub(crate) fn ok(&mut self, code: &'static str, what: impl Into<String>) {
        self.add(code, Severity::Ok, what.into(), None);
    }

    /// It will hurt.
    pub(crate) fn warning(&mut self, code: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(code, Severity::Warning, what.into(), Some(fix.into()));
    }

    /// It hurts, or will at the next restart or renewal.
    pub(crate) fn critical(&mut self, code: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(code, Severity::Critical, what.into(), Some(fix.into()));
    }

    /// It should have been looked at, and could not.
    pub(crate) fn unknown(&mut self, code: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(code, Severity::Unknown, what.into(), Some(fix.into()));
    }

    /// As bad as `severity`.
    pub(crate) fn add_as(
        &mut self,
        severity: Severity,
        code: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(code, severity, what.into(), Some(fix.into()));
    }

    /// An error of ours: what happened, and its hint.
    pub(crate) fn critical_error(&mut self, code: &'static str, error: &impl Explain) {
        self.critical(code, error.to_string(), error.hint());
    }

    /// An error of a file: unknown where this user may not look, else critical.
    pub(crate) fn file_error(&mut self, code: &'static str, error: &site::Error) {
        match error {
            site::Error::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                self.unknown(code, error.to_string(), "run this as root or as SlurmUser");
            }
            error => self.critical_error(code, error),
        }
    }

    /// The same for one that `anyhow` carries, as bad as `severity`.
    pub(crate) fn error(&mut self, severity: Severity, code: &'static str, error: &anyhow::Error) {
        let what = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let hint = error.chain().find_map(|cause| cause.downcast_ref::<Advice>());
        let fix = hint.map_or_else(|| "see what is wrong with it by hand".to_owned(), |a| a.hint.clone());
        self.add(code, severity, what, Some(fix));
    }

    /// What this host, or this user, cannot tell; with the reason.
    pub(crate) fn not_looked_at(&mut self, what: impl Into<String>) {
        self.not_looked_at.push(what.into());
    }

    fn add(&mut self, code: &'static str, severity: Severity, what: String, fix: Option<String>) {
        let finding = Finding { group: self.group, code, severity, what, fix };
        let skips = severity != Severity::Ok && self.skip.iter().any(|skip| skip == code);
        if skips { self.skipped.push(finding) } else { self.all.push(finding) }
    }

    /// All that count.
    pub(crate) fn all(&self) -> &[Finding] {
        &self.all
    }

    /// Those that `--skip` left out.
    pub(crate) fn skipped(&self) -> &[Finding] {
        &self.skipped
    }

    /// What was not looked at, and why.
    pub(crate) fn unseen(&self) -> &[String] {
        &self.not_looked_at
    }

    /// How many are as bad as this.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.all.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The worst of all.
    pub(crate) fn worst(&self) -> Severity {
        self.all.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts_and_nothing_looked_at_is_not_ok() {
        let mut found = Findings::new(&["b".into()]);
        assert_eq!(found.worst(), Severity::Unknown);
        found.ok("a", "good");
        assert_eq!(found.worst().code(), 0);
        found.critical("b", "left out", "x");
        assert_eq!((found.worst(), found.skipped().len()), (Severity::Ok, 1));
        found.unknown("c", "not seen", "x");
        found.warning("d", "hm", "x");
        assert_eq!(found.worst().code(), 1);
        found.critical("e", "bad", "x");
        assert_eq!(found.worst().code(), 2);
    }
}
