//! How old a key is: slurm.jwks has no time in it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use pki::time::UnixTime;

use super::state::State;

/// When a key was made, where it was made here; else no later than the file that has it was written.
pub(super) fn created(state: &State, kid: &str, file: &Path) -> Option<UnixTime> {
    let known = state.keys.get(kid).map(|made| made.created);
    known.or_else(|| fs::metadata(file).ok().map(|is| UnixTime(is.mtime())))
}
