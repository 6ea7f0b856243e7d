//! The node that rehearsals play: its secret on the controller, its record in the store.

use pki::name::{NodeName, REHEARSAL};
use pki::record::{Record, RecordId};
use pki::time::UnixTime;
use pki::token::{MAX_TOKEN, NodeSecret};
use site::Error;
use site::config::Place;
use site::file::{self, Keep, Owner};
use site::random;
use site::store::Store;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::making::Making;
use crate::report;

/// Makes what is missing: the secret first, then a record of it. A secret whose record was lost gets a
/// new record, a record whose secret was lost gets a younger one beside it.
///
/// # Errors
/// When secret or record cannot be read or written.
pub(super) fn complete(
    making: &Making<'_>,
    admin: &Admin,
    store: &Store,
    owner: Owner,
    now: UnixTime,
) -> anyhow::Result<()> {
    let name = NodeName::parse(REHEARSAL.as_bytes()).advise()?;
    let path = admin.top().state_dir.join("rehearsal").join(format!("{name}_token.txt"));
    let there = file::read_if_there(&path, Keep::Secret, MAX_TOKEN + 64).advise()?;
    let secret = match there {
        Some(text) => {
            making.was_there(&path);
            NodeSecret::from_token_file(text.expose()).map_err(Error::contents(&path)).advise()?
        }
        None => {
            let secret = NodeSecret::new(random::bytes().advise()?);
            making.file(&path, 0o400, Some(owner), secret.to_token_file().expose())?;
            secret
        }
    };
    let record = match admin.controller.store {
        Place::Local => store.folder().join(format!("{name}.json")),
        Place::Vault => format!("the record of {name} in Vault").into(),
    };
    let digest = secret.token().digest();
    let records = store.records(&name).advise()?.map(|file| file.records).unwrap_or_default();
    if records.iter().any(|record| record.token == digest && record.withdrawn.is_none()) {
        making.was_there(&record);
        return Ok(());
    }
    match admin.controller.store {
        Place::Local => making.says(&record, 0o600, Some(owner), ""),
        // No file: it has no mode and no owner.
        Place::Vault if making.only_says() => report::line(&format!("would make {}", record.display())),
        Place::Vault => {}
    }
    if making.only_says() {
        return Ok(());
    }
    let id = RecordId::new(random::bytes().advise()?);
    let lock = store.lock().advise()?;
    store.add(&lock, &name, Record::of(&secret, id, now)).advise()
}
