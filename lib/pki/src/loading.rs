//! What Slurm's daemons do with a key file when they start: the answer of our own copy of their loaders.

use crate::slurm_release::SlurmRelease;

/// Permission bits of everybody who is neither the owner nor of the group.
const OTHERS: u32 = 0o007;
const OTHERS_WRITE: u32 = 0o002;

/// Bytes of a key for HS256 (RFC 7518 3.2).
pub(crate) const ENOUGH: usize = 32;

/// What fstat says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Permission bits.
    pub mode: u32,
    /// The owner's uid.
    pub owner: u32,
}

/// A release's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// Takes it without a word.
    Accepts,
    /// Takes it, with a warning in the log.
    Warns(String),
    /// Does not start with it: the daemon is gone.
    Dies(String),
}

/// What kind of harm a file does that every release loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// There is no key in it at all.
    NoKey,
    /// Its key is short enough to be guessed.
    Guessable,
    /// A newline is part of the key.
    Newline,
    /// Which key signs depends on the order of the list.
    NoDefault,
    /// The key that signs has an end.
    SigningKeyEnds,
    /// A key of the list is matched by no token, or not by every release.
    NotMatched,
}

/// The answers of every release, and what no loader minds but harms later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    dies: Vec<(SlurmRelease, String)>,
    warnings: Vec<String>,
    hazards: Vec<String>,
    /// Of which kind each of them is.
    harms: Vec<Harm>,
}

impl Verdicts {
    /// What a release does.
    #[must_use]
    pub fn of(&self, release: SlurmRelease) -> Loaded {
        match (self.dies.iter().find(|(of, _)| *of == release), self.warnings.first()) {
            (Some((_, why)), _) => Loaded::Dies(why.clone()),
            (None, Some(warning)) => Loaded::Warns(warning.clone()),
            (None, None) => Loaded::Accepts,
        }
    }

    /// The first release whose daemons do not start with it, and why.
    #[must_use]
    pub fn dies(&self) -> Option<(SlurmRelease, &str)> {
        self.dies.first().map(|(release, why)| (*release, why.as_str()))
    }

    /// What every release warns of.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is taken without a word and harms all the same.
    #[must_use]
    pub fn hazards(&self) -> &[String] {
        &self.hazards
    }

    /// The same, each with its kind.
    pub fn harms(&self) -> impl Iterator<Item = (Harm, &str)> {
        self.harms.iter().copied().zip(self.hazards.iter().map(String::as_str))
    }

    /// Whether every supported release loads it.
    #[must_use]
    pub fn loads(&self) -> bool {
        self.dies.is_empty()
    }

    pub(crate) fn die(&mut self, why: impl Into<String>) {
        let why = why.into();
        SlurmRelease::ALL.into_iter().for_each(|release| self.die_in(release, why.clone()));
    }

    pub(crate) fn die_in(&mut self, release: SlurmRelease, why: impl Into<String>) {
        if !self.dies.iter().any(|(of, _)| *of == release) {
            self.dies.push((release, why.into()));
            self.dies.sort_by_key(|(of, _)| *of);
        }
    }

    pub(crate) fn hazard(&mut self, harm: Harm, what: impl Into<String>) {
        self.hazards.push(what.into());
        self.harms.push(harm);
    }

    /// A file of which every byte is the key.
    pub(crate) fn of_raw_key(bytes: &[u8], facts: FileFacts, slurm_user: u32) -> Self {
        let mut verdicts = Self::default();
        verdicts.secret_file(facts, slurm_user);
        if bytes.is_empty() {
            verdicts.die("it is empty");
        } else if bytes.len() < ENOUGH {
            verdicts.hazard(
                Harm::Guessable,
                format!("a key of {} bytes can be guessed: {ENOUGH} random ones are usual", bytes.len()),
            );
        }
        verdicts
    }

    /// A file that nobody else may touch at all.
    pub(crate) fn secret_file(&mut self, facts: FileFacts, slurm_user: u32) {
        if facts.mode & OTHERS != 0 {
            self.die(format!("its mode {:04o} lets others in", facts.mode & 0o7777));
        }
        self.owned(facts, slurm_user);
    }

    /// A file that everybody may read.
    pub(crate) fn public_file(&mut self, facts: FileFacts, slurm_user: u32) {
        if facts.mode & OTHERS_WRITE != 0 {
            self.die(format!("its mode {:04o} lets others write", facts.mode & 0o7777));
        }
        self.owned(facts, slurm_user);
    }

    /// Whose it is, is worth a warning only.
    fn owned(&mut self, facts: FileFacts, slurm_user: u32) {
        if facts.owner != 0 && facts.owner != slurm_user {
            self.warnings.push("it belongs to neither root nor SlurmUser".into());
        }
    }
}
