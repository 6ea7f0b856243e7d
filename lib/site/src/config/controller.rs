//! `[controller]`: what slurmctld's programs read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pki::key::KeyKind;
use pki::name::NodeName;
use pki::policy::{Bind, SubjectAttribute};
use pki::standing::Windows;
use serde::Deserialize;

use super::{ConfigFile, TopLevel};
use crate::error::{Error, quoted};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Ten times Slurm's default MessageTimeout: for so long at least a lost reply may be asked for again.
const LEAST_REPLAY: Duration = Duration::from_secs(100);

/// Where the CA key or the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In files.
    Local,
    /// In Vault or OpenBao, reached through `slurm-pki-signer`.
    Vault,
}

/// `[controller]`, with its defaults filled in.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The file all of this was read from.
    pub source: PathBuf,
    /// The top-level keys.
    pub top: TopLevel,
    /// Who signs.
    pub signer: Place,
    /// Where the records are.
    pub store: Place,
    /// Whether requests must be bound.
    pub bind: Bind,
    /// What every host trusts.
    pub ca_cert: PathBuf,
    /// The CA's private key.
    pub ca_key: PathBuf,
    /// Intermediates and cross certificates; may be absent.
    pub ca_chain: PathBuf,
    /// Folder of the records.
    pub tokens: PathBuf,
    /// Folder of the ledger.
    pub ledger: PathBuf,
    /// A list of tokens that others keep.
    pub token_list: Option<PathBuf>,
    /// Nothing is issued that cannot be recorded.
    pub ledger_required: bool,
    /// How old a request may be.
    pub max_request_age: Duration,
    /// How long old rights last.
    pub windows: Windows,
    /// Life of a certificate.
    pub validity: Duration,
    /// How far before now it begins.
    pub backdate: Duration,
    /// Kinds of key that are certified.
    pub allowed_keys: Vec<KeyKind>,
    /// What is added to CN.
    pub subject: Vec<(SubjectAttribute, String)>,
    /// dNSNames, with `%n`.
    pub san: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    signer: Place,
    store: Place,
    bind: Bind,
    ca_cert: String,
    ca_key: String,
    ca_chain: String,
    tokens: String,
    ledger: String,
    token_list: String,
    ledger_required: bool,
    max_request_age: String,
    replay_window: String,
    secret_grace: String,
    validity: String,
    backdate: String,
    allowed_keys: Vec<KeyKind>,
    subject: BTreeMap<SubjectAttribute, String>,
    san: Vec<String>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            signer: Place::Local,
            store: Place::Local,
            bind: Bind::Required,
            ca_cert: "/etc/slurm/ca_cert.pem".into(),
            ca_key: String::new(),
            ca_chain: String::new(),
            tokens: String::new(),
            ledger: String::new(),
            token_list: String::new(),
            ledger_required: true,
            max_request_age: "7d".into(),
            replay_window: "1h".into(),
            secret_grace: "14d".into(),
            validity: "168h".into(),
            backdate: "5m".into(),
            allowed_keys: vec![KeyKind::P256, KeyKind::P384, KeyKind::Rsa],
            subject: BTreeMap::new(),
            san: vec!["%n".into()],
        }
    }
}

impl ControllerConfig {
    /// Gives `[controller]` its meaning.
    ///
    /// # Errors
    /// On an unknown key, or a value without a meaning.
    pub fn read(config: &ConfigFile) -> Result<Self, Error> {
        let top = config.top_level()?;
        let keys: Keys = config.section("controller")?;
        let below_state_dir = |key: &str, given: &str, name: &str| match given {
            "" => Ok(top.state_dir.join(name)),
            path => config.absolute(key, path),
        };
        if keys.allowed_keys.is_empty() {
            return Err(config.refuse("[controller] allowed_keys is empty: nobody could be certified".into()));
        }
        Ok(Self {
            source: config.path().to_owned(),
            signer: keys.signer,
            store: keys.store,
            bind: keys.bind,
            ca_cert: config.absolute("ca_cert", &keys.ca_cert)?,
            ca_key: below_state_dir("ca_key", &keys.ca_key, "ca/ca_key.pem")?,
            ca_chain: below_state_dir("ca_chain", &keys.ca_chain, "ca/chain.pem")?,
            tokens: below_state_dir("tokens", &keys.tokens, "tokens")?,
            ledger: below_state_dir("ledger", &keys.ledger, "ledger")?,
            token_list: match keys.token_list.as_str() {
                "" => None,
                path => Some(config.absolute("token_list", path)?),
            },
            ledger_required: keys.ledger_required,
            max_request_age: config.span("max_request_age", &keys.max_request_age, MINUTE, CENTURY)?,
            windows: Windows {
                replay: config.span("replay_window", &keys.replay_window, LEAST_REPLAY, CENTURY)?,
                grace: config.span("secret_grace", &keys.secret_grace, Duration::ZERO, CENTURY)?,
            },
            validity: config.span("validity", &keys.validity, MINUTE, CENTURY)?,
            backdate: config.span("backdate", &keys.backdate, Duration::ZERO, 30 * DAY)?,
            allowed_keys: keys.allowed_keys,
            subject: subject(config, keys.subject)?,
            san: san(config, keys.san)?,
            top,
        })
    }
}

/// X.520 bounds: two letters for a country, 64 characters for the others.
fn subject(
    config: &ConfigFile,
    keys: BTreeMap<SubjectAttribute, String>,
) -> Result<Vec<(SubjectAttribute, String)>, Error> {
    for (attribute, value) in &keys {
        let fits = match attribute {
            SubjectAttribute::C => value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase()),
            _ => (1..=64).contains(&value.chars().count()) && !value.chars().any(char::is_control),
        };
        if !fits {
            return Err(config.refuse(format!("[controller] subject: {attribute:?} = {}", quoted(value))));
        }
    }
    Ok(keys.into_iter().collect())
}

/// Every name has `%n` in it, or all nodes would share one; and what surrounds it is a host name's
/// text. At least one, so that no CN is ever judged alone (slurm-contract.md 3.4).
fn san(config: &ConfigFile, templates: Vec<String>) -> Result<Vec<String>, Error> {
    let is_name = |template: &str| {
        template.contains("%n") && NodeName::parse(template.replace("%n", "n").as_bytes()).is_ok()
    };
    match templates.iter().find(|template| !is_name(template)) {
        Some(bad) => Err(config.refuse(format!("[controller] san: {} is not a name with %n", quoted(bad)))),
        None if templates.is_empty() => Err(config.refuse("[controller] san is empty".into())),
        None => Ok(templates),
    }
}
