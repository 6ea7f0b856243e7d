//! `[hooks]`, `[check]` and `[metrics]`: what surrounds a renewal, and what watches the site.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigFile;
use crate::error::Error;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `[hooks]`: a folder of programs that are run after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HooksConfig {
    /// The folder; need not exist.
    pub dir: PathBuf,
    /// How long each program may take.
    pub timeout: Duration,
}

/// `[check]`: how long before its end something is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckConfig {
    /// A warning from then on.
    pub warn: Duration,
    /// Critical from then on.
    pub critical: Duration,
    /// A warning about a key of auth/slurm that is older; `None`: as old as it likes.
    pub key_age: Option<Duration>,
}

/// `[metrics]`: where node_exporter picks them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The file, `*.prom` in the textfile collector's folder; `None`: stdout.
    pub textfile: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HooksKeys {
    dir: String,
    timeout: String,
}

impl Default for HooksKeys {
    fn default() -> Self {
        Self { dir: "/etc/slurm/slurm-pki.d".into(), timeout: "30s".into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CheckKeys {
    warn: String,
    critical: String,
    key_age: String,
}

impl Default for CheckKeys {
    fn default() -> Self {
        Self { warn: "30d".into(), critical: "7d".into(), key_age: String::new() }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MetricsKeys {
    textfile: String,
}

impl HooksConfig {
    /// Gives `[hooks]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: HooksKeys = config.section("hooks")?;
        Ok(Self {
            dir: config.absolute("[hooks] dir", &keys.dir)?,
            timeout: config.span("[hooks] timeout", &keys.timeout, SECOND, HOUR)?,
        })
    }
}

impl CheckConfig {
    /// Gives `[check]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or when critical would come before warn.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: CheckKeys = config.section("check")?;
        let warn = config.span("[check] warn", &keys.warn, HOUR, CENTURY)?;
        let critical = config.span("[check] critical", &keys.critical, Duration::ZERO, CENTURY)?;
        if critical > warn {
            return Err(config.refuse("[check] critical is longer than warn: it would come first".into()));
        }
        let key_age = super::given(keys.key_age);
        let key_age = key_age.map(|age| config.span("[check] key_age", &age, HOUR, CENTURY)).transpose()?;
        Ok(Self { warn, critical, key_age })
    }
}

impl MetricsConfig {
    /// Gives `[metrics]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a path that is not absolute.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: MetricsKeys = config.section("metrics")?;
        let textfile = super::given(keys.textfile);
        Ok(Self { textfile: textfile.map(|path| config.absolute("[metrics] textfile", &path)).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn config(text: &str) -> ConfigFile {
        ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap()
    }

    #[test]
    fn absent_sections_have_their_defaults() {
        let none = config("");
        assert_eq!(HooksConfig::read(&none).unwrap().dir, Path::new("/etc/slurm/slurm-pki.d"));
        assert_eq!(
            CheckConfig::read(&none).unwrap(),
            CheckConfig { warn: 30 * DAY, critical: 7 * DAY, key_age: None }
        );
        assert_eq!(MetricsConfig::read(&none).unwrap().textfile, None);
    }

    #[test]
    fn values_without_a_meaning_are_refused() {
        assert!(CheckConfig::read(&config("[check]\nwarn = \"2d\"\ncritical = \"3d\"\n")).is_err());
        assert!(CheckConfig::read(&config("[check]\nkey_age = \"0\"\n")).is_err());
        assert!(HooksConfig::read(&config("[hooks]\ndir = \"d\"\n")).is_err());
        assert!(HooksConfig::read(&config("[hooks]\ntimeout = \"2h\"\n")).is_err());
        assert!(MetricsConfig::read(&config("[metrics]\ntextfile = \"x.prom\"\n")).is_err());
    }
}
