//! What the programs run on, and how everybody calls it.

use anyhow::{Context, Result};

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// That of this machine.
    pub(crate) fn here() -> Result<Self> {
        let here = Self::ALL.into_iter().find(|architecture| architecture.is_here());
        here.with_context(|| format!("nothing is released for {}", std::env::consts::ARCH))
    }

    /// Whether its programs run on this machine.
    pub(crate) fn is_here(self) -> bool {
        self.name() == std::env::consts::ARCH
    }

    /// The kernel's name, which rpm and the file names use as well.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Debian's name.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Rust's target, with the GNU C library.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The name of a GNU tool for it on this machine: `strip`, `gcc`.
    pub(crate) fn tool(self, name: &str) -> String {
        match self {
            _ if self.is_here() => name.to_owned(),
            Self::X86_64 => format!("x86_64-linux-gnu-{name}"),
            Self::Aarch64 => format!("aarch64-linux-gnu-{name}"),
        }
    }
}
