//! One question, one answer.

use std::time::{Duration, Instant};

use pki::name::NodeName;
use pki::record::MAX_RECORD_FILE;
use site::Error;
use site::config::{ConfigFile, VaultConfig};
use site::remote::{Answer, Call, Question, VERSION};
use vault::kv::Entry;
use vault::pki_engine::Wanted;

use crate::connect::{Door, kv, node_key, of_vault, pki_engine};

/// Answers a call.
///
/// # Errors
/// Whatever went wrong, on the site or in Vault.
pub fn answer(call: &Call, begun: Instant) -> Result<Answer, Error> {
    if call.v != VERSION {
        return Err(Error::Missing {
            what: format!("a question of version {} to a signer of version {VERSION}", call.v),
            hint: "install all programs of one version into one folder".into(),
        });
    }
    let config = VaultConfig::read(&ConfigFile::load_from(&call.config)?)?;
    let deadline = begun + Duration::from_millis(call.left_ms).min(config.deadline);
    match &call.question {
        Question::Record { node } => record(&config, node, deadline),
        Question::Sign { .. } => sign(&config, &call.question, deadline),
    }
}

fn record(config: &VaultConfig, node: &str, deadline: Instant) -> Result<Answer, Error> {
    let node =
        NodeName::parse(node.as_bytes()).map_err(Error::contents(std::path::Path::new("the question")))?;
    let client = Door::Programs.open(config, deadline)?;
    let entry = kv(config)?.read(&client, &node_key(config, &node)?).map_err(of_vault)?;
    let text = entry.map(|entry| field(config, &node, entry)).transpose()?;
    Ok(match text {
        Some(text) if config.kv_plain => Answer::Token { text },
        text => Answer::Record { text },
    })
}

/// A secret that is there and lacks the field is a mistake, not a node that nobody enrolled.
pub(crate) fn field(config: &VaultConfig, node: &NodeName, mut entry: Entry) -> Result<String, Error> {
    let place = std::path::PathBuf::from(format!("{node} in Vault's {}", config.kv_mount));
    let refuse = |why: String| Error::Contents {
        path: place.clone(),
        why,
        hint: "see kv_field, kv_plain and kv_version in [vault]".into(),
    };
    let text = entry.fields.remove(&config.kv_field);
    let text = text.ok_or_else(|| refuse(format!("it has no text in the field {}", config.kv_field)))?;
    if text.len() > MAX_RECORD_FILE {
        return Err(refuse(format!("the field {} is too long", config.kv_field)));
    }
    Ok(text)
}

fn sign(config: &VaultConfig, question: &Question, deadline: Instant) -> Result<Answer, Error> {
    let Question::Sign { csr, common_name, dns, ttl, daemon } = question else {
        return Err(Error::Missing { what: "no question to sign".into(), hint: String::new() });
    };
    // Who signs for nodes has no right to sign for daemons.
    let (door, role) =
        if *daemon { (Door::Daemons, &config.daemon_role) } else { (Door::Programs, &config.role) };
    let client = door.open(config, deadline)?;
    let wanted = Wanted { csr, common_name, dns, ttl: *ttl };
    let signed = pki_engine(config)?.sign(&client, role, &wanted).map_err(of_vault)?;
    Ok(Answer::Certificate {
        leaf: signed.leaf.to_pem(),
        above: signed.above.iter().map(pki::x509::X509::to_pem).collect(),
    })
}
