//! `[resume]`: what `slurm-pki resume-hook` makes for nodes that Slurm is about to start.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigFile;
use crate::error::Error;

const MINUTE: Duration = Duration::from_secs(60);
const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

/// `[resume]`, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeConfig {
    /// The form of a node's bundle.
    pub format: ResumeFormat,
    /// The folder that the launcher takes bundles from: SlurmUser's, with mode 0700.
    pub out: PathBuf,
    /// Whether bundles are without CA bundle and config.
    pub own_only: bool,
    /// Whether CertToken is set in slurmctld.
    pub certtoken: bool,
    /// How long a token enrols that no node came with.
    pub expires: Duration,
}

/// Forms of bundles for one node at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResumeFormat {
    /// A tree.
    Dir,
    /// An archive.
    Tar,
    /// User-data.
    CloudInit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    format: ResumeFormat,
    out: String,
    own_only: bool,
    certtoken: bool,
    expires: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            format: ResumeFormat::CloudInit,
            out: String::new(),
            own_only: false,
            certtoken: false,
            expires: "1d".into(),
        }
    }
}

impl ResumeConfig {
    /// Gives `[resume]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: Keys = config.section("resume")?;
        let out = match keys.out.as_str() {
            "" => config.top_level()?.state_dir.join("resume"),
            named => config.absolute("[resume] out", named)?,
        };
        Ok(Self {
            format: keys.format,
            out,
            own_only: keys.own_only,
            certtoken: keys.certtoken,
            expires: config.span("[resume] expires", &keys.expires, MINUTE, MONTH)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<ResumeConfig, Error> {
        ResumeConfig::read(&ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap())
    }

    #[test]
    fn bundles_lie_below_state_dir_unless_it_says_where() {
        assert_eq!(read("state_dir = \"/s\"\n").unwrap().out, Path::new("/s/resume"));
        assert_eq!(read("[resume]\nout = \"/run/x\"\n").unwrap().out, Path::new("/run/x"));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for text in [
            "[resume]\nformat = \"warewulf\"\n",
            "[resume]\nout = \"x\"\n",
            "[resume]\nexpires = \"1s\"\n",
            "[resume]\ncert_token = true\n",
        ] {
            read(text).unwrap_err();
        }
    }
}
