//! What the store keeps of one node: a file of records that nobody can enrol or bind with.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::binding::BindingPublic;
use crate::explain::Explain;
use crate::time::UnixTime;
use crate::token::{NodeSecret, TokenDigest};

/// Longest store file that is read: some 1,000 records, where a node has one or two.
pub const MAX_RECORD_FILE: usize = 256 * 1024;

/// A record's name within its node: 16 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId(String);

impl RecordId {
    /// A new id from 8 random bytes.
    #[must_use]
    pub fn new(random: [u8; 8]) -> Self {
        Self(HEXLOWER.encode(&random))
    }

    /// The 16 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.0
    }
}

impl TryFrom<String> for RecordId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && text.len() == 16 { Ok(Self(text)) } else { Err("not 16 hex digits") }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One secret's two rights, *enrol* (its token is valid) and *bind* (its binding key signs requests).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Names the record, and its `.used` mark.
    pub id: RecordId,
    /// Digest of T.
    pub token: TokenDigest,
    /// Public half of B.
    pub bind: BindingPublic,
    /// When the secret was made.
    pub created: UnixTime,
    /// Last second in which the token enrols; `None`: no end.
    #[serde(default)]
    pub enrols_until: Option<UnixTime>,
    /// The token ends `replay_window` after the first certificate issued under it.
    #[serde(default)]
    pub single_use: bool,
    /// When both rights were taken away.
    #[serde(default)]
    pub withdrawn: Option<UnixTime>,
    /// Members that a later version wrote: ignored, and kept.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl Record {
    /// A record of `secret` that both enrols and binds without end.
    #[must_use]
    pub fn of(secret: &NodeSecret, id: RecordId, now: UnixTime) -> Self {
        Self {
            id,
            token: secret.token().digest(),
            bind: secret.binding_key().public(),
            created: now,
            enrols_until: None,
            single_use: false,
            withdrawn: None,
            others: Map::new(),
        }
    }
}

/// A node's store file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFile {
    v: u32,
    /// Oldest first.
    pub records: Vec<Record>,
    /// Members that a later version wrote: ignored, and kept.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// Why a store file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Not the JSON that it should be: cut short, or edited.
    Damaged(String),
    /// Another format version.
    Version(u32),
    /// Larger than [`MAX_RECORD_FILE`].
    TooLong,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => write!(f, "a damaged store file ({why})"),
            Self::Version(v) => write!(f, "a store file of format version {v}"),
            Self::TooLong => write!(f, "a store file of more than {MAX_RECORD_FILE} bytes"),
        }
    }
}

impl Explain for RecordError {
    fn hint(&self) -> String {
        match self {
            Self::Version(_) => "this program reads version 1; install the version that wrote it".into(),
            _ => "restore it from a backup, or remove it and enrol the node anew: slurm-pki node add NODE"
                .into(),
        }
    }
}

impl RecordFile {
    /// A file with these records.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Self {
        Self { v: 1, records, others: Map::new() }
    }

    /// Reads a store file.
    ///
    /// # Errors
    /// When it is longer than [`MAX_RECORD_FILE`], not the JSON of format version 1, or names two
    /// records alike.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD_FILE {
            return Err(RecordError::TooLong);
        }
        let file: Self = serde_json::from_slice(bytes).map_err(|e| RecordError::Damaged(e.to_string()))?;
        if file.v != 1 {
            return Err(RecordError::Version(file.v));
        }
        let twice = file
            .records
            .iter()
            .enumerate()
            .find(|(n, record)| file.records.iter().skip(n + 1).any(|later| later.id == record.id));
        match twice {
            Some((_, record)) => Err(RecordError::Damaged(format!("two records are called {}", record.id))),
            None => Ok(file),
        }
    }

    /// The text of the file, with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with string keys: serde_json has no way to fail on these.
        serde_json::to_string(self).map(|json| json + "\n").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> RecordFile {
        let record = Record::of(&NodeSecret::new([3; 32]), RecordId::new([1; 8]), UnixTime(1_700_000_000));
        RecordFile::new(vec![record])
    }

    #[test]
    fn a_store_file_is_read_back() {
        assert_eq!(RecordFile::parse(file().to_json().as_bytes()).unwrap(), file());
    }

    #[test]
    fn members_of_a_later_version_are_kept() {
        let json = file().to_json().replacen("\"v\":1", "\"v\":1,\"colour\":\"red\"", 1);
        let read = RecordFile::parse(json.as_bytes()).unwrap();
        assert!(read.to_json().contains("\"colour\":\"red\""));
    }

    #[test]
    fn a_file_cut_short_at_any_byte_is_refused() {
        let json = file().to_json();
        for end in 0..json.trim_end().len() {
            assert!(RecordFile::parse(&json.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }
}
