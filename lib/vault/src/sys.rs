//! The server itself: health, mounts, policies, audit devices, what a token may do.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// Whether it was ever set up.
    pub initialized: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Whether another server is the active one.
    pub standby: bool,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The cluster's name.
    #[serde(default)]
    pub cluster_name: String,
    /// Its clock, in unix seconds; 0: it does not say.
    #[serde(default)]
    pub server_time_utc: i64,
}

/// How the server is; needs no token. Every state comes with a status of its own unless asked otherwise, 429 among
/// them, so it is asked otherwise.
///
/// # Errors
/// When it does not answer.
pub fn health(client: &Client) -> Result<Health, Error> {
    let path =
        "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&drsecondarycode=200";
    let what = "say how it is";
    client.read_openly(path, what)
}

/// A mounted engine or login method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `pki`, `kv`, `approle`.
    pub kind: String,
    /// `options.version` of a key-value engine.
    pub version: Option<String>,
    /// `config.max_lease_ttl` in seconds; 0: the server's own.
    pub max_lease_ttl: u64,
}

/// Engines by their path, which ends in a slash.
///
/// # Errors
/// Whatever went wrong.
pub fn mounts(client: &Client) -> Result<BTreeMap<String, Mount>, Error> {
    mounts_at(client, "sys/mounts", "list what is mounted")
}

/// Login methods by their path, which ends in a slash.
///
/// # Errors
/// Whatever went wrong.
pub fn auth_methods(client: &Client) -> Result<BTreeMap<String, Mount>, Error> {
    mounts_at(client, "sys/auth", "list its login methods")
}

/// A mount as the API shows it.
#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, Value>>,
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    max_lease_ttl: u64,
}

impl From<Shown> for Mount {
    fn from(shown: Shown) -> Self {
        let version = |options: BTreeMap<String, Value>| {
            options.get("version").and_then(Value::as_str).map(str::to_owned)
        };
        Self {
            kind: shown.kind,
            version: shown.options.and_then(version),
            max_lease_ttl: shown.config.map_or(0, |config| config.max_lease_ttl),
        }
    }
}

fn mounts_at(client: &Client, path: &str, what: &str) -> Result<BTreeMap<String, Mount>, Error> {
    let shown: BTreeMap<String, Shown> = client.read(path, what)?.data(what)?;
    Ok(shown.into_iter().map(|(path, shown)| (path, Mount::from(shown))).collect())
}

/// The engine at a path, asked for as the command line of Vault does: whoever may do anything at that mount may ask.
///
/// # Errors
/// Whatever went wrong; that there is no such mount comes as [`Error::Denied`] too.
pub fn mount_at(client: &Client, path: &str) -> Result<Mount, Error> {
    let what = format!("say what is mounted at {path}");
    client.read(&format!("sys/internal/ui/mounts/{path}"), &what)?.data::<Shown>(&what).map(Mount::from)
}

/// Mounts an engine.
///
/// # Errors
/// Whatever went wrong.
pub fn mount(client: &Client, path: &str, settings: &Value) -> Result<(), Error> {
    client.write(&format!("sys/mounts/{path}"), settings, &format!("mount {path}")).map(drop)
}

/// Changes a mount's settings.
///
/// # Errors
/// Whatever went wrong.
pub fn tune(client: &Client, path: &str, settings: &Value) -> Result<(), Error> {
    client.write(&format!("sys/mounts/{path}/tune"), settings, &format!("tune {path}")).map(drop)
}

/// Mounts a login method.
///
/// # Errors
/// Whatever went wrong.
pub fn enable_auth(client: &Client, path: &str, settings: &Value) -> Result<(), Error> {
    client.write(&format!("sys/auth/{path}"), settings, &format!("enable auth/{path}")).map(drop)
}

/// A policy's text; `None`: no such policy.
///
/// # Errors
/// Whatever went wrong.
pub fn policy(client: &Client, name: &str) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Data {
        policy: String,
    }
    let what = format!("read the policy {name}");
    match client.read(&format!("sys/policies/acl/{name}"), &what) {
        Ok(answer) => answer.data(&what).map(|Data { policy }| Some(policy)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a policy.
///
/// # Errors
/// Whatever went wrong.
pub fn write_policy(client: &Client, name: &str, text: &str) -> Result<(), Error> {
    let what = format!("write the policy {name}");
    client.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": text }), &what).map(drop)
}

/// What our token may do at each path: `read`, `update`, `deny`, `root`.
///
/// # Errors
/// Whatever went wrong.
pub fn capabilities_self(client: &Client, paths: &[&str]) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let what = "say what the token may do";
    let answer = client.write("sys/capabilities-self", &json!({ "paths": paths }), what)?;
    let data: BTreeMap<String, Value> = answer.data(what)?;
    let texts = |value: &Value| {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let own = |path: &&str| (path.to_string(), data.get(*path).map(texts).unwrap_or_default());
    Ok(paths.iter().map(own).collect())
}

/// The paths of the audit devices, which end in a slash.
///
/// # Errors
/// Whatever went wrong.
pub fn audit_devices(client: &Client) -> Result<Vec<String>, Error> {
    let what = "list its audit devices";
    let devices: BTreeMap<String, Value> = client.read("sys/audit", what)?.data(what)?;
    Ok(devices.into_keys().collect())
}
