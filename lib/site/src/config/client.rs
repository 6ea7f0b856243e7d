//! `[client]`: what keygen and certgen read, for every user of the cluster.

use std::time::Duration;

use pki::key::KeyKind;
use pki::name::NodeName;
use serde::Deserialize;

use super::ConfigFile;
use crate::error::Error;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Serves where the host name cannot stand in a certificate.
const FALLBACK_NAME: &str = "slurm-client";

/// `[client]`, with its defaults filled in.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Kind of the keys that are made.
    pub key_type: KeyKind,
    /// Life of the certificate: a pin for one process, and salloc may live long.
    pub validity: Duration,
    /// How far before now it begins.
    pub backdate: Duration,
    /// Common name, with `%h`.
    pub common_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    key_type: KeyKind,
    validity: String,
    backdate: String,
    common_name: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            key_type: KeyKind::P256,
            validity: "400d".into(),
            backdate: "1h".into(),
            common_name: "%h".into(),
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            key_type: KeyKind::P256,
            validity: 400 * DAY,
            backdate: Duration::from_secs(3600),
            common_name: "%h".into(),
        }
    }
}

impl ClientConfig {
    /// The site's wishes where they can be read, else the defaults: certgen's failure would abort every
    /// client command (ARCHITECTURE.md).
    #[must_use]
    pub fn load_or_default() -> Self {
        ConfigFile::load().and_then(|config| Self::read(&config)).unwrap_or_default()
    }

    /// Gives `[client]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        config.top_level()?;
        let keys: Keys = config.section("client")?;
        if keys.key_type == KeyKind::Rsa {
            return Err(
                config.refuse("[client] key_type is \"p256\" or \"p384\": RSA keys are not made".into())
            );
        }
        Ok(Self {
            key_type: keys.key_type,
            validity: config.span("validity", &keys.validity, DAY, 36_500 * DAY)?,
            backdate: config.span("backdate", &keys.backdate, Duration::ZERO, 30 * DAY)?,
            common_name: keys.common_name,
        })
    }

    /// The common name for this host: what the key says, where that is a name that s2n takes (an IP
    /// address is not: slurm-contract.md 3.4), else a fixed one.
    #[must_use]
    pub fn common_name_here(&self) -> String {
        let host = crate::host::short();
        let name = self.common_name.replace("%h", &String::from_utf8_lossy(&host));
        match NodeName::parse(name.as_bytes()) {
            Ok(name) => name.to_string(),
            Err(_) => FALLBACK_NAME.into(),
        }
    }
}
