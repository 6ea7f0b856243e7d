//! `[vault]`: where Vault or OpenBao is, how it is entered, and where in it things lie. The seven do not read it:
//! slurm-pki-signer and the admin command do.

use std::path::PathBuf;
use std::time::Duration;

use pki::name::NodeName;
use pki::secret::Secret;
use serde::Deserialize;

use super::{ConfigFile, given};
use crate::error::{Error, quoted};
use crate::file::{self, Keep};

/// Longest token, role id or secret id. A batch token or one of an enterprise namespace has some hundred bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// Slurm kills a script after 5 s: this is all that one call of it may spend on Vault.
pub const MOST: Duration = Duration::from_millis(3500);

const LEAST: Duration = Duration::from_millis(200);

/// How the programs enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VaultAuth {
    /// By a token that somebody else keeps in a file: an agent's sink, or `slurm-pki vault renew`.
    TokenFile,
    /// By AppRole.
    #[serde(rename = "approle")]
    AppRole,
    /// By a client certificate.
    Cert,
}

/// `[vault]`, with its defaults filled in.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// `https://host:port`.
    pub address: Option<String>,
    /// The namespace of everything below.
    pub namespace: Option<String>,
    /// Whose certificates the listener may show.
    pub ca_cert: Option<PathBuf>,
    /// How the programs enter.
    pub auth: VaultAuth,
    /// Where the login method is mounted.
    pub auth_mount: String,
    /// The role of a certificate login; `None`: whichever fits.
    pub auth_role: Option<String>,
    /// The programs' token.
    pub token_file: Option<PathBuf>,
    /// AppRole's first id.
    pub role_id_file: Option<PathBuf>,
    /// AppRole's second id.
    pub secret_id_file: Option<PathBuf>,
    /// The token of whoever administers; `None`: `.vault-token` in the caller's home, where `vault login` leaves it.
    pub admin_token_file: Option<PathBuf>,
    /// Where the login method of the next three is mounted.
    pub daemon_auth_mount: String,
    /// The token that has daemons' own pairs signed, and nothing else; for a timer, where no person is.
    pub daemon_token_file: Option<PathBuf>,
    /// The same by AppRole: its first id.
    pub daemon_role_id_file: Option<PathBuf>,
    /// Its second id.
    pub daemon_secret_id_file: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Where the PKI engine is mounted.
    pub pki_mount: String,
    /// Its role for nodes.
    pub role: String,
    /// Its role for daemons' own pairs.
    pub daemon_role: String,
    /// Where the key-value engine is mounted.
    pub kv_mount: String,
    /// Its API: 1 or 2.
    pub kv_version: u8,
    /// A node's key in it, with `%n`.
    pub kv_path: String,
    /// The field.
    pub kv_field: String,
    /// Whether the field is the token itself.
    pub kv_plain: bool,
    /// Over everything that one run asks for.
    pub deadline: Duration,
}

/// What opens Vault, read from the files that the config names.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A token.
    Token(Secret),
    /// AppRole's two ids.
    AppRole {
        /// The first.
        role_id: Secret,
        /// The second.
        secret_id: Secret,
    },
    /// The certificate of the connection ([`VaultConfig::identity`]).
    Certificate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    address: String,
    namespace: String,
    ca_cert: String,
    auth: VaultAuth,
    auth_mount: String,
    auth_role: String,
    token_file: String,
    role_id_file: String,
    secret_id_file: String,
    admin_token_file: String,
    daemon_auth_mount: String,
    daemon_token_file: String,
    daemon_role_id_file: String,
    daemon_secret_id_file: String,
    cert: String,
    key: String,
    pki_mount: String,
    role: String,
    daemon_role: String,
    kv_mount: String,
    kv_version: u8,
    kv_path: String,
    kv_field: String,
    kv_plain: bool,
    deadline: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            address: String::new(),
            namespace: String::new(),
            ca_cert: String::new(),
            auth: VaultAuth::TokenFile,
            auth_mount: String::new(),
            auth_role: String::new(),
            token_file: String::new(),
            role_id_file: String::new(),
            secret_id_file: String::new(),
            admin_token_file: String::new(),
            daemon_auth_mount: "approle".into(),
            daemon_token_file: String::new(),
            daemon_role_id_file: String::new(),
            daemon_secret_id_file: String::new(),
            cert: String::new(),
            key: String::new(),
            pki_mount: "pki".into(),
            role: "slurm".into(),
            daemon_role: "slurm-daemons".into(),
            kv_mount: "node-tokens".into(),
            kv_version: 2,
            kv_path: "%n".into(),
            kv_field: String::new(),
            kv_plain: false,
            deadline: "3.5s".into(),
        }
    }
}

impl VaultConfig {
    /// Gives `[vault]` its meaning. What only a connection needs may be missing: [`address`](Self::address) and the
    /// files are asked for when one is made.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let keys: Keys = config.section("vault")?;
        let path = |key: &str, given: &str| match given {
            "" => Ok(None),
            path => config.absolute(key, path).map(Some),
        };
        if !matches!(keys.kv_version, 1 | 2) {
            return Err(config.refuse(format!("[vault] kv_version = {} is neither 1 nor 2", keys.kv_version)));
        }
        if !keys.kv_path.contains("%n") {
            return Err(config.refuse(format!("[vault] kv_path = {} has no %n", quoted(&keys.kv_path))));
        }
        let default_mount = match keys.auth {
            VaultAuth::Cert => "cert",
            _ => "approle",
        };
        Ok(Self {
            address: given(keys.address),
            namespace: given(keys.namespace),
            ca_cert: path("[vault] ca_cert", &keys.ca_cert)?,
            auth: keys.auth,
            auth_mount: given(keys.auth_mount).unwrap_or_else(|| default_mount.into()),
            auth_role: given(keys.auth_role),
            token_file: path("[vault] token_file", &keys.token_file)?,
            role_id_file: path("[vault] role_id_file", &keys.role_id_file)?,
            secret_id_file: path("[vault] secret_id_file", &keys.secret_id_file)?,
            admin_token_file: path("[vault] admin_token_file", &keys.admin_token_file)?,
            daemon_auth_mount: keys.daemon_auth_mount,
            daemon_token_file: path("[vault] daemon_token_file", &keys.daemon_token_file)?,
            daemon_role_id_file: path("[vault] daemon_role_id_file", &keys.daemon_role_id_file)?,
            daemon_secret_id_file: path("[vault] daemon_secret_id_file", &keys.daemon_secret_id_file)?,
            cert: path("[vault] cert", &keys.cert)?,
            key: path("[vault] key", &keys.key)?,
            pki_mount: keys.pki_mount,
            role: keys.role,
            daemon_role: keys.daemon_role,
            kv_mount: keys.kv_mount,
            kv_version: keys.kv_version,
            kv_path: keys.kv_path,
            kv_field: given(keys.kv_field)
                .unwrap_or_else(|| if keys.kv_plain { "token" } else { "record" }.into()),
            kv_plain: keys.kv_plain,
            deadline: config.span("[vault] deadline", &keys.deadline, LEAST, MOST)?,
        })
    }

    /// A node's key below the mount.
    #[must_use]
    pub fn key_of(&self, node: &NodeName) -> String {
        self.kv_path.replace("%n", node.as_str())
    }

    /// What the programs enter with, read anew at each run: an agent may have exchanged it a moment ago.
    ///
    /// # Errors
    /// When a file is missing, or others could have read it.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        match self.auth {
            VaultAuth::TokenFile => Ok(Credentials::Token(secret("token_file", self.token_file.as_ref())?)),
            VaultAuth::AppRole => Ok(Credentials::AppRole {
                role_id: secret("role_id_file", self.role_id_file.as_ref())?,
                secret_id: secret("secret_id_file", self.secret_id_file.as_ref())?,
            }),
            VaultAuth::Cert => Ok(Credentials::Certificate),
        }
    }

    /// What a person who administers enters with.
    ///
    /// # Errors
    /// When there is no such file, or others could have read it.
    pub fn admin_credentials(&self) -> Result<Credentials, Error> {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".vault-token"));
        let path = self.admin_token_file.clone().or_else(home);
        Ok(Credentials::Token(secret("admin_token_file", path.as_ref())?))
    }

    /// Whether daemons' pairs are signed with credentials of their own, so that a timer can have it done.
    #[must_use]
    pub fn has_daemon_credentials(&self) -> bool {
        let own = [&self.daemon_token_file, &self.daemon_role_id_file, &self.daemon_secret_id_file];
        own.into_iter().any(Option::is_some)
    }

    /// What has daemons' pairs signed: credentials of its own where there are any, else those of whoever administers.
    ///
    /// # Errors
    /// When a file is missing, or others could have read it.
    pub fn daemon_credentials(&self) -> Result<Credentials, Error> {
        match (&self.daemon_role_id_file, &self.daemon_secret_id_file, &self.daemon_token_file) {
            (None, None, None) => self.admin_credentials(),
            (None, None, token) => Ok(Credentials::Token(secret("daemon_token_file", token.as_ref())?)),
            (role_id, secret_id, _) => Ok(Credentials::AppRole {
                role_id: secret("daemon_role_id_file", role_id.as_ref())?,
                secret_id: secret("daemon_secret_id_file", secret_id.as_ref())?,
            }),
        }
    }

    /// The client certificate's PEM and its key's, where both are configured.
    ///
    /// # Errors
    /// When one is configured and cannot be used.
    pub fn identity(&self) -> Result<Option<(Secret, Secret)>, Error> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = file::read(cert, Keep::Intact, pki::loads_in_s2n::MAX_CHAIN_PEM)?;
                Ok(Some((chain, file::read(key, Keep::Secret, pki::key::MAX_KEY_PEM)?)))
            }
            (None, None) if self.auth != VaultAuth::Cert => Ok(None),
            _ => Err(missing("cert and key")),
        }
    }
}

/// A file of one line, without its newline.
fn secret(key: &str, path: Option<&PathBuf>) -> Result<Secret, Error> {
    let path = path.ok_or_else(|| missing(key))?;
    let text = file::read(path, Keep::Secret, MAX_TOKEN)?;
    let line = text.expose().trim_ascii();
    if line.is_empty() || !line.iter().all(u8::is_ascii_graphic) {
        return Err(Error::Contents {
            path: path.clone(),
            why: "it is not one token on one line".into(),
            hint: "if an agent writes it, see that it is running and logged in".into(),
        });
    }
    Ok(Secret::new(line.to_vec()))
}

fn missing(key: &str) -> Error {
    Error::Missing {
        what: format!("{key} is not set in [vault]"),
        hint: "slurm-pki vault setup says what belongs there".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn vault(text: &str) -> Result<VaultConfig, Error> {
        VaultConfig::read(&ConfigFile::parse(Path::new("t"), text.as_bytes()).unwrap())
    }

    #[test]
    fn the_field_follows_kv_plain_and_a_given_one_stands() {
        assert_eq!(vault("").unwrap().kv_field, "record");
        assert_eq!(vault("[vault]\nkv_plain = true").unwrap().kv_field, "token");
        assert_eq!(vault("[vault]\nkv_plain = true\nkv_field = \"t\"").unwrap().kv_field, "t");
    }

    #[test]
    fn values_without_a_meaning_are_refused() {
        for text in [
            "auth = \"ldap\"",
            "deadline = \"10s\"",
            "deadline = \"soon\"",
            "kv_version = 3",
            "kv_path = \"all\"",
            "token_file = \"relative\"",
            "daemon_token_file = \"relative\"",
            "adress = \"x\"",
        ] {
            assert!(vault(&format!("[vault]\n{text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn daemons_pairs_have_credentials_of_their_own_or_the_admins_and_never_half_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let (admin, daemon, role_id, secret_id) =
            (file("admin"), file("daemon"), file("role"), file("secret"));
        let given = |more: &str| vault(&format!("[vault]\nadmin_token_file = \"{admin}\"\n{more}")).unwrap();
        let of = |config: &VaultConfig| match config.daemon_credentials() {
            Ok(Credentials::Token(token)) => String::from_utf8(token.expose().to_vec()).unwrap(),
            Ok(Credentials::AppRole { .. }) => "approle".into(),
            other => format!("{other:?}"),
        };
        assert_eq!((of(&given("")), given("").has_daemon_credentials()), ("admin".into(), false));
        let token = format!("daemon_token_file = \"{daemon}\"\n");
        assert_eq!((of(&given(&token)), given(&token).has_daemon_credentials()), ("daemon".into(), true));
        let half = format!("{token}daemon_role_id_file = \"{role_id}\"\n");
        assert!(of(&given(&half)).contains("daemon_secret_id_file"), "{}", of(&given(&half)));
        let whole = format!("{half}daemon_secret_id_file = \"{secret_id}\"\n");
        assert_eq!(of(&given(&whole)), "approle");
    }

    #[test]
    fn a_token_that_others_can_read_is_not_used_and_it_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let config = vault(&format!("[vault]\ntoken_file = \"{}\"", path.display())).unwrap();
        assert!(config.credentials().is_err());
        let token = || match config.credentials() {
            Ok(Credentials::Token(token)) => token.expose().to_vec(),
            other => panic!("{other:?}"),
        };
        for text in ["hvs.one\n", "hvs.two"] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(token(), text.trim().as_bytes());
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(config.credentials().is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "two\nlines\n").unwrap();
        assert!(config.credentials().is_err());
    }
}
