//! What every command that changes records does alike: secrets first, then records, under one lock.

use pki::name::NodeName;
use pki::record::{Record, RecordFile, RecordId};
use pki::standing::{Held, Standing, Windows};
use pki::time::UnixTime;
use pki::token::NodeSecret;
use serde_json::Value;
use site::Error;
use site::config::{Place, VaultConfig};
use site::random;
use site::store::{Locked, Store};

use super::outgoing::{Outgoing, record_of};
use crate::admin::{Admin, caller};
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// Before the role has a name of a node whose record cannot be written.
fn refuse_tokens_in_clear(admin: &Admin) -> anyhow::Result<()> {
    if admin.controller.store == Place::Local || !VaultConfig::read(&admin.config).advise()?.kv_plain {
        return Ok(());
    }
    Err(Advice::new(
        "tokens lie in Vault in clear (kv_plain), and are written there by whoever made them",
        "turn them into records: set kv_plain = false in [vault], then slurm-pki node import --from-vault",
    )
    .into())
}

/// The member of a record that says that its token was made by others: whoever sees it can bind too.
pub(crate) const FOREIGN: &str = "foreign";

/// Records of a node that stay, dead ones included, for `node show` and whoever looks back.
const KEPT: usize = 32;

/// Store and waiting secrets of a site.
#[derive(Debug)]
pub(crate) struct Enrolment {
    /// Who is enrolled.
    pub(crate) store: Store,
    /// Secrets that wait.
    pub(crate) outgoing: Outgoing,
    /// When this command began.
    pub(crate) now: UnixTime,
    /// How long old rights last.
    pub(crate) windows: Windows,
}

/// What limits a new record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Ends `replay_window` after the first certificate.
    pub(crate) single_use: bool,
    /// Last second in which the token enrols.
    pub(crate) enrols_until: Option<UnixTime>,
}

/// A node that is to get a record for a secret.
#[derive(Debug)]
pub(crate) struct Given {
    /// Which.
    pub(crate) name: NodeName,
    /// Its records so far, changed as the command wants them.
    pub(crate) records: RecordFile,
    /// The secret.
    pub(crate) secret: NodeSecret,
    /// Whether the secret has yet to be put where it waits.
    pub(crate) is_new: bool,
}

impl Enrolment {
    /// For a command that only reads.
    ///
    /// # Errors
    /// When the store is not in files.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        Ok(Self {
            store: admin.store()?,
            outgoing: Outgoing::below(&admin.top().state_dir),
            now: site::clock::now(),
            windows: admin.controller.windows,
        })
    }

    /// Takes the lock under which records and waiting secrets are changed; with `--dry-run`, which
    /// changes nothing, there is none to take.
    ///
    /// # Errors
    /// When the caller is neither root nor SlurmUser, the folders cannot be used, or nothing is written in this store.
    pub(crate) fn lock(&self, global: &Global, admin: &Admin) -> anyhow::Result<Option<Locked>> {
        refuse_tokens_in_clear(admin)?;
        let owner = admin.slurm_user_to_write_for()?;
        if global.dry_run {
            return Ok(None);
        }
        let lock = self.store.lock().advise()?;
        self.store.sweep(&lock).advise()?;
        self.outgoing.prepare((caller().uid == 0).then_some(owner)).advise()?;
        Ok(Some(lock))
    }

    /// Whether any record of a node still speaks for it.
    pub(crate) fn is_live(&self, held: &[Held]) -> bool {
        Standing::Recorded(held.to_vec()).is_enrolled(self.now, &self.windows)
    }

    /// A node's records as they are to be written again; none for a node without.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(crate) fn records(&self, name: &NodeName) -> Result<RecordFile, Error> {
        Ok(self.store.records(name)?.unwrap_or_else(|| RecordFile::new(Vec::new())))
    }

    /// A secret for a node: one that a killed command left waiting without a record, else a new one.
    /// A waiting one that has a record already is not given out twice.
    ///
    /// # Errors
    /// When a waiting one cannot be read, or there is no randomness.
    pub(crate) fn secret_for(&self, name: NodeName, records: RecordFile) -> Result<Given, Error> {
        let left = self.outgoing.waiting(&name).or_else(unusable_is_none)?;
        let left = left.filter(|secret| record_of(secret, &records.records).is_none());
        let is_new = left.is_none();
        let secret = match left {
            Some(secret) => secret,
            None => NodeSecret::new(random::bytes()?),
        };
        Ok(Given { name, records, secret, is_new })
    }

    /// Hands secrets out and records them. Secrets are durable before any record is written: a record
    /// whose secret is lost would count as enrolled and keep the node out, while a secret without a
    /// record is nothing, and the next run uses it. Nothing is synced one by one, and nothing need be:
    /// each batch is durable as a whole before the next step, and no file is in its place before that.
    ///
    /// # Errors
    /// When something cannot be written; the same command then completes what is missing.
    pub(crate) fn hand_out(
        &self,
        global: &Global,
        lock: &Locked,
        given: Vec<Given>,
        terms: Terms,
    ) -> anyhow::Result<Vec<(NodeName, NodeSecret)>> {
        let bar = report::progress(global, 2 * given.len(), "writing files");
        let new = given.iter().filter(|one| one.is_new).map(|one| (&one.name, &one.secret));
        self.outgoing.put(new, || bar.inc(1)).advise()?;
        let (mut written, mut handed, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
        for one in given {
            let mut records = one.records;
            let dead = self.forgettable(&one.name).advise()?.min(records.records.len());
            forgotten.extend(records.records.drain(..dead).map(|record| (one.name.clone(), record.id)));
            let mut record = new_record(&one.secret, self.now).advise()?;
            record.single_use = terms.single_use;
            record.enrols_until = terms.enrols_until;
            records.records.push(record);
            written.push((one.name.clone(), records));
            handed.push((one.name, one.secret));
        }
        self.store.write_many(lock, &written, || bar.inc(1)).advise()?;
        for (name, id) in &forgotten {
            self.store.forget_mark(lock, name, id);
        }
        bar.finish_and_clear();
        Ok(handed)
    }

    /// How many of a node's oldest records are let go when it gets another.
    fn forgettable(&self, name: &NodeName) -> Result<usize, Error> {
        let held = self.store.held(name)?.unwrap_or_default();
        Ok(Standing::Recorded(held).forgettable(KEPT, self.now, &self.windows))
    }
}

/// A record of a secret; a foreign one is marked as such.
///
/// # Errors
/// When there is no randomness.
pub(crate) fn new_record(secret: &NodeSecret, now: UnixTime) -> Result<Record, Error> {
    let mut record = Record::of(secret, RecordId::new(random::bytes()?), now);
    if secret.is_foreign() {
        record.others.insert(FOREIGN.to_owned(), Value::Bool(true));
    }
    Ok(record)
}

/// Whether a record's token was made by others.
pub(crate) fn is_foreign(record: &Record) -> bool {
    record.others.get(FOREIGN) == Some(&Value::Bool(true))
}

/// A waiting file that holds no secret is replaced, not mourned.
fn unusable_is_none(e: Error) -> Result<Option<NodeSecret>, Error> {
    if matches!(e, Error::Contents { .. } | Error::TooLong { .. }) { Ok(None) } else { Err(e) }
}
