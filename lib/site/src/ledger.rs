//! The ledger: issued means recorded. Several slurmctld workers sign at once, and any of them may be killed
//! with its script (slurm-contract.md 1.4, 1.5).
//!
//! One JSON line per certificate, appended with one write under a lock on a separate file, synced after
//! the lock is released and before the certificate is printed. One file per controller host, so that no
//! two hosts append to one; readers merge. Refusals go to a file of their own whose failure never
//! matters: a flood of refusals must not stop renewals.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki::certificate::Certificate;
use pki::name::NodeName;
use pki::policy::Plan;
use pki::record::RecordId;
use pki::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::config::ControllerConfig;
use crate::error::Error;
use crate::file::{self, NewFile};
use crate::folder::Folder;
use crate::host;
use crate::ledger_files;
use crate::lock;
use crate::syslog;

pub use crate::ledger_files::Extent;

const FILE_MODE: u32 = 0o600;

/// How long the lock is waited for: far below Slurm's five seconds.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Far longer than any entry; and of the one in `last/`.
const MAX_LINE: u64 = 64 * 1024;
const MAX_LAST: usize = 64 * 1024;

/// Size at which the file of refusals is put aside, and the one before it forgotten.
const MAX_REFUSED: u64 = 1024 * 1024;

/// One certificate, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Format version: 1.
    pub v: u32,
    /// When it was issued.
    pub time: UnixTime,
    /// The node, or the daemon (slurmctld, slurmdbd, slurmrestd).
    pub node: String,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// SHA-256 of the SubjectPublicKeyInfo, lower-case hex.
    pub spki_sha256: String,
    /// First second of its life.
    pub not_before: UnixTime,
    /// Last second of its life.
    pub not_after: UnixTime,
    /// Subject of the issuing certificate.
    pub issuer: String,
    /// The record that bound the request; `None` when unbound, bound by a list line, or an admin's.
    pub record: Option<RecordId>,
}

impl Entry {
    /// What is to be recorded of a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate, plan: &Plan, now: UnixTime) -> Self {
        let facts = certificate.leaf().facts();
        Self {
            v: 1,
            time: now,
            node: plan.common_name().to_owned(),
            serial: facts.serial.clone(),
            spki_sha256: certificate.spki_sha256(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            issuer: facts.issuer.clone(),
            record: plan.record().cloned(),
        }
    }

    fn to_line(&self) -> String {
        // Strings and numbers: serde_json has no way to fail on these.
        serde_json::to_string(self).map(|json| json + "\n").unwrap_or_default()
    }
}

/// The ledger of a site, written by this host.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    host: String,
    required: bool,
}

impl Ledger {
    /// The ledger that the config names.
    #[must_use]
    pub fn of(config: &ControllerConfig) -> Self {
        Self { folder: config.ledger.clone(), host: host::for_file_name(), required: config.ledger_required }
    }

    /// Records a certificate, durably, before anyone sees it.
    ///
    /// # Errors
    /// When it cannot be recorded and `ledger_required` holds: then the certificate must not get out.
    pub fn record(&self, program: &str, entry: &Entry) -> Result<(), Error> {
        match self.append(entry) {
            Ok(()) => {
                self.remember_last(entry);
                Ok(())
            }
            Err(e) if self.required => Err(e),
            Err(e) => {
                syslog::warn(program, &format!("issued without a ledger line for {}: {e}", entry.node));
                Ok(())
            }
        }
    }

    fn append(&self, entry: &Entry) -> Result<(), Error> {
        let lock = self.lock()?;
        let path = self.issued_path();
        let mut file = file::open_to_append(&path, FILE_MODE)?;
        let failed = || Error::write(&path);
        let length = file.metadata().map_err(failed())?.len();
        if length == 0 {
            // The new file's name must survive a power failure too, and does so before any line is there
            // to tell the next program that this was done.
            Folder::open(&self.folder).and_then(|folder| folder.sync()).map_err(failed())?;
        }
        let mut line = entry.to_line();
        if length > 0 && !ends_with_newline(&mut file).map_err(failed())? {
            // A line that a full disk or a crash cut short: closed, so that ours stays whole.
            line.insert(0, '\n');
        }
        if let Err(e) = file.write_all(line.as_bytes()) {
            // Half a line says nothing; what was whole before stays so.
            let _ = file.set_len(length);
            return Err(failed()(e));
        }
        drop(lock);
        // Many sign_csr at once share the device's sync instead of queueing for it under the lock.
        file.sync_data().map_err(failed())
    }

    /// Waits at most two seconds for the lock. It lies on a file of its own, so that the ledger can be
    /// rotated while others wait.
    fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join(format!("issued.{}.lock", self.host));
        let lock = file::open_to_append(&path, FILE_MODE)?;
        lock::wait_for(&lock, &path, MAX_WAIT)?;
        Ok(lock)
    }

    /// `last/<node>.json`: status without a scan. Renamed into place, not synced; rebuilt when lost.
    fn remember_last(&self, entry: &Entry) {
        let folder = self.folder.join("last");
        if NodeName::parse(entry.node.as_bytes()).is_ok()
            && file::make_folder_owned_as_its_folder(&folder, 0o700).is_ok()
        {
            let path = folder.join(format!("{}.json", entry.node));
            let file = NewFile::new(&path, FILE_MODE).owned_as_its_folder().not_synced();
            let _ = file.replace(entry.to_line().as_bytes());
        }
    }

    fn issued_path(&self) -> PathBuf {
        self.folder.join(format!("issued.{}.jsonl", self.host))
    }

    /// Notes a refusal in syslog and in `refused.<host>.jsonl`. `node` is whatever the other side
    /// called itself.
    pub fn refused(&self, program: &str, node: &[u8], reason: &str, now: UnixTime) {
        let shown = node.get(..64).unwrap_or(node).escape_ascii().to_string();
        syslog::warn(program, &format!("node {shown}: {reason}"));
        let _ = self.append_refusal(program, &shown, reason, now);
    }

    fn append_refusal(&self, program: &str, node: &str, reason: &str, now: UnixTime) -> Result<(), Error> {
        let path = self.folder.join(format!("refused.{}.jsonl", self.host));
        let mut file = file::open_to_append(&path, FILE_MODE)?;
        if file.metadata().map_err(Error::write(&path))?.len() >= MAX_REFUSED {
            let [name, aside] = ["", ".1"].map(|n| OsString::from(format!("refused.{}{n}.jsonl", self.host)));
            let put_aside = Folder::open(&self.folder).and_then(|folder| folder.rename(&name, &aside));
            put_aside.map_err(Error::write(&path))?;
            file = file::open_to_append(&path, FILE_MODE)?;
        }
        let refusal = Refusal { v: 1, time: now, program, node, reason };
        let line = serde_json::to_string(&refusal).unwrap_or_default() + "\n";
        file.write_all(line.as_bytes()).map_err(Error::write(&path))
    }

    /// Every entry that matches, of all hosts, oldest first, rotated files with those that grow
    /// ([`extent`](Self::extent) names compressed ones, which are not read). Torn lines are skipped.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn entries(&self, mut wanted: impl FnMut(&Entry) -> bool) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        for (path, mut file) in ledger_files::open_all(&self.folder)? {
            loop {
                let mut line = Vec::new();
                // What a longer line falls into is no entry either.
                let read = (&mut file).take(MAX_LINE).read_until(b'\n', &mut line);
                if read.map_err(Error::read(&path))? == 0 {
                    break;
                }
                if let Ok(entry) = serde_json::from_slice::<Entry>(&line)
                    && wanted(&entry)
                {
                    found.push(entry);
                }
            }
        }
        found.sort_by_key(|entry| entry.time);
        Ok(found)
    }

    /// The newest entry of all, by the ends of the files.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn newest(&self) -> Result<Option<Entry>, Error> {
        let tails = ledger_files::tails(&self.folder, MAX_LINE)?;
        let lines = tails.iter().flat_map(|tail| tail.split(|byte| *byte == b'\n'));
        let entries = lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        // Of several in one second the last one.
        Ok(entries.max_by_key(|entry| entry.time))
    }

    /// How many files there are, and how large they are together.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn extent(&self) -> Result<Extent, Error> {
        ledger_files::extent(&self.folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The last certificate of a node, without a scan where `last/` knows it.
    ///
    /// # Errors
    /// When neither `last/` nor the ledger can be read.
    pub fn last(&self, node: &str) -> Result<Option<Entry>, Error> {
        match self.last_known(node) {
            Some(entry) => Ok(Some(entry)),
            None => Ok(self.entries(|entry| entry.node == node)?.pop()),
        }
    }

    /// What `last/` has of a node; for whoever asks about many nodes and reads the ledger once for those
    /// that are missing here.
    #[must_use]
    pub fn last_known(&self, node: &str) -> Option<Entry> {
        let path = self.folder.join("last").join(format!("{node}.json"));
        let (line, _) = file::read_with_metadata(&path, MAX_LAST).ok()?;
        serde_json::from_slice(line.expose()).ok()
    }

    /// The names that `last/` knows; `None` when there is no such folder (it is made with the first
    /// certificate).
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn last_names(&self) -> Result<Option<Vec<String>>, Error> {
        let folder = self.folder.join("last");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::read(&folder)(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(Error::read(&folder))?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        Ok(Some(names))
    }
}

#[derive(Serialize)]
struct Refusal<'a> {
    v: u32,
    time: UnixTime,
    program: &'a str,
    node: &'a str,
    reason: &'a str,
}

fn ends_with_newline(file: &mut File) -> std::io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn ledger(folder: &Path) -> Ledger {
        Ledger { folder: folder.to_owned(), host: "h1".into(), required: true }
    }

    fn entry(node: &str, time: i64) -> Entry {
        Entry {
            v: 1,
            time: UnixTime(time),
            node: node.into(),
            serial: "40".into(),
            spki_sha256: "00".into(),
            not_before: UnixTime(time),
            not_after: UnixTime(time + 60),
            issuer: "CN=ca".into(),
            record: None,
        }
    }

    #[test]
    fn what_was_recorded_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        ledger.record("sign_csr", &entry("n1", 5)).unwrap();
        ledger.record("sign_csr", &entry("n2", 6)).unwrap();
        assert_eq!(ledger.entries(|_| true).unwrap(), [entry("n1", 5), entry("n2", 6)]);
        assert_eq!(ledger.last("n1").unwrap(), Some(entry("n1", 5)));
    }

    #[test]
    fn the_line_is_the_published_one() {
        assert_eq!(
            entry("n1", 5).to_line(),
            "{\"v\":1,\"time\":5,\"node\":\"n1\",\"serial\":\"40\",\"spki_sha256\":\"00\",\
             \"not_before\":5,\"not_after\":65,\"issuer\":\"CN=ca\",\"record\":null}\n"
        );
    }

    #[test]
    fn a_torn_last_line_is_closed_and_hurts_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        ledger.record("sign_csr", &entry("n1", 5)).unwrap();
        let path = folder.path().join("issued.h1.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"v\":1,\"time\":6,\"no").unwrap();
        ledger.record("sign_csr", &entry("n2", 7)).unwrap();
        assert_eq!(ledger.entries(|_| true).unwrap(), [entry("n1", 5), entry("n2", 7)]);
    }

    #[test]
    fn a_lost_last_file_is_answered_from_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        ledger.record("sign_csr", &entry("n1", 5)).unwrap();
        fs::write(folder.path().join("last/n1.json"), "{").unwrap();
        assert_eq!(ledger.last("n1").unwrap(), Some(entry("n1", 5)));
    }

    #[test]
    fn the_newest_entry_is_found_in_whatever_file_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        assert_eq!(ledger.newest().unwrap(), None);
        ledger.record("sign_csr", &entry("n1", 5)).unwrap();
        ledger.record("sign_csr", &entry("n2", 9)).unwrap();
        let path = folder.path().join("issued.h1.jsonl");
        fs::rename(&path, folder.path().join("issued.h1.jsonl.1")).unwrap();
        assert_eq!(ledger.newest().unwrap(), Some(entry("n2", 9)));
        fs::write(folder.path().join("issued.h2.jsonl"), entry("n3", 7).to_line()).unwrap();
        assert_eq!(ledger.newest().unwrap(), Some(entry("n2", 9)));
        ledger.record("sign_csr", &entry("n4", 11)).unwrap();
        assert_eq!(ledger.newest().unwrap(), Some(entry("n4", 11)));
        assert_eq!(ledger.entries(|_| true).unwrap().len(), 4);
        assert_eq!(ledger.last_names().unwrap().unwrap().len(), 3);
    }

    #[test]
    fn refusals_are_capped() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        let reason = "x".repeat(64 * 1024);
        for _ in 0..40 {
            ledger.append_refusal("sign_csr", "n1", &reason, UnixTime(0)).unwrap();
        }
        let size: u64 =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(size < 3 * MAX_REFUSED, "{size}");
    }
}
