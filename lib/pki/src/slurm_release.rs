//! Releases of Slurm, as far as they differ in what they make of key files and tokens (docs/slurm-contract.md 5, 6).

use std::fmt;

/// A kind of release, named after the first of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlurmRelease {
    /// 25.05.1 and all of 25.05 after it.
    V25_05,
    /// 25.11.
    V25_11,
    /// 26.05.0 to 26.05.2.
    V26_05_0,
    /// 26.05.3 and later.
    V26_05_3,
}

impl SlurmRelease {
    /// All that are supported, oldest first.
    pub const ALL: [Self; 4] = [Self::V25_05, Self::V25_11, Self::V26_05_0, Self::V26_05_3];

    /// The first release of this kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V25_05 => "25.05.1",
            Self::V25_11 => "25.11.0",
            Self::V26_05_0 => "26.05.0",
            Self::V26_05_3 => "26.05.3",
        }
    }

    /// The kind of a version like `26.05.5`, with a name before it (Debian's Slurm calls itself slurm-wlm); `None` for one that
    /// is older than 25.05.1, or no version.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let mut parts =
            version.split_whitespace().last()?.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        let version = (parts.next()?, parts.next()?, parts.next()?);
        Self::ALL.into_iter().rev().find(|kind| version >= kind.first())
    }

    fn first(self) -> (u32, u32, u32) {
        match self {
            Self::V25_05 => (25, 5, 1),
            Self::V25_11 => (25, 11, 0),
            Self::V26_05_0 => (26, 5, 0),
            Self::V26_05_3 => (26, 5, 3),
        }
    }

    /// Whether it decodes base64 to the letter (from 26.05 on), or passes over what is none.
    #[must_use]
    pub fn decodes_strictly(self) -> bool {
        self >= Self::V26_05_0
    }
}

impl fmt::Display for SlurmRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::SlurmRelease::{self, *};

    #[test]
    fn a_version_is_of_the_kind_that_began_before_it() {
        for (version, kind) in [
            ("25.05.0", None),
            ("24.11.5", None),
            ("25.05.1", Some(V25_05)),
            ("25.05.8", Some(V25_05)),
            ("slurm 25.11.7\n", Some(V25_11)),
            ("26.05.2", Some(V26_05_0)),
            ("26.05.3", Some(V26_05_3)),
            ("26.05.5", Some(V26_05_3)),
            ("26.11.0-1", Some(V26_05_3)),
            ("slurm-wlm 26.05.5", Some(V26_05_3)),
            ("26.11", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(SlurmRelease::of(version), kind, "{version}");
        }
    }
}
