//! Where the keys of auth/jwt are: `[keys]` of the config, else AuthAltParameters of slurm.conf and slurmdbd.conf, else
//! Slurm's default (docs/slurm-contract.md 6).

use std::path::{Path, PathBuf};
use std::time::Duration;

use site::config::KeysConfig;

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::key_files::KeyFiles;
use crate::parameters::Parameters;

/// Slurm's default for StateSaveLocation (slurm.conf(5)).
const STATE_SAVE_LOCATION: &str = "/var/spool";

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// What the files say.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The HS256 key; `None`: jwks= stands alone, which switches HS256 off.
    pub(crate) jwt_key: Option<PathBuf>,
    /// The list of RS256 keys.
    pub(crate) jwks: Option<PathBuf>,
    /// The key that RS256 tokens of ours are signed with.
    pub(crate) private_key: Option<PathBuf>,
    /// Where the provider's list is fetched.
    pub(crate) jwks_url: Option<String>,
    /// Whose certificates that server may show; `None`: the system's roots.
    pub(crate) jwks_ca: Option<PathBuf>,
    /// How long a key stays that the provider's list has no more.
    pub(crate) jwks_grace: Duration,
    /// slurm.conf's AuthAltParameters.
    parameters: String,
    /// Where slurmctld keeps its state.
    pub(crate) state_save_location: PathBuf,
}

impl Places {
    /// Reads them.
    ///
    /// # Errors
    /// When `[keys]` has no meaning, or a path in AuthAltParameters depends on where a daemon starts.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let KeysConfig { jwks_url, jwks_ca, jwks_grace, jwt_private_key, .. } =
            KeysConfig::read(&admin.config).advise()?;
        let get = |key: &str| admin.slurm.as_ref().and_then(|slurm| slurm.get(key));
        let parameters = get("AuthAltParameters").unwrap_or_default().to_owned();
        for key in ["jwt_key", "jwks"] {
            let path = Parameters::of(Some(&parameters)).get(key).map(Path::new);
            if let Some(path) = path.filter(|path| !path.is_absolute()) {
                return Err(not_absolute(key, path));
            }
        }
        let KeyFiles { jwt_key, jwks, .. } = KeyFiles::of(admin)?;
        Ok(Self {
            jwt_key,
            jwks,
            private_key: jwt_private_key,
            jwks_url,
            jwks_ca,
            jwks_grace,
            parameters,
            state_save_location: PathBuf::from(get("StateSaveLocation").unwrap_or(STATE_SAVE_LOCATION)),
        })
    }

    /// The HS256 key, for a command that needs it.
    ///
    /// # Errors
    /// When HS256 is off.
    pub(crate) fn need_jwt_key(&self) -> anyhow::Result<&Path> {
        self.jwt_key.as_deref().ok_or_else(|| {
            Advice::new(
                "slurm.conf has jwks= and no jwt_key=: that switches HS256 off, and no such token is accepted",
                "write jwt_key=PATH into AuthAltParameters too, or sign with RS256 (--kid)",
            )
            .into()
        })
    }

    /// The claim that names the user where neither sun nor username does.
    pub(crate) fn userclaimfield(&self) -> Option<&str> {
        Parameters::of(Some(&self.parameters)).get("userclaimfield")
    }

    /// Whether ordinary users may make no tokens.
    pub(crate) fn disables_token_creation(&self) -> bool {
        Parameters::of(Some(&self.parameters)).has("disable_token_creation")
    }

    /// Whether a token's identity counts, and whether it has to be complete.
    pub(crate) fn client_ids(&self) -> (bool, bool) {
        let only = Parameters::of(Some(&self.parameters)).has("use_jwt_client_ids_only");
        (Parameters::of(Some(&self.parameters)).has("use_jwt_client_ids"), only)
    }

    /// The longest life of an ordinary user's token, in seconds.
    ///
    /// # Errors
    /// When it is no number of seconds.
    pub(crate) fn max_token_lifespan(&self) -> anyhow::Result<Option<i64>> {
        let Some(text) = Parameters::of(Some(&self.parameters)).get("max_token_lifespan") else {
            return Ok(None);
        };
        let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
        seconds.map(Some).ok_or_else(|| {
            Advice::new(
                format!("slurm.conf: max_token_lifespan={text} is no number of seconds"),
                "write it as in max_token_lifespan=86400",
            )
            .into()
        })
    }
}

/// From nothing to a year.
///
/// # Errors
/// What is wrong with it, for clap.
pub(crate) fn parse_grace(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|_| format!("{text} is not a time like 24h or 7d"))?;
    if span <= YEAR { Ok(span) } else { Err("more than a year".into()) }
}

fn not_absolute(key: &str, path: &Path) -> anyhow::Error {
    Advice::new(
        format!(
            "{key}={} is no absolute path: what it means depends on where a daemon starts",
            path.display()
        ),
        "write the whole path in AuthAltParameters or [keys]",
    )
    .into()
}
