//! `[node]`: what slurmd's and sackd's programs read.

use std::path::PathBuf;

use pki::key::KeyKind;
use serde::Deserialize;

use super::{ConfigFile, Template};
use crate::error::Error;

/// `[node]`, with its defaults filled in.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where a node's token lies.
    pub token_file: Template,
    /// Where fresh keys wait for the daemon; `None`: by the user who asks.
    pub key_dir: Option<PathBuf>,
    /// A fresh key for every request.
    pub renew_key: bool,
    /// Kind of the keys that are made.
    pub key_type: KeyKind,
    /// The one key, with `renew_key = false`.
    pub key_file: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    token_file: String,
    key_dir: String,
    renew_key: bool,
    key_type: KeyKind,
    key_file: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            token_file: "/etc/slurm/certmgr/%n_token.txt".into(),
            key_dir: String::new(),
            renew_key: true,
            key_type: KeyKind::P256,
            key_file: "/etc/slurm/certmgr/%n_private_key.pem".into(),
        }
    }
}

impl NodeConfig {
    /// Gives `[node]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        config.top_level()?;
        let keys: Keys = config.section("node")?;
        if keys.key_type == KeyKind::Rsa {
            return Err(
                config.refuse("[node] key_type is \"p256\" or \"p384\": RSA keys are not made".into())
            );
        }
        let key_dir = match keys.key_dir.as_str() {
            "" => None,
            path => Some(config.absolute("key_dir", path)?),
        };
        Ok(Self {
            token_file: config.template("token_file", &keys.token_file)?,
            key_dir,
            renew_key: keys.renew_key,
            key_type: keys.key_type,
            key_file: config.template("key_file", &keys.key_file)?,
        })
    }
}
