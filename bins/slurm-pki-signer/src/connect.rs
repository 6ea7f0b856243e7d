//! From the config and its files to a client.

use std::path::Path;
use std::time::Instant;

use pki::explain::Explain;
use pki::loads_in_s2n::{MAX_BUNDLE_PEM, MAX_CHAIN_PEM};
use pki::name::NodeName;
use pki::x509::X509;
use site::Error;
use site::config::VaultConfig;
use site::config::vault::Credentials;
use site::file::{self, Keep};
use vault::kv::{Kv, Version};
use vault::pki_engine::PkiEngine;
use vault::{Address, Client, Identity, Login, MountPath, Server};

/// Who enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The programs that Slurm runs, with the few rights they need.
    Programs,
    /// A person who administers.
    Admin,
    /// Whoever has daemons' own pairs signed: a timer with credentials for that alone, else a person who administers.
    Daemons,
    /// Nobody: for what Vault tells anybody.
    Nobody,
}

impl Door {
    /// A client that gives up at `deadline`. Files are read now, the network is first used when something is asked.
    ///
    /// # Errors
    /// When the config lacks something, or a file of it cannot be used.
    pub fn open(self, config: &VaultConfig, deadline: Instant) -> Result<Client, Error> {
        let login = match self {
            Self::Programs => login(config, &config.auth_mount, config.credentials()?)?,
            Self::Admin => login(config, &config.auth_mount, config.admin_credentials()?)?,
            Self::Daemons => login(config, &config.daemon_auth_mount, config.daemon_credentials()?)?,
            Self::Nobody => Login::Nobody,
        };
        Client::new(&server(config)?, login, deadline).map_err(of_vault)
    }
}

fn login(config: &VaultConfig, mount: &str, credentials: Credentials) -> Result<Login, Error> {
    let mount = || MountPath::parse(mount).map_err(of_vault);
    Ok(match credentials {
        Credentials::Token(token) => Login::Token(token),
        Credentials::AppRole { role_id, secret_id } => Login::AppRole { mount: mount()?, role_id, secret_id },
        Credentials::Certificate => Login::Certificate { mount: mount()?, role: config.auth_role.clone() },
    })
}

fn server(config: &VaultConfig) -> Result<Server, Error> {
    let address = config.address.as_deref().ok_or_else(|| Error::Missing {
        what: "address is not set in [vault]".into(),
        hint: "set it to https://HOST:8200 of your Vault or OpenBao".into(),
    })?;
    let address = Address::parse(address).map_err(of_vault)?;
    let ca = match &config.ca_cert {
        Some(path) => certificates(path, MAX_BUNDLE_PEM)?,
        None => Vec::new(),
    };
    Ok(Server { address, namespace: config.namespace.clone(), ca, identity: identity(config)? })
}

fn certificates(path: &Path, limit: usize) -> Result<Vec<X509>, Error> {
    let pem = file::read(path, Keep::Intact, limit)?;
    X509::all_from_pem(pem.expose(), limit).map_err(Error::contents(path))
}

fn identity(config: &VaultConfig) -> Result<Option<Identity>, Error> {
    let Some((chain, key)) = config.identity()? else { return Ok(None) };
    let path = config.cert.as_deref().unwrap_or(Path::new("cert"));
    let chain = X509::all_from_pem(chain.expose(), MAX_CHAIN_PEM).map_err(Error::contents(path))?;
    Ok(Some(Identity { chain, key }))
}

/// The key-value engine of the records.
///
/// # Errors
/// When its mount is no path.
pub fn kv(config: &VaultConfig) -> Result<Kv, Error> {
    let mount = MountPath::parse(&config.kv_mount).map_err(of_vault)?;
    Ok(Kv { mount, version: if config.kv_version == 1 { Version::One } else { Version::Two } })
}

/// A node's key in it. A NodeName has no slash and is no `..`, so it stays where `kv_path` puts it.
///
/// # Errors
/// When `kv_path` is no path.
pub fn node_key(config: &VaultConfig, node: &NodeName) -> Result<MountPath, Error> {
    MountPath::parse(&config.key_of(node)).map_err(of_vault)
}

/// The PKI engine.
///
/// # Errors
/// When its mount is no path.
pub fn pki_engine(config: &VaultConfig) -> Result<PkiEngine, Error> {
    Ok(PkiEngine { mount: MountPath::parse(&config.pki_mount).map_err(of_vault)? })
}

/// An error of Vault's among those of the site.
#[must_use]
pub fn of_vault(error: vault::Error) -> Error {
    Error::Missing { what: error.to_string(), hint: error.hint() }
}
