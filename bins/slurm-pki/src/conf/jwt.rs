//! JWT as slurmctld and slurmdbd are to take it (docs/slurm-contract.md 6).

use std::path::{Path, PathBuf};

use clap::Args;
use site::config::KeysConfig;

use super::lines::checked;
use super::plan::Wishes;
use super::subject::{ALT_PARAMETERS, Subject};
use super::wish::Wish;
use crate::advice::Advice;
use crate::key_files::KeyFile;
use crate::parameters::Parameters;

/// Slurm's defaults (slurm.conf(5)).
const STATE: &str = "/var/spool";
const KEY: &str = "jwt_hs256.key";

/// A day-long token is long already; Slurm reads a number of seconds.
const MAX_LIFESPAN: i64 = i32::MAX as i64 - 1;

/// What of it is wanted.
#[derive(Args, Debug)]
pub(super) struct JwtOptions {
    /// The key for HS256; else slurm.conf's, jwt_key of the config under keys, or StateSaveLocation/jwt_hs256.key
    #[arg(long, value_name = "FILE", requires = "jwt", conflicts_with = "without_jwt_key")]
    jwt_key: Option<PathBuf>,
    /// No HS256: only the keys of --jwks, and no scontrol token
    #[arg(long, requires = "jwt")]
    without_jwt_key: bool,
    /// An identity provider's keys, for RS256; else slurm.conf's, or jwks of the config under keys
    #[arg(long, value_name = "FILE", requires = "jwt")]
    jwks: Option<PathBuf>,
    /// The claim with the user's name, where it is neither sun nor username
    #[arg(long, value_name = "CLAIM", requires = "jwt")]
    userclaimfield: Option<String>,
    /// Longest life of a token that a user makes with scontrol token
    #[arg(long, value_name = "SECONDS", requires = "jwt", value_parser = clap::value_parser!(i64).range(1..=MAX_LIFESPAN))]
    max_token_lifespan: Option<i64>,
    /// scontrol token makes tokens for SlurmUser and root only
    #[arg(long, requires = "jwt")]
    disable_token_creation: bool,
}

/// The key and the list that a daemon is to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeysOfDaemon {
    key: Option<PathBuf>,
    jwks: Option<PathBuf>,
}

impl KeysOfDaemon {
    /// All files that it must have.
    pub(super) fn files(&self) -> impl Iterator<Item = (KeyFile, &Path)> {
        let key = self.key.iter().map(|path| (KeyFile::JwtKey, path.as_path()));
        key.chain(self.jwks.iter().map(|path| (KeyFile::Jwks, path.as_path())))
    }
}

/// What JWT needs.
#[derive(Debug)]
pub(super) struct Jwt {
    pub(super) wishes: Wishes,
    pub(super) ctld: KeysOfDaemon,
    pub(super) dbd: KeysOfDaemon,
    pub(super) warnings: Vec<String>,
}

impl JwtOptions {
    /// For what both files say now, and `[keys]` of the config.
    ///
    /// # Errors
    /// When that is no way to check a token, or something cannot stand in slurm.conf.
    pub(super) fn wanted(
        &self,
        slurm: impl Fn(&str) -> Option<String>,
        dbd: impl Fn(&str) -> Option<String>,
        config: &KeysConfig,
    ) -> anyhow::Result<Jwt> {
        let ctld = self.keys(&slurm, || {
            if config.jwt_key.is_some() {
                return config.jwt_key.clone();
            }
            let state = slurm("StateSaveLocation").unwrap_or_else(|| STATE.into());
            Some(Path::new(&state).join(KEY))
        });
        let ctld = KeysOfDaemon { jwks: ctld.jwks.or_else(|| config.jwks.clone()), ..ctld };
        let of_dbd = self.keys(&dbd, || ctld.key.clone());
        let of_dbd = KeysOfDaemon { jwks: of_dbd.jwks.or_else(|| ctld.jwks.clone()), ..of_dbd };
        if ctld.key.is_none() && ctld.jwks.is_none() {
            return Err(Advice { usage: true, ..no_key_at_all() }.into());
        }
        let mut for_ctld = self.parameters(&ctld)?;
        for_ctld.extend(self.max_token_lifespan.map(|most| format!("max_token_lifespan={most}")));
        for_ctld.extend(self.disable_token_creation.then(|| "disable_token_creation".to_owned()));
        let unwanted: &[&str] = if self.without_jwt_key { &["jwt_key="] } else { &[] };
        let wishes = |parameters| vec![Wish::jwt(), Wish::jwt_parameters(parameters, unwanted)];
        let wishes = Wishes { slurm: wishes(for_ctld), dbd: wishes(self.parameters(&of_dbd)?) };
        let warnings = warnings(&ctld, &of_dbd, Subject::Tls.is_on(&slurm));
        Ok(Jwt { wishes, ctld, dbd: of_dbd, warnings })
    }

    /// What is given, else what the file has. Who has a list and no key has switched HS256 off, and that stays so
    /// until a key is named.
    fn keys(
        &self,
        value: impl Fn(&str) -> Option<String>,
        default: impl Fn() -> Option<PathBuf>,
    ) -> KeysOfDaemon {
        let value = value(ALT_PARAMETERS);
        let is = Parameters::of(value.as_deref());
        let named = |name| is.get(name).filter(|path: &&str| !path.is_empty()).map(PathBuf::from);
        let has_list_only = named("jwks").is_some() && named("jwt_key").is_none();
        let key = self.jwt_key.clone().or_else(|| named("jwt_key"));
        let key = if has_list_only { key } else { key.or_else(default) };
        KeysOfDaemon {
            key: key.filter(|_| !self.without_jwt_key),
            jwks: self.jwks.clone().or_else(|| named("jwks")),
        }
    }

    /// Those that slurmdbd reads too: it makes no tokens, and has nothing to say about their lives.
    fn parameters(&self, keys: &KeysOfDaemon) -> anyhow::Result<Vec<String>> {
        let path = |name: &str, path: &Path| anyhow::Ok(format!("{name}={}", checked(path)?));
        let mut parameters = Vec::new();
        if let Some(key) = &keys.key {
            parameters.push(path("jwt_key", key)?);
        }
        if let Some(jwks) = &keys.jwks {
            parameters.push(path("jwks", jwks)?);
        }
        if let Some(claim) = &self.userclaimfield {
            parameters.push(format!("userclaimfield={}", claim_name(claim)?));
        }
        Ok(parameters)
    }
}

fn no_key_at_all() -> Advice {
    Advice::new(
        "without a key and without a list nothing checks a token",
        "name the list of the identity provider's keys: --jwks FILE; or leave --without-jwt-key out",
    )
}

/// Slurm splits at commas and knows no quotes.
fn claim_name(claim: &str) -> anyhow::Result<&str> {
    let stands = |c: char| c.is_ascii_graphic() && !",#\"'\\=".contains(c);
    if !claim.is_empty() && claim.chars().all(stands) {
        return Ok(claim);
    }
    let why = Advice::new(
        format!("{claim:?} cannot stand in slurm.conf as the name of a claim"),
        "name it as the token has it (slurm-pki jwt inspect shows its claims): preferred_username, cognito:username",
    );
    Err(Advice { usage: true, ..why }.into())
}

fn warnings(ctld: &KeysOfDaemon, dbd: &KeysOfDaemon, has_tls: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for (keys, conf) in [(ctld, "slurm.conf"), (dbd, "slurmdbd.conf")] {
        if keys.key.is_none() {
            warnings.push(format!(
                "{conf}: jwks= without jwt_key= switches HS256 off: tokens of scontrol token and of slurm-pki jwt token are \
                 refused; --jwt-key FILE keeps it on"
            ));
        }
    }
    if ctld.key.is_some() != dbd.key.is_some() {
        warnings.push(
            "slurmctld and slurmdbd check tokens with different keys: what one takes the other refuses"
                .into(),
        );
    }
    if !has_tls {
        warnings.push(
            "TLS is off in slurm.conf: tokens cross the network in clear, and whoever sees one can use it (slurm-pki \
             conf enable turns TLS on)"
                .into(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: JwtOptions = JwtOptions {
        jwt_key: None,
        without_jwt_key: false,
        jwks: None,
        userclaimfield: None,
        max_token_lifespan: None,
        disable_token_creation: false,
    };

    fn config(text: &str) -> KeysConfig {
        let file = site::config::ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap();
        KeysConfig::read(&file).unwrap()
    }

    /// What AuthAltParameters is to say in both files.
    fn parameters(options: &JwtOptions, slurm: &str, dbd: &str) -> [String; 2] {
        let value = |text: &str| {
            let pairs: Vec<(String, String)> = text
                .split_whitespace()
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            move |key: &str| pairs.iter().find(|(is, _)| is == key).map(|(_, value)| value.clone())
        };
        let jwt = options.wanted(value(slurm), value(dbd), &config("")).unwrap();
        [(jwt.wishes.slurm, value(slurm)), (jwt.wishes.dbd, value(dbd))].map(|(wishes, value)| {
            let wish = wishes.into_iter().find(|wish| wish.key() == ALT_PARAMETERS).unwrap();
            wish.value(&value(ALT_PARAMETERS).unwrap_or_default())
        })
    }

    #[test]
    fn slurmdbd_has_no_default_and_so_is_told_the_key() {
        assert_eq!(
            parameters(&NONE, "StateSaveLocation=/s", ""),
            ["jwt_key=/s/jwt_hs256.key", "jwt_key=/s/jwt_hs256.key"]
        );
    }

    #[test]
    fn what_only_slurmctld_reads_is_not_written_for_slurmdbd() {
        let options = JwtOptions {
            jwt_key: Some("/k".into()),
            jwks: Some("/j".into()),
            userclaimfield: Some("preferred_username".into()),
            max_token_lifespan: Some(3600),
            disable_token_creation: true,
            ..NONE
        };
        assert_eq!(
            parameters(
                &options,
                "AuthAltParameters=use_jwt_client_ids,jwt_key=/old",
                "AuthAltParameters=jwt_key=/d"
            ),
            [
                "use_jwt_client_ids,jwt_key=/k,jwks=/j,userclaimfield=preferred_username,max_token_lifespan=3600,\
                 disable_token_creation",
                "jwt_key=/k,jwks=/j,userclaimfield=preferred_username"
            ]
        );
    }

    #[test]
    fn hs256_that_was_off_is_not_switched_on_by_itself() {
        let has = "AuthAltParameters=jwks=/j";
        assert_eq!(parameters(&NONE, has, has), ["jwks=/j", "jwks=/j"]);
        let options = JwtOptions { jwt_key: Some("/k".into()), ..NONE };
        assert_eq!(parameters(&options, has, has), ["jwks=/j,jwt_key=/k", "jwks=/j,jwt_key=/k"]);
        let jwt = NONE
            .wanted(|key| (key == ALT_PARAMETERS).then(|| "jwks=/j".into()), |_| None, &config(""))
            .unwrap();
        assert!(
            jwt.warnings.iter().any(|warning| warning.contains("switches HS256 off")),
            "{:?}",
            jwt.warnings
        );
    }

    #[test]
    fn a_key_goes_only_when_that_is_said_and_a_list_remains() {
        let options = JwtOptions { without_jwt_key: true, jwks: Some("/j".into()), ..NONE };
        let has = "AuthAltParameters=jwt_key=/k,x";
        assert_eq!(parameters(&options, has, has), ["x,jwks=/j", "x,jwks=/j"]);
        let options = JwtOptions { without_jwt_key: true, ..NONE };
        assert!(options.wanted(|_| None, |_| None, &config("")).is_err());
    }

    #[test]
    fn what_slurm_would_split_is_no_claim() {
        for bad in ["", "a,b", "a b", "a=b", "a#b"] {
            let options = JwtOptions { userclaimfield: Some(bad.into()), ..NONE };
            assert!(options.wanted(|_| None, |_| None, &config("")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_config_says_where_keys_are_that_slurm_conf_does_not_name() {
        let config = config("[keys]\njwt_key = \"/c/k\"\njwks = \"/c/j\"\n");
        let jwt = NONE.wanted(|_| None, |_| None, &config).unwrap();
        assert_eq!(jwt.ctld, KeysOfDaemon { key: Some("/c/k".into()), jwks: Some("/c/j".into()) });
        assert_eq!(jwt.dbd, jwt.ctld);
        let has = |key: &str| (key == ALT_PARAMETERS).then(|| "jwt_key=/s/k".into());
        assert_eq!(NONE.wanted(has, |_| None, &config).unwrap().ctld.key, Some("/s/k".into()));
    }
}
