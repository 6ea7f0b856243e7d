//! Paths with `%n` (the node's name) and `%h` (the short host name) in them, as in slurm.conf.

use std::path::PathBuf;

use pki::name::NodeName;

/// A path template that was checked: nothing but `%n`, `%h` and plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// With the end of a sentence that begins "KEY = VALUE".
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let unknown = text.split('%').skip(1).any(|after| !after.starts_with(['n', 'h']));
        if unknown { Err("has a % that is neither %n nor %h") } else { Ok(Self(text.to_owned())) }
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path for a node. Neither name can bring a `/` in: a NodeName has none, and no host is called
    /// so.
    #[must_use]
    pub fn path(&self, node: &NodeName) -> PathBuf {
        let mut path = self.0.replace("%n", node.as_str());
        if path.contains("%h") {
            path = path.replace("%h", &crate::host::for_file_name());
        }
        PathBuf::from(path)
    }
}
