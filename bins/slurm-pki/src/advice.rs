//! Errors that say what to do, on their way through `anyhow`.

use std::fmt;

use pki::explain::Explain;

/// What happened, and what to do.
#[derive(Debug)]
pub(crate) struct Advice {
    pub(crate) what: String,
    pub(crate) hint: String,
    /// Whether the command line itself is wrong: exit code 64 instead of 1.
    pub(crate) usage: bool,
}

impl Advice {
    /// An error of the admin command itself.
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), usage: false }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Advice {}

/// `result.advise()?`: an error of ours keeps its hint.
pub(crate) trait Advise<T> {
    /// Turns an error that explains itself into one that `anyhow` carries.
    fn advise(self) -> anyhow::Result<T>;

    /// The same, for a command line that means nothing.
    fn usage(self) -> anyhow::Result<T>;
}

impl<T, E: Explain> Advise<T> for Result<T, E> {
    fn advise(self) -> anyhow::Result<T> {
        self.map_err(|e| Advice::new(e.to_string(), e.hint()).into())
    }

    fn usage(self) -> anyhow::Result<T> {
        self.map_err(|e| Advice { usage: true, ..Advice::new(e.to_string(), e.hint()) }.into())
    }
}
