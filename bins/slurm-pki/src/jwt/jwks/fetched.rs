//! What is known of the last good fetch: `<state_dir>/jwt/fetched.json`. `status` shows it, and the next fetch asks with it
//! whether anything has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pki::time::UnixTime;
use serde::{Deserialize, Serialize};
use site::file::{self, Keep, NewFile, Owner};

use crate::admin::{make_below, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};

/// Longest file that is read.
const MAX: usize = 256 * 1024;

const FOLDER_MODE: u32 = 0o700;
const MODE: u32 = 0o600;

/// The last good fetch.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Fetched {
    /// The form of this file.
    v: u32,
    /// From where.
    pub(crate) url: String,
    /// The list that was written.
    pub(crate) jwks: PathBuf,
    /// When the provider last answered well, with a list or with "not changed".
    pub(crate) last_good: UnixTime,
    /// When the list last changed.
    pub(crate) last_change: UnixTime,
    /// SHA-256 of what was written, lower-case hex: whoever changes the file by hand gets it fetched anew.
    pub(crate) sha256: String,
    /// The provider's ETag (RFC 9110 §8.8.3).
    pub(crate) etag: Option<String>,
    /// The provider's Last-Modified (RFC 9110 §8.8.2).
    pub(crate) last_modified: Option<String>,
    /// The kids in the provider's list.
    pub(crate) kids: Vec<String>,
    /// Whether the hooks were told of the last change, and did their work: if not, the next fetch tells them.
    pub(crate) told: bool,
    /// Keys that stay for a grace time though the provider has them no more, and since when.
    pub(crate) gone: BTreeMap<String, UnixTime>,
}

impl Fetched {
    /// Of a fetch that brought something.
    pub(super) fn new(url: &str, jwks: &Path, now: UnixTime) -> Self {
        Self {
            v: 1,
            url: url.to_owned(),
            jwks: jwks.to_owned(),
            last_good: now,
            last_change: now,
            sha256: String::new(),
            etag: None,
            last_modified: None,
            kids: Vec::new(),
            told: false,
            gone: BTreeMap::new(),
        }
    }

    /// Where it lies.
    pub(crate) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("jwt/fetched.json")
    }

    /// Reads it; `None` before the first good fetch.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub(crate) fn read(state_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::path(state_dir);
        let Some(text) = file::read_if_there(&path, Keep::Intact, MAX).advise()? else { return Ok(None) };
        let read: Option<Self> = serde_json::from_slice(text.expose()).ok();
        read.filter(|read| read.v == 1).map(Some).ok_or_else(|| {
            Advice::new(
                format!("{} is damaged", path.display()),
                format!("rm {}; the next fetch makes it anew", path.display()),
            )
            .into()
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, state_dir: &Path, owner: Owner) -> anyhow::Result<()> {
        let path = Self::path(state_dir);
        let folder = state_dir.join("jwt");
        refuse_links_of_others(&folder)?;
        make_below(state_dir, &folder, FOLDER_MODE, Some(owner))?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        file::remove_leftovers(&path).advise()?;
        NewFile::new(&path, MODE).owned_by(Some(owner)).replace(text.as_bytes()).advise()
    }
}
