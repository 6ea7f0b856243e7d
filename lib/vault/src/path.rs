//! Paths of the API: made of checked parts, so that no name can lead to another path.

use std::fmt;

use crate::error::Error;

const LONGEST: usize = 256;

/// Where an engine is mounted, or a key within one: `pki`, `secret/slurm`. Letters, digits, `.`, `_`, `-` and single
/// slashes between; no part is `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPath(String);

impl MountPath {
    /// Reads a path, with or without a slash at its ends.
    ///
    /// # Errors
    /// When it has other bytes, or an empty part.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        let bare = bare.strip_prefix('/').unwrap_or(bare);
        let sound = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if bare.len() <= LONGEST && bare.split('/').all(sound) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(Error::Path(text.to_owned()))
        }
    }

    /// The path, no slash at its ends.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::MountPath;

    #[test]
    fn only_plain_parts_make_a_path() {
        assert_eq!(MountPath::parse("/secret/slurm/").unwrap().as_str(), "secret/slurm");
        for bad in ["", "/", "a//b", "..", "a/../b", "a/./b", "a b", "a?b", "a%2fb", "a#b", "\u{e9}", "//a"] {
            assert!(MountPath::parse(bad).is_err(), "{bad:?}");
        }
    }
}
