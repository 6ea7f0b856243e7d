//! Node names: the only names that are ever certified for a node, and file names as they stand.

use std::fmt;
use std::net::Ipv4Addr;

use crate::explain::{Explain, shown};

/// The node that rehearsals play: reserved, enrolled by `slurm-pki init` alone.
pub const REHEARSAL: &str = "slurm-pki-rehearsal";

/// Names that belong to daemons and to ourselves; no node may have them, in any case.
const RESERVED: [&str; 10] = [
    "ctld",
    "dbd",
    "restd",
    "slurmctld",
    "slurmdbd",
    "slurmrestd",
    "slurmd",
    "sackd",
    "localhost",
    REHEARSAL,
];

/// Longest name: the upper bound of a CN (RFC 5280, ub-common-name).
const MAX_LEN: usize = 64;

/// A legal NodeName: 1 to 64 bytes of `A-Z a-z 0-9 . _ -`, the first a letter, digit or `_`, no `..`,
/// not an IPv4 address (s2n refuses a CN that reads as one: slurm-contract.md 3.4). Compared byte for
/// byte, never normalised, so it is a file name and a certificate's CN as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(String);

/// Why bytes are not a NodeName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    given: Vec<u8>,
    reason: &'static str,
}

impl NodeName {
    /// Reads a name.
    ///
    /// # Errors
    /// When `bytes` break one of the rules above; reserved names are legal here, because only their
    /// use for a node is forbidden ([`NodeName::is_reserved`]).
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        let refuse = |reason| {
            let given = bytes.get(..MAX_LEN + 1).unwrap_or(bytes).to_vec();
            Err(NameError { given, reason })
        };
        let Some(first) = bytes.first() else {
            return refuse("it is empty");
        };
        if bytes.len() > MAX_LEN {
            return refuse("it is longer than 64 bytes");
        }
        if !first.is_ascii_alphanumeric() && *first != b'_' {
            return refuse("it does not begin with a letter, a digit or _");
        }
        if !bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b)) {
            return refuse("it has a character other than A-Z a-z 0-9 . _ -");
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return refuse("it is not ASCII");
        };
        if text.contains("..") {
            return refuse("it has two dots in a row");
        }
        if text.parse::<Ipv4Addr>().is_ok() {
            return refuse("it is an IP address");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a name that no node may have (the rehearsal node's included).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED.iter().any(|name| name.eq_ignore_ascii_case(&self.0))
    }

    /// Whether this is exactly the node that rehearsals play.
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        self.0 == REHEARSAL
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a node name: {}", shown(&self.given), self.reason)
    }
}

impl Explain for NameError {
    fn hint(&self) -> String {
        "a node name is 1 to 64 of A-Z a-z 0-9 . _ -, as in NodeName= of slurm.conf".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_real_clusters_are_legal() {
        for name in ["n1", "node-001.cluster.example", "_gpu", "0", "A.B_c-d", &"x".repeat(64)] {
            assert_eq!(NodeName::parse(name.as_bytes()).unwrap().as_str(), name);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let bad: [&[u8]; 14] = [
            b"",
            b".",
            b"..",
            b".n1",
            b"-n1",
            b"--help",
            b"a..b",
            b"a/b",
            b"n1\n",
            b"\x01",
            b"n 1",
            b"10.0.0.1",
            "n\u{202e}1".as_bytes(),
            &[b'x'; 65],
        ];
        for name in bad {
            assert!(NodeName::parse(name).is_err(), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn reserved_names_are_found_in_any_case() {
        for name in ["SlurmCtld", "sackd", "Slurm-PKI-Rehearsal"] {
            assert!(NodeName::parse(name.as_bytes()).unwrap().is_reserved());
        }
        assert!(!NodeName::parse(b"slurmctld1").unwrap().is_reserved());
    }
}
