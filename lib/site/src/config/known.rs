//! Every section and key there is: the admin command refuses what is not here, so that a misspelt key
//! is found by a person and not by a daemon.

use super::{CheckConfig, FleetConfig, HooksConfig, KeysConfig, MetricsConfig, ResumeConfig, VaultConfig};
use super::{ClientConfig, ControllerConfig, NodeConfig};
use super::{ConfigFile, Daemon, DaemonConfig};
use crate::error::{Error, quoted};

impl ConfigFile {
    /// Refuses unknown sections, and unknown keys in any section.
    ///
    /// # Errors
    /// The first one that is unknown, or a value without a meaning.
    pub fn refuse_unknown(&self) -> Result<(), Error> {
        self.top_level()?;
        NodeConfig::read(self)?;
        ClientConfig::read(self)?;
        FleetConfig::read(self)?;
        HooksConfig::read(self)?;
        KeysConfig::read(self)?;
        CheckConfig::read(self)?;
        MetricsConfig::read(self)?;
        ResumeConfig::read(self)?;
        VaultConfig::read(self)?;
        let controller = ControllerConfig::read(self)?;
        for daemon in Daemon::ALL {
            DaemonConfig::read(self, &controller, daemon)?;
        }
        for (name, keys) in self.sections() {
            let known: Vec<&str> = match name {
                "node" | "controller" | "client" | "fleet" | "hooks" | "check" | "metrics" | "vault"
                | "keys" | "resume" => continue,
                "daemons" => Daemon::ALL.iter().map(|daemon| daemon.short()).collect(),
                _ => return Err(self.refuse(format!("unknown section [{}]", quoted(name)))),
            };
            if let Some(key) = keys.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(self.refuse(format!("[{name}] unknown key {}", quoted(key))));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_unknown_section_or_key_is_named() {
        for (text, named) in [
            ("[nodes]\n", "nodes"),
            ("[vault]\naddres = \"x\"\n", "addres"),
            ("[daemons.ctl]\n", "ctl"),
            ("[daemons.ctld]\ncrt = \"/x\"\n", "crt"),
            ("[node]\ncolour = 1\n", "colour"),
            ("[daemons.dbd]\nwindow = \"Sunday\"\n", "window"),
        ] {
            let config = ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap();
            let error = config.refuse_unknown().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_known_ones_pass() {
        let text =
            "[vault]\naddress = \"https://v\"\n[daemons.ctld]\nvalidity = \"90d\"\n[hooks]\ndir = \"/x\"\n";
        ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap().refuse_unknown().unwrap();
    }
}
