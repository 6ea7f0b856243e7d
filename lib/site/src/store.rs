//! The store: one small file of records per node in a folder, and the marks beside them. Slurm links no
//! validation to a signature (slurm-contract.md 1.5): what both must know of a node stands here.
//!
//! The file system is the index: one open, no scan, at a million nodes as at ten.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use pki::name::NodeName;
use pki::record::{MAX_RECORD_FILE, Record, RecordFile, RecordId};
use pki::secret::Secret;
use pki::standing::{Held, Mark, Standing};
use pki::time::UnixTime;
use pki::token::NodeSecret;

use crate::batch::{self, Batch};
use crate::clock;
use crate::config::{ControllerConfig, Place};
use crate::error::Error;
use crate::file::{self, Keep, NewFile};
use crate::lock;
use crate::remote::{self, Answer, Question, Remote, Time};
use crate::token_list;

const FILE_MODE: u32 = 0o600;

/// Longest mark: two numbers.
const MAX_MARK: usize = 64;

/// The records of all nodes, and the list for those without any.
#[derive(Debug)]
pub struct Store {
    /// Of the marks, wherever the records are: who comes first must be settled on one file system.
    folder: PathBuf,
    list: Option<PathBuf>,
    records: Records,
}

#[derive(Debug)]
enum Records {
    /// In the folder.
    Folder,
    Elsewhere(Box<dyn Elsewhere>),
}

/// Records that are not in the folder: the programs reach them through a child that only reads, the admin command by
/// itself.
pub trait Elsewhere: std::fmt::Debug {
    /// What is kept of a node.
    ///
    /// # Errors
    /// When it cannot be told; nothing kept is not an error.
    fn read(&self, name: &NodeName) -> Result<Kept, Error>;

    /// Writes the text of a node's store file.
    ///
    /// # Errors
    /// When it cannot be written; the old one then still stands.
    fn write(&self, name: &NodeName, text: &str) -> Result<(), Error>;

    /// The names of all nodes with records, in any order.
    ///
    /// # Errors
    /// When they cannot be told.
    fn names(&self) -> Result<Vec<NodeName>, Error>;
}

/// What is kept of a node elsewhere.
#[derive(Clone, Debug)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// The text of its store file.
    Records(Secret),
    /// Its token in clear, as a line of a list would have it.
    Token(NodeSecret),
}

/// Held while an admin changes records: no two changes at once.
#[derive(Debug)]
pub struct Locked {
    _lock: File,
}

impl Store {
    /// The store that the config names, for a person's command; what is in Vault can only be read by it.
    #[must_use]
    pub fn of(config: &ControllerConfig) -> Self {
        Self::within(config, Time::PerQuestion)
    }

    /// The same within a time that other questions share.
    #[must_use]
    pub fn within(config: &ControllerConfig, time: Time) -> Self {
        match config.store {
            Place::Local => Self::with(config, Records::Folder),
            Place::Vault => Self::elsewhere(config, Box::new(Remote::new(config.source.clone(), time))),
        }
    }

    /// A store whose records are where the caller says.
    #[must_use]
    pub fn elsewhere(config: &ControllerConfig, records: Box<dyn Elsewhere>) -> Self {
        Self::with(config, Records::Elsewhere(records))
    }

    fn with(config: &ControllerConfig, records: Records) -> Self {
        Self { folder: config.tokens.clone(), list: config.token_list.clone(), records }
    }

    /// The folder of the records.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a node stands. Its own records alone judge it; a node without any falls back on the token
    /// list, except a reserved name, which no list enrols.
    ///
    /// # Errors
    /// When records or list cannot be used.
    pub fn standing(&self, name: &NodeName) -> Result<Standing, Error> {
        match self.kept(name)? {
            Kept::Records(text) => {
                return Ok(Standing::Recorded(self.marked(name, self.parsed(name, &text)?)?));
            }
            // Reserved names are nobody's here as on a list.
            Kept::Token(secret) if !name.is_reserved() => return Ok(Standing::Listed(vec![secret])),
            Kept::Nothing | Kept::Token(_) => {}
        }
        // Without the folder nobody can tell which nodes were removed: the list must not enrol them again.
        self.must_be_there()?;
        match &self.list {
            Some(list) if !name.is_reserved() => {
                let lines = token_list::applying_to(name, list)?;
                Ok(if lines.is_empty() { Standing::Unknown } else { Standing::Listed(lines) })
            }
            _ => Ok(Standing::Unknown),
        }
    }

    /// A node's records; `None` when it has none.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn records(&self, name: &NodeName) -> Result<Option<RecordFile>, Error> {
        match self.kept(name)? {
            Kept::Records(text) => self.parsed(name, &text).map(Some),
            Kept::Nothing | Kept::Token(_) => Ok(None),
        }
    }

    fn kept(&self, name: &NodeName) -> Result<Kept, Error> {
        match &self.records {
            Records::Folder => {
                let text = file::read_if_there(&self.path_of(name), Keep::Intact, MAX_RECORD_FILE)?;
                Ok(text.map_or(Kept::Nothing, Kept::Records))
            }
            Records::Elsewhere(records) => records.read(name),
        }
    }

    fn parsed(&self, name: &NodeName, text: &Secret) -> Result<RecordFile, Error> {
        RecordFile::parse(text.expose()).map_err(Error::contents(&self.shown_path(name)))
    }

    /// The mark of a record, if a certificate was ever issued under it.
    ///
    /// # Errors
    /// When the mark is there but cannot be used.
    pub fn mark_of(&self, name: &NodeName, id: &RecordId) -> Result<Option<Mark>, Error> {
        let path = self.mark_path(name, id);
        let Some(text) = file::read_if_there(&path, Keep::Intact, MAX_MARK)? else { return Ok(None) };
        let mark = match text.expose() {
            // A foreign or crashed writer: the time of the file itself counts.
            [] => {
                let modified = fs::metadata(&path).and_then(|m| m.modified()).map_err(Error::read(&path))?;
                Some(Mark::of_empty_file(clock::of(modified)))
            }
            text => Mark::parse(text),
        };
        match mark {
            Some(mark) => Ok(Some(mark)),
            None => Err(Error::Contents {
                why: "it is not a time".into(),
                hint: "remove it: the record then counts as never used".into(),
                path,
            }),
        }
    }

    /// Marks a record as used at `now`, once; a first bound certificate is noted beside an earlier
    /// unbound one.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark(&self, name: &NodeName, id: &RecordId, bound: bool, now: UnixTime) -> Result<(), Error> {
        let path = self.mark_path(name, id);
        let file = NewFile::new(&path, FILE_MODE).owned_as_its_folder();
        let first = Mark { issued: now, bound: bound.then_some(now) };
        match self.mark_of(name, id)? {
            None if file.create(first.to_text().as_bytes())? => Ok(()),
            Some(Mark { issued, bound: None }) if bound => {
                file.replace(Mark { issued, bound: Some(now) }.to_text().as_bytes())
            }
            Some(_) => Ok(()),
            // Another sign_csr was first; its mark may still lack what ours knows.
            None => match self.mark_of(name, id)? {
                Some(Mark { issued, bound: None }) if bound => {
                    file.replace(Mark { issued, bound: Some(now) }.to_text().as_bytes())
                }
                _ => Ok(()),
            },
        }
    }

    /// Removes the mark of a record that is no more.
    pub fn forget_mark(&self, _lock: &Locked, name: &NodeName, id: &RecordId) {
        // Left behind, it means nothing: no record has its id.
        let _ = file::remove(&self.mark_path(name, id));
    }

    /// Waits for the right to change records: `<folder>/.lock`.
    ///
    /// # Errors
    /// When the folder or the lock cannot be opened, or somebody keeps it.
    pub fn lock(&self) -> Result<Locked, Error> {
        let path = self.folder.join(".lock");
        let lock = file::open_to_append(&path, FILE_MODE)?;
        lock::wait_for(&lock, &path, lock::AMONG_COMMANDS)?;
        Ok(Locked { _lock: lock })
    }

    /// Writes a node's records. What is written is read back first: a store file that the programs
    /// could not read would keep the node out.
    ///
    /// # Errors
    /// When it cannot be written; the old records then still stand.
    pub fn write(&self, _lock: &Locked, name: &NodeName, records: &RecordFile) -> Result<(), Error> {
        let json = self.checked_json(name, records)?;
        match &self.records {
            Records::Folder => {
                let path = self.path_of(name);
                NewFile::new(&path, FILE_MODE).owned_as_its_folder().replace(json.as_bytes())
            }
            Records::Elsewhere(elsewhere) => elsewhere.write(name, &json),
        }
    }

    /// Writes the records of many nodes: [`write`](Self::write) without a sync for each. `each` is called
    /// once per node.
    ///
    /// # Errors
    /// When one cannot be written; of the others some may be new, each of them whole.
    pub fn write_many(
        &self,
        _lock: &Locked,
        nodes: &[(NodeName, RecordFile)],
        mut each: impl FnMut(),
    ) -> Result<(), Error> {
        if let Records::Elsewhere(elsewhere) = &self.records {
            return nodes.iter().try_for_each(|(name, records)| {
                elsewhere.write(name, &self.checked_json(name, records)?)?;
                each();
                Ok(())
            });
        }
        let mut batch = Batch::new(&self.folder, FILE_MODE)?.owned_as_its_folder()?;
        for (name, records) in nodes {
            let json = self.checked_json(name, records)?;
            batch.add(&format!("{name}.json"), json.as_bytes())?;
        }
        batch.commit(each)
    }

    /// Removes what killed admin commands left half written beside the records.
    ///
    /// # Errors
    /// When the folder cannot be read, or a file in it not be removed.
    pub fn sweep(&self, _lock: &Locked) -> Result<(), Error> {
        batch::sweep(&self.folder, ".json")
    }

    /// A node's records with their marks, oldest first; `None` when it has none.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn held(&self, name: &NodeName) -> Result<Option<Vec<Held>>, Error> {
        self.records(name)?.map(|file| self.marked(name, file)).transpose()
    }

    fn marked(&self, name: &NodeName, file: RecordFile) -> Result<Vec<Held>, Error> {
        let held = file.records.into_iter().map(|record| {
            let mark = self.mark_of(name, &record.id)?;
            Ok(Held { record, mark })
        });
        held.collect()
    }

    /// The text of a store file, read back.
    fn checked_json(&self, name: &NodeName, records: &RecordFile) -> Result<String, Error> {
        let json = records.to_json();
        RecordFile::parse(json.as_bytes()).map_err(Error::contents(&self.shown_path(name)))?;
        Ok(json)
    }

    /// Adds a record to a node, newest last.
    ///
    /// # Errors
    /// When the node's file cannot be read or written.
    pub fn add(&self, lock: &Locked, name: &NodeName, record: Record) -> Result<(), Error> {
        let mut file = self.records(name)?.unwrap_or_else(|| RecordFile::new(Vec::new()));
        file.records.push(record);
        self.write(lock, name, &file)
    }

    /// The names of all nodes with records, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<NodeName>, Error> {
        if let Records::Elsewhere(records) = &self.records {
            let mut names = records.names()?;
            names.sort();
            return Ok(names);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(Error::read(&self.folder))? {
            let entry = entry.map_err(Error::read(&self.folder))?;
            let name = entry.file_name();
            let name = name.to_str().and_then(|file| file.strip_suffix(".json"));
            names.extend(name.and_then(|name| NodeName::parse(name.as_bytes()).ok()));
        }
        names.sort();
        Ok(names)
    }

    /// A missing folder is a site that was never set up, not a cluster without nodes.
    fn must_be_there(&self) -> Result<(), Error> {
        match fs::metadata(&self.folder) {
            Ok(folder) if folder.is_dir() => Ok(()),
            Ok(_) => Err(Error::read(&self.folder)(std::io::ErrorKind::NotADirectory.into())),
            Err(e) => Err(Error::read(&self.folder)(e)),
        }
    }

    fn path_of(&self, name: &NodeName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Where a node's records are, for messages.
    fn shown_path(&self, name: &NodeName) -> PathBuf {
        match self.records {
            Records::Folder => self.path_of(name),
            Records::Elsewhere(_) => format!("the record of {name} in Vault").into(),
        }
    }

    fn mark_path(&self, name: &NodeName, id: &RecordId) -> PathBuf {
        self.folder.join(format!("{name}.{id}.used"))
    }
}

/// The child reads and does nothing else: what writes has other rights in Vault.
impl Elsewhere for Remote {
    fn read(&self, name: &NodeName) -> Result<Kept, Error> {
        match self.ask(Question::Record { node: name.to_string() })? {
            Answer::Record { text: None } => Ok(Kept::Nothing),
            Answer::Record { text: Some(text) } => Ok(Kept::Records(Secret::new(text.into_bytes()))),
            Answer::Token { text } => {
                let token = Secret::new(text.into_bytes());
                let secret = NodeSecret::foreign(token.expose());
                let place = PathBuf::from(format!("the token of {name} in Vault"));
                secret.map(Kept::Token).map_err(Error::contents(&place))
            }
            Answer::Certificate { .. } | Answer::Error { .. } => Err(remote::other_answer()),
        }
    }

    fn write(&self, _name: &NodeName, _text: &str) -> Result<(), Error> {
        Err(only_read())
    }

    fn names(&self) -> Result<Vec<NodeName>, Error> {
        Err(only_read())
    }
}

fn only_read() -> Error {
    Error::Missing {
        what: "the records are in Vault, where this command only reads one at a time".into(),
        hint: "slurm-pki vault check lists and compares them".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use pki::standing::Windows;

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const WINDOWS: Windows =
        Windows { replay: Duration::from_secs(3600), grace: Duration::from_secs(86_400) };

    fn store(list: Option<&str>) -> (tempfile::TempDir, Store) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let path = folder.path().join("list");
        if let Some(text) = list {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let list = list.map(|_| path);
        (folder, Store { folder: tokens, list, records: Records::Folder })
    }

    fn name(text: &str) -> NodeName {
        NodeName::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_removed_node_does_not_fall_back_on_a_bare_token() {
        let (_folder, store) = store(Some("tok\n"));
        let mut record = Record::of(&NodeSecret::new([1; 32]), RecordId::new([1; 8]), NOW);
        record.withdrawn = Some(NOW);
        store.add(&store.lock().unwrap(), &name("n1"), record).unwrap();
        assert!(!store.standing(&name("n1")).unwrap().is_enrolled(NOW, &WINDOWS));
        assert!(store.standing(&name("n2")).unwrap().is_enrolled(NOW, &WINDOWS));
        assert!(!store.standing(&name("slurmctld")).unwrap().is_enrolled(NOW, &WINDOWS));
    }

    #[test]
    fn the_first_mark_stays_and_the_first_bound_one_is_noted_beside_it() {
        let (_folder, store) = store(None);
        let id = RecordId::new([1; 8]);
        let at = |seconds| UnixTime(seconds);
        store.mark(&name("n1"), &id, false, at(5)).unwrap();
        store.mark(&name("n1"), &id, false, at(6)).unwrap();
        assert_eq!(store.mark_of(&name("n1"), &id).unwrap(), Some(Mark { issued: at(5), bound: None }));
        store.mark(&name("n1"), &id, true, at(7)).unwrap();
        store.mark(&name("n1"), &id, true, at(8)).unwrap();
        assert_eq!(
            store.mark_of(&name("n1"), &id).unwrap(),
            Some(Mark { issued: at(5), bound: Some(at(7)) })
        );
    }

    #[test]
    fn a_missing_folder_is_an_error_not_an_unknown_node() {
        let store = Store { folder: "/nowhere/tokens".into(), list: None, records: Records::Folder };
        assert!(store.standing(&name("n1")).is_err());
    }

    #[test]
    fn without_the_folder_no_list_enrols_a_node_that_may_have_been_removed() {
        let (_folder, store) = store(Some("tok\nn1 other\n"));
        fs::remove_dir(store.folder()).unwrap();
        assert!(store.standing(&name("n1")).is_err());
        assert!(store.standing(&name("n2")).is_err());
    }
}
