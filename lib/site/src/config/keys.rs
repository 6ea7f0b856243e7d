//! `[keys]`: the cluster's own keys, auth/slurm's and auth/jwt's, and how daemons are brought to load them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigFile;
use crate::error::Error;

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// A one-task step on the node `%h` of its partition `%p`.
const STEP: &str =
    "srun --nodes=1 --ntasks=1 --nodelist=%h --partition=%p --time=1 --job-name=slurm-pki true";

/// `[keys]`. A path that is `None` follows from slurm.conf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysConfig {
    /// slurm.jwks, or slurm.key where there is no list.
    pub auth_key: Option<PathBuf>,
    /// The HS256 key of auth/jwt.
    pub jwt_key: Option<PathBuf>,
    /// The list of RS256 keys of auth/jwt.
    pub jwks: Option<PathBuf>,
    /// Where the identity provider has that list.
    pub jwks_url: Option<String>,
    /// Whose certificates that server may show; `None`: the system's roots.
    pub jwks_ca: Option<PathBuf>,
    /// How long a key stays that is in the provider's list no more.
    pub jwks_grace: Duration,
    /// The RSA key that `jwt token --kid` signs with.
    pub jwt_private_key: Option<PathBuf>,
    /// slurmrestd, as a URL (`unix:/PATH` for its socket), through which a change of the JWT key is proven.
    pub restd_url: Option<String>,
    /// Node images that have a copy of the auth key in them: paths or names.
    pub images: Vec<String>,
    /// Makes slurmctld, and with it every slurmd, load its files anew.
    pub reload_ctld: Vec<String>,
    /// Makes the slurmd of one host load its files anew; runs there.
    pub reload_slurmd: Vec<String>,
    /// The same for sackd.
    pub reload_sackd: Vec<String>,
    /// A one-task step on the node `%h`.
    pub step: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    auth_key: String,
    jwt_key: String,
    jwks: String,
    jwks_url: String,
    jwks_ca: String,
    jwks_grace: String,
    jwt_private_key: String,
    restd_url: String,
    images: Vec<String>,
    reload_ctld: Vec<String>,
    reload_slurmd: Vec<String>,
    reload_sackd: Vec<String>,
    step: Vec<String>,
}

impl Default for Keys {
    fn default() -> Self {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect();
        Self {
            auth_key: String::new(),
            jwt_key: String::new(),
            jwks: String::new(),
            jwks_url: String::new(),
            jwks_ca: String::new(),
            jwks_grace: "24h".into(),
            jwt_private_key: String::new(),
            restd_url: String::new(),
            images: Vec::new(),
            reload_ctld: words("scontrol reconfigure"),
            reload_slurmd: words("systemctl reload slurmd"),
            reload_sackd: words("systemctl reload sackd"),
            step: words(STEP),
        }
    }
}

impl KeysConfig {
    /// Gives `[keys]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: Keys = config.section("keys")?;
        let path = |key: &str, text: String| {
            super::given(text).map(|text| config.absolute(&format!("[keys] {key}"), &text)).transpose()
        };
        for (key, words) in [
            ("reload_ctld", &keys.reload_ctld),
            ("reload_slurmd", &keys.reload_slurmd),
            ("reload_sackd", &keys.reload_sackd),
            ("step", &keys.step),
        ] {
            if words.first().is_none_or(String::is_empty) {
                return Err(config.refuse(format!("[keys] {key} has no words")));
            }
        }
        if !keys.step.iter().any(|word| word.contains("%h")) {
            return Err(config.refuse("[keys] step has no word with %h in it".into()));
        }
        Ok(Self {
            auth_key: path("auth_key", keys.auth_key)?,
            jwt_key: path("jwt_key", keys.jwt_key)?,
            jwks: path("jwks", keys.jwks)?,
            jwks_url: super::given(keys.jwks_url),
            jwks_ca: path("jwks_ca", keys.jwks_ca)?,
            jwks_grace: config.span("[keys] jwks_grace", &keys.jwks_grace, Duration::ZERO, YEAR)?,
            jwt_private_key: path("jwt_private_key", keys.jwt_private_key)?,
            restd_url: super::given(keys.restd_url),
            images: keys.images,
            reload_ctld: keys.reload_ctld,
            reload_slurmd: keys.reload_slurmd,
            reload_sackd: keys.reload_sackd,
            step: keys.step,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<KeysConfig, Error> {
        KeysConfig::read(&ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap())
    }

    #[test]
    fn without_the_section_everything_is_as_slurm_has_it() {
        let keys = read("").unwrap();
        assert_eq!((keys.auth_key, keys.jwt_key, keys.jwks), (None, None, None));
        assert_eq!(keys.reload_ctld, ["scontrol", "reconfigure"]);
        assert_eq!(keys.jwks_grace, Duration::from_secs(24 * 3600));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for text in [
            "[keys]\nauth_key = \"slurm.jwks\"\n",
            "[keys]\njwks_grace = \"soon\"\n",
            "[keys]\nreload_ctld = []\n",
            "[keys]\nstep = [\"srun\", \"true\"]\n",
            "[keys]\nauth_keys = \"/x\"\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("[keys]\nimages = [\"/srv/compute\"]\nauth_key = \"/etc/slurm/slurm.jwks\"\n").is_ok());
    }
}
