//! The config: `/etc/slurm/slurm-pki.toml`, or the file that `SLURM_PKI_CONF` names.
//!
//! World-readable, no secrets in it; absent means defaults. Each of the seven reads its own section
//! and the top-level keys strictly and ignores all other sections, known or not, so that one shared
//! file serves programs of two versions.

mod client;
mod controller;
mod daemons;
mod fleet;
mod keys;
mod known;
mod node;
mod resume;
mod template;
mod upkeep;
pub mod vault;
mod window;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use client::ClientConfig;
pub use controller::{ControllerConfig, Place};
pub use daemons::{Daemon, DaemonConfig};
pub use fleet::FleetConfig;
pub use keys::KeysConfig;
pub use node::NodeConfig;
pub use resume::{ResumeConfig, ResumeFormat};
pub use template::Template;
pub use upkeep::{CheckConfig, HooksConfig, MetricsConfig};
pub use vault::VaultConfig;
pub use window::Window;

use crate::error::{Error, quoted};
use crate::file::{self, Keep};

/// Where the config lies unless `SLURM_PKI_CONF` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/slurm/slurm-pki.toml";

/// The variable that names another config file.
pub const VARIABLE: &str = "SLURM_PKI_CONF";

/// Where state lies by default.
const DEFAULT_STATE_DIR: &str = "/var/lib/slurm-pki";

const MAX_CONFIG: usize = 256 * 1024;

/// A config file as TOML, not yet given a meaning.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    table: toml::Table,
}

/// The keys above the first section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopLevel {
    /// Name of the cluster; `None`: slurm.conf says.
    pub cluster: Option<String>,
    /// Slurm's user; `None`: slurm.conf says. Only the admin command reads it.
    pub slurm_user: Option<String>,
    /// Folder of ca/, tokens/ and ledger/.
    pub state_dir: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TopLevelKeys {
    cluster: String,
    slurm_user: String,
    state_dir: Option<String>,
}

impl ConfigFile {
    /// Reads the site's config; no file at the default path means defaults.
    ///
    /// # Errors
    /// When a named file is missing, others could have changed it, or it is not TOML.
    pub fn load() -> Result<Self, Error> {
        match std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
            Some(named) => Self::load_from(Path::new(&named)),
            None => match file::read_if_there(Path::new(DEFAULT_PATH), Keep::Intact, MAX_CONFIG)? {
                Some(text) => Self::parse(Path::new(DEFAULT_PATH), text.expose()),
                None => Ok(Self { path: DEFAULT_PATH.into(), table: toml::Table::new() }),
            },
        }
    }

    /// Reads a config file that must be there.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(path: &Path) -> Result<Self, Error> {
        Self::parse(path, file::read(path, Keep::Intact, MAX_CONFIG)?.expose())
    }

    /// Gives a text the form of a config; `path` is for messages.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let refuse = |why| Error::Config { path: path.to_owned(), why };
        let text = std::str::from_utf8(text).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
        let table = text.parse::<toml::Table>().map_err(|e| {
            let line = e.span().map_or(0, |span| text.get(..span.start).unwrap_or("").matches('\n').count());
            refuse(format!("line {}: {}", line + 1, one_line(e.message())))
        })?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// Where it was read, or would have been.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The top-level keys; tables are other programs' sections.
    ///
    /// # Errors
    /// On an unknown key, or a value of the wrong type.
    pub fn top_level(&self) -> Result<TopLevel, Error> {
        let scalars =
            self.table.iter().filter(|(_, value)| !is_section(value)).map(|(k, v)| (k.clone(), v.clone()));
        let keys: TopLevelKeys = self.read(toml::Value::Table(scalars.collect()), "")?;
        let state_dir = self.absolute("state_dir", keys.state_dir.as_deref().unwrap_or(DEFAULT_STATE_DIR))?;
        Ok(TopLevel { cluster: given(keys.cluster), slurm_user: given(keys.slurm_user), state_dir })
    }

    /// The names of all sections, and their keys: for the admin command, which knows them all.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &toml::Table)> {
        self.table.iter().filter_map(|(name, value)| value.as_table().map(|table| (name.as_str(), table)))
    }

    /// One section, strictly; an absent one has all its defaults.
    ///
    /// # Errors
    /// On an unknown key in it, or a value of the wrong type.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let section = self.table.get(name).cloned();
        self.read(section.unwrap_or_else(|| toml::Value::Table(toml::Table::new())), name)
    }

    /// `[section.name]`; `None` when it is not there.
    fn subsection(&self, section: &str, name: &str) -> Result<Option<toml::Value>, Error> {
        match self.table.get(section).map(|section| section.get(name)) {
            Some(Some(table)) if !table.is_table() => {
                Err(self.refuse(format!("{section}.{name} is not a section")))
            }
            Some(table) => Ok(table.cloned()),
            None => Ok(None),
        }
    }

    fn read<T: DeserializeOwned>(&self, value: toml::Value, section: &str) -> Result<T, Error> {
        let place = if section.is_empty() { String::new() } else { format!("[{section}] ") };
        value.try_into().map_err(|e: toml::de::Error| self.refuse(place + &one_line(&e.to_string())))
    }

    /// A value that does not mean anything.
    #[must_use]
    pub fn refuse(&self, why: String) -> Error {
        Error::Config { path: self.path.clone(), why }
    }

    fn absolute(&self, key: &str, path: &str) -> Result<PathBuf, Error> {
        if path.starts_with('/') && !path.contains('\0') {
            Ok(PathBuf::from(path))
        } else {
            Err(self.refuse(format!("{key} = {} is not an absolute path", quoted(path))))
        }
    }

    fn template(&self, key: &str, text: &str) -> Result<Template, Error> {
        self.absolute(key, text)?;
        Template::parse(text).map_err(|why| self.refuse(format!("{key} = {} {why}", quoted(text))))
    }

    /// A length of time like "7d", "168h", "5m", within bounds.
    fn span(&self, key: &str, text: &str, least: Duration, most: Duration) -> Result<Duration, Error> {
        let span = humantime::parse_duration(text)
            .map_err(|_| self.refuse(format!("{key} = {} is not a time like 7d or 168h", quoted(text))))?;
        if (least..=most).contains(&span) {
            return Ok(span);
        }
        let bounds = (humantime::format_duration(least), humantime::format_duration(most));
        Err(self.refuse(format!("{key} = {} is not between {} and {}", quoted(text), bounds.0, bounds.1)))
    }
}

/// A table is a section; so is a list of tables, which a later version may have.
fn is_section(value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(_) => true,
        toml::Value::Array(items) => !items.is_empty() && items.iter().all(toml::Value::is_table),
        _ => false,
    }
}

/// An empty text means "not given", as the shipped config has it.
fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn one_line(text: &str) -> String {
    text.trim().escape_debug().to_string().replace("\\n", " ").replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ConfigFile {
        ConfigFile::parse(Path::new("test.toml"), text.as_bytes()).unwrap()
    }

    #[test]
    fn no_config_means_defaults() {
        let empty = config("");
        assert_eq!(empty.top_level().unwrap().state_dir, Path::new("/var/lib/slurm-pki"));
        NodeConfig::read(&empty).unwrap();
        let controller = ControllerConfig::read(&empty).unwrap();
        assert_eq!(controller.ca_key, Path::new("/var/lib/slurm-pki/ca/ca_key.pem"));
        ClientConfig::read(&empty).unwrap();
    }

    #[test]
    fn an_unknown_key_in_the_own_section_is_named_and_one_in_another_is_not_read() {
        let text = "[node]\ncolour = 1\n[tomorrow]\nx = 1\n";
        let error = NodeConfig::read(&config(text)).unwrap_err().to_string();
        assert!(error.contains("[node]") && error.contains("colour"), "{error}");
        ControllerConfig::read(&config(text)).unwrap();
    }

    #[test]
    fn an_unknown_top_level_key_is_named() {
        let error = NodeConfig::read(&config("statedir = \"/x\"\n")).unwrap_err().to_string();
        assert!(error.contains("statedir"), "{error}");
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let error = ConfigFile::parse(Path::new("t"), b"a = 1\nb = = 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn values_without_a_meaning_are_refused() {
        for text in [
            "state_dir = \"relative\"",
            "[controller]\nvalidity = \"soon\"",
            "[controller]\nvalidity = \"1s\"",
            "[controller]\nreplay_window = \"5s\"",
            "[controller]\nbind = \"maybe\"",
            "[controller]\nallowed_keys = []",
            "[controller]\nallowed_keys = [\"ed25519\"]",
            "[controller]\nsubject = { CN = \"x\" }",
            "[controller]\nsubject = { C = \"Germany\" }",
            "[controller]\nsan = [\"%h\"]",
            "[controller]\nsan = []",
            "[controller]\nca_key = \"x.pem\"",
        ] {
            assert!(ControllerConfig::read(&config(text)).is_err(), "{text}");
        }
        for text in ["[node]\ntoken_file = \"/a/%q\"", "[node]\nkey_type = \"rsa\""] {
            assert!(NodeConfig::read(&config(text)).is_err(), "{text}");
        }
    }
}
