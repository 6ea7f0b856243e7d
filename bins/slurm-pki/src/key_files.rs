//! The files of the cluster's keys on this host (docs/slurm-contract.md 5, 6): where they are, and what daemons would do with
//! them at their next start. `[keys]` of the config says where, else slurm.conf and slurmdbd.conf, else Slurm's defaults.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pki::loading::{FileFacts, Verdicts};
use pki::secret::Secret;
use pki::time::UnixTime;
use pki::{auth_jwt, auth_slurm};
use site::config::KeysConfig;
use site::file;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::parameters::Parameters;
use crate::slurm_conf::SlurmConf;

/// Where slurm.conf lies unless it was found elsewhere: keys lie beside it.
const SLURM_CONF: &str = "/etc/slurm/slurm.conf";

/// Slurm's default for StateSaveLocation (slurm.conf(5)).
const STATE_SAVE_LOCATION: &str = "/var/spool";

/// Longest file that is read.
const MAX: usize = 1024 * 1024;

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFile {
    /// slurm.key.
    AuthKey,
    /// slurm.jwks.
    AuthJwks,
    /// jwt_hs256.key.
    JwtKey,
    /// The list of public keys.
    Jwks,
}

/// Where they are. Relative paths in AuthAltParameters are left out: what they mean depends on where a daemon starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFiles {
    /// slurm.jwks; may not be there.
    pub(crate) auth_jwks: PathBuf,
    /// slurm.key; counts where there is no slurm.jwks.
    pub(crate) auth_key: PathBuf,
    /// slurmctld's HS256 key; `None`: HS256 is off.
    pub(crate) jwt_key: Option<PathBuf>,
    /// slurmctld's list.
    pub(crate) jwks: Option<PathBuf>,
    /// slurmdbd's HS256 key, where slurmdbd.conf is here and has auth/jwt.
    pub(crate) dbd_jwt_key: Option<PathBuf>,
    /// slurmdbd's list.
    pub(crate) dbd_jwks: Option<PathBuf>,
}

/// A file as it was read.
pub(crate) struct Read {
    /// Its bytes.
    pub(crate) bytes: Secret,
    /// What daemons do with it.
    pub(crate) verdicts: Verdicts,
}

impl KeyFiles {
    /// Of this site.
    ///
    /// # Errors
    /// When `[keys]` has no meaning, or slurmdbd.conf is there and cannot be read.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let keys = KeysConfig::read(&admin.config).advise()?;
        let slurm = admin.slurm.as_ref();
        let conf = slurm.map_or(Path::new(SLURM_CONF), SlurmConf::path);
        let dbd = match slurm {
            Some(slurm) => SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?,
            None => None,
        };
        let dbd = dbd.filter(|dbd| dbd.get("AuthAltTypes").is_some());
        let given = |conf: Option<&SlurmConf>, key: &str| {
            let value = conf.and_then(|conf| conf.get("AuthAltParameters"));
            Parameters::of(value).get(key).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let jwks = keys.jwks.or_else(|| given(slurm, "jwks"));
        let state = slurm.and_then(|slurm| slurm.get("StateSaveLocation")).unwrap_or(STATE_SAVE_LOCATION);
        let default = || jwks.is_none().then(|| Path::new(state).join("jwt_hs256.key"));
        let jwt_key = keys.jwt_key.or_else(|| given(slurm, "jwt_key")).or_else(default);
        let (auth_jwks, auth_key) = auth(keys.auth_key, conf);
        let (dbd_jwt_key, dbd_jwks) = (given(dbd.as_ref(), "jwt_key"), given(dbd.as_ref(), "jwks"));
        Ok(Self { auth_jwks, auth_key, jwt_key, jwks, dbd_jwt_key, dbd_jwks })
    }

    /// The file of auth/slurm that counts: slurm.jwks where there is one, whatever is in it.
    pub(crate) fn auth(&self) -> (KeyFile, &Path) {
        if self.auth_jwks.exists() {
            (KeyFile::AuthJwks, &self.auth_jwks)
        } else {
            (KeyFile::AuthKey, &self.auth_key)
        }
    }
}

/// slurm.jwks and slurm.key: the one that is named, and the other beside it.
fn auth(named: Option<PathBuf>, conf: &Path) -> (PathBuf, PathBuf) {
    match named {
        None => (conf.with_file_name("slurm.jwks"), conf.with_file_name("slurm.key")),
        Some(path) if path.extension().is_some_and(|end| end == "key") => {
            (path.with_file_name("slurm.jwks"), path)
        }
        Some(path) => {
            let key = path.with_file_name("slurm.key");
            (path, key)
        }
    }
}

impl KeyFile {
    /// What daemons of a site with this SlurmUser do with such a file.
    pub(crate) fn judge(self, bytes: &[u8], facts: FileFacts, slurm_user: u32, now: UnixTime) -> Verdicts {
        match self {
            Self::AuthKey => auth_slurm::judge_key(bytes, facts, slurm_user),
            Self::AuthJwks => auth_slurm::judge_jwks(bytes, facts, slurm_user, now),
            Self::JwtKey => auth_jwt::judge_key(bytes, facts, slurm_user),
            Self::Jwks => auth_jwt::judge_jwks(bytes, facts, slurm_user),
        }
    }

    /// Reads one and judges it; `None`: it is not there. Follows links, as the daemons do.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(
        self,
        path: &Path,
        slurm_user: u32,
        now: UnixTime,
    ) -> Result<Option<Read>, site::Error> {
        match file::read_with_metadata(path, MAX) {
            Ok((bytes, is)) => {
                let verdicts = self.judge(bytes.expose(), facts(&is), slurm_user, now);
                Ok(Some(Read { bytes, verdicts }))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// What fstat said, as the loaders look at it.
pub(crate) fn facts(is: &Metadata) -> FileFacts {
    FileFacts { mode: is.permissions().mode() & 0o7777, owner: is.uid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_list_damaged_anywhere_comes_to_an_answer_that_shows_no_key(
            at in 0usize..180, byte in proptest::num::u8::ANY, cut in proptest::bool::ANY,
        ) {
            let k = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
            let text = format!(r#"{{"keys":[{{"kid":"a","kty":"oct","alg":"HS256","k":"{k}","use":"default","exp":0}}]}}"#);
            let mut bytes = text.into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            let facts = FileFacts { mode: 0o600, owner: 0 };
            for file in [KeyFile::AuthKey, KeyFile::AuthJwks, KeyFile::JwtKey, KeyFile::Jwks] {
                let verdicts = file.judge(&bytes, facts, 0, UnixTime(1_000));
                assert!(!format!("{verdicts:?}").contains("c2VjcmV0"), "{verdicts:?}");
            }
        }
    }

    #[test]
    fn the_two_files_of_auth_slurm_lie_side_by_side() {
        let conf = Path::new("/etc/slurm/slurm.conf");
        let pair = |jwks: &str, key: &str| (PathBuf::from(jwks), PathBuf::from(key));
        assert_eq!(auth(None, conf), pair("/etc/slurm/slurm.jwks", "/etc/slurm/slurm.key"));
        assert_eq!(auth(Some("/k/a.key".into()), conf), pair("/k/slurm.jwks", "/k/a.key"));
        assert_eq!(auth(Some("/k/a.jwks".into()), conf), pair("/k/a.jwks", "/k/slurm.key"));
    }
}
