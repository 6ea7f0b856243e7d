//! What auth-key and jwt jwks have noted in state_dir, as far as it is shown. What is read here is data for a person: no
//! decision is made by it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pki::time::UnixTime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use site::file::{self, Keep};

use crate::advice::{Advice, Advise as _};
use crate::hostlist::fold_texts;

/// As long as a list of all hosts of the largest cluster.
const MAX: usize = 16 * 1024 * 1024;

/// A change of auth/slurm's key that is under way.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rotation {
    /// What is being reached: add, use, drop and the like.
    pub(crate) phase: String,
    /// Since when it is this phase.
    pub(crate) since: UnixTime,
    /// When all began.
    pub(crate) begun: UnixTime,
    /// When every daemon had shown that it has reached it; null before.
    pub(crate) done: Option<UnixTime>,
    /// What is to sign.
    pub(crate) new: String,
    /// Daemons that have not reached it, as a hostlist.
    pub(crate) behind: String,
    /// How many.
    pub(crate) behind_count: usize,
}

/// The last good fetch of a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Fetch {
    /// From where.
    pub(crate) url: String,
    /// The list that it is written to.
    pub(crate) jwks: PathBuf,
    /// When the provider last answered well.
    pub(crate) last_good: UnixTime,
}

#[derive(Deserialize)]
struct State {
    rotation: Option<UnderWay>,
    #[serde(default)]
    keys: BTreeMap<String, Made>,
}

#[derive(Deserialize)]
struct UnderWay {
    phase: String,
    since: UnixTime,
    begun: UnixTime,
    done: Option<UnixTime>,
    new: String,
    #[serde(default)]
    behind: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Made {
    created: UnixTime,
}

/// The rotation that is under way, and when a key was made.
///
/// # Errors
/// When what was noted cannot be read.
pub(super) fn rotation(
    state_dir: &Path,
    kid: Option<&str>,
) -> anyhow::Result<(Option<Rotation>, Option<UnixTime>)> {
    let Some(state) = read::<State>(&state_dir.join("auth-key/state.json"))? else { return Ok((None, None)) };
    let made = kid.and_then(|kid| state.keys.get(kid)).map(|made| made.created);
    let rotation = state.rotation.map(|is| Rotation {
        phase: is.phase,
        since: is.since,
        begun: is.begun,
        done: is.done,
        new: is.new,
        behind_count: is.behind.len(),
        behind: fold_texts(is.behind.keys().map(String::as_str)),
    });
    Ok((rotation, made))
}

/// The last good fetch.
///
/// # Errors
/// When what was noted cannot be read.
pub(super) fn fetch(state_dir: &Path) -> anyhow::Result<Option<Fetch>> {
    read(&state_dir.join("jwt/fetched.json"))
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let Some(text) = file::read_if_there(path, Keep::Intact, MAX).advise()? else { return Ok(None) };
    serde_json::from_slice(text.expose()).map(Some).map_err(|e| {
        Advice::new(
            format!("{} is damaged (line {}, column {})", path.display(), e.line(), e.column()),
            "see what is in it; slurm-pki auth-key status and slurm-pki jwt jwks fetch say what to do",
        )
        .into()
    })
}
