//! Tokens that lie in Vault in clear, one key per node, on their way to records.

use pki::name::NodeName;
use pki::record::RecordFile;
use pki::token::NodeSecret;
use signer::Records;
use site::config::{Place, VaultConfig};
use site::store::{Elsewhere as _, Kept};

use super::super::enrolment::{Enrolment, new_record};
use super::super::refused::Refused;
use super::{Secrets, records_for};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// The tokens of all nodes that have one in this field. A key that holds a record already was imported by a former run.
///
/// # Errors
/// When the config still says that tokens lie there in clear, or Vault does not list its keys.
pub(super) fn secrets(
    global: &Global,
    admin: &Admin,
    enrolment: &Enrolment,
    field: &str,
    refused: &mut Refused,
) -> anyhow::Result<Secrets> {
    let mut config = VaultConfig::read(&admin.config).advise()?;
    if admin.controller.store == Place::Vault && config.kv_plain {
        return Err(Advice::new(
            "kv_plain in [vault] says that tokens are to lie in Vault in clear",
            "set kv_plain = false and take kv_field out, then run this: until it is done, nodes are not validated",
        )
        .into());
    }
    if admin.controller.store == Place::Vault && config.kv_field == field {
        return Err(Advice::new(
            format!("the records' own field is {field}"),
            "name the field with the tokens: --from-vault=FIELD",
        )
        .into());
    }
    config.kv_plain = true;
    field.clone_into(&mut config.kv_field);
    let plain = Records::of(config);
    let names = plain.names().advise()?;
    let bar = report::progress(global, names.len(), "reading tokens");
    let mut secrets = Secrets::new();
    for name in names.into_iter().filter(|name| !name.is_reserved()) {
        bar.inc(1);
        match plain.read(&name) {
            Ok(Kept::Token(secret)) => {
                secrets.insert(name, vec![secret]);
            }
            Ok(_) => {}
            Err(_) if matches!(enrolment.store.records(&name), Ok(Some(_))) => {}
            Err(e) => refused.add_error(&name, &e),
        }
    }
    bar.finish_and_clear();
    Ok(secrets)
}

/// The records to write, in place of the token where the records are in Vault too; `None` when the node has others.
///
/// # Errors
/// When there is no randomness, or records in files cannot be read.
pub(super) fn records(
    admin: &Admin,
    enrolment: &Enrolment,
    name: &NodeName,
    secrets: &[NodeSecret],
) -> Result<Option<RecordFile>, site::Error> {
    // A key with a token and no record does not read as a record.
    let has_none = matches!(enrolment.store.records(name), Ok(None) | Err(_));
    if admin.controller.store == Place::Vault && has_none {
        let records = secrets.iter().map(|secret| new_record(secret, enrolment.now));
        return Ok(Some(RecordFile::new(records.collect::<Result<_, _>>()?)));
    }
    records_for(enrolment, name, secrets)
}
