//! The key-value engine, in both its versions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::path::MountPath;

/// Which of the two APIs an engine speaks: nothing in an answer tells them apart for sure, so it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One value per key.
    One,
    /// Numbered versions per key.
    Two,
}

/// An engine at its mount.
#[derive(Clone, Debug)]
pub struct Kv {
    /// Where it is mounted.
    pub mount: MountPath,
    /// Its API.
    pub version: Version,
}

/// A secret that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The text fields; others are left out.
    pub fields: BTreeMap<String, String>,
    /// Its version, for a write that must not overwrite another one; `None` from version 1.
    pub version: Option<u64>,
}

impl Kv {
    /// Reads a secret; `None` where there is none, or it was deleted.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn read(&self, client: &Client, key: &MountPath) -> Result<Option<Entry>, Error> {
        let what = format!("read {key} in {}", self.mount);
        let answer = match client.read(&self.data_path(key), &what) {
            Ok(answer) => answer,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e),
        };
        match self.version {
            Version::One => Ok(Some(Entry { fields: texts(answer.data(&what)?), version: None })),
            Version::Two => {
                let data: V2 = answer.data(&what)?;
                let entry = |fields| Entry { fields: texts(fields), version: Some(data.metadata.version) };
                Ok(data.data.map(entry))
            }
        }
    }

    /// Writes a secret of one field. With `after`, version 2 writes only if that is still the version there (0: none
    /// yet).
    ///
    /// # Errors
    /// Whatever went wrong; a lost race is [`Error::Refused`] with "check-and-set" in its words.
    pub fn write(
        &self,
        client: &Client,
        key: &MountPath,
        field: &str,
        value: &str,
        after: Option<u64>,
    ) -> Result<(), Error> {
        let what = format!("write {key} in {}", self.mount);
        let data = json!({ field: value });
        let body = match (self.version, after) {
            (Version::One, _) => data,
            (Version::Two, None) => json!({ "data": data }),
            (Version::Two, Some(version)) => json!({ "data": data, "options": { "cas": version } }),
        };
        client.write(&self.data_path(key), &body, &what)?.without_warnings(|_| false).map(drop)
    }

    /// Deletes a secret with all its versions.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn delete(&self, client: &Client, key: &MountPath) -> Result<(), Error> {
        client.delete(&self.list_path(Some(key)), &format!("delete {key} in {}", self.mount))
    }

    /// The keys below a folder, or at the root of the mount; folders end in a slash.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn list(&self, client: &Client, folder: Option<&MountPath>) -> Result<Vec<String>, Error> {
        client.list(&self.list_path(folder), &format!("list {}", self.mount))
    }

    /// The path that a policy for reading and writing `key` names.
    #[must_use]
    pub fn data_path(&self, key: &MountPath) -> String {
        match self.version {
            Version::One => format!("{}/{key}", self.mount),
            Version::Two => format!("{}/data/{key}", self.mount),
        }
    }

    /// The path that a policy for listing and deleting names.
    #[must_use]
    pub fn list_path(&self, folder: Option<&MountPath>) -> String {
        let mount = match self.version {
            Version::One => self.mount.to_string(),
            Version::Two => format!("{}/metadata", self.mount),
        };
        folder.map_or_else(|| mount.clone(), |folder| format!("{mount}/{folder}"))
    }
}

#[derive(Deserialize)]
struct V2 {
    /// Null for a deleted version.
    data: Option<BTreeMap<String, Value>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

fn texts(fields: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    };
    fields.into_iter().filter_map(text).collect()
}
