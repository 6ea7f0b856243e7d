//! The list on disk: read by Slurm's rules for its owner and mode, and replaced whole, never by one that a Slurm refuses.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use pki::auth_jwt;
use pki::jwk::{MAX_LIST, RsaKey, Sifted, sift, to_list};
use pki::loading::FileFacts;
use site::file::{self, Keep, NewFile, Owner};

use crate::admin::refuse_links_of_others;
use crate::advice::{Advice, Advise as _};

/// Public keys: everybody may read them.
const MODE: u32 = 0o644;

/// What changes the file must do afterwards, by hand.
pub(crate) const NEXT: &str =
    "slurmctld reads it at scontrol reconfigure, slurmdbd at a restart: systemctl restart slurmdbd";

/// What is in the file; `None` when there is none.
///
/// # Errors
/// When others could have changed it, or it is no list.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<(String, Sifted)>> {
    let Some(text) = file::read_if_there(path, Keep::Intact, MAX_LIST).advise()? else { return Ok(None) };
    let sifted = sift(text.expose()).map_err(|e| damaged(path, &e.to_string()))?;
    let text = String::from_utf8(text.expose().to_vec()).map_err(|_| damaged(path, "it is not UTF-8"))?;
    Ok(Some((text, sifted)))
}

fn damaged(path: &Path, why: &str) -> anyhow::Error {
    Advice::new(
        format!("{}: {why}", path.display()),
        "slurmctld does not start with it: put a copy back, or move it away and fetch or build it anew",
    )
    .into()
}

/// The text of a list that was read back: what does not come out as it went in is not written.
///
/// # Errors
/// When there is no key, or the list does not hold what it should.
pub(crate) fn text_of(keys: &[RsaKey]) -> anyhow::Result<String> {
    let refused = |why: &str| {
        Advice::new(format!("no list is written: {why}"), "see the keys that were left out, and why")
    };
    if keys.is_empty() {
        return Err(refused("there is no key that Slurm could use").into());
    }
    let text = to_list(keys);
    let back = sift(text.as_bytes()).advise()?;
    if back.keys != keys || !back.dropped.is_empty() || !back.without_alg.is_empty() {
        return Err(refused("two keys have one kid").into());
    }
    let facts = FileFacts { mode: MODE, owner: 0 };
    let verdicts = auth_jwt::judge_jwks(text.as_bytes(), facts, 0);
    if let Some(why) = verdicts.dies().map(|(_, why)| why).or(verdicts.hazards().first().map(String::as_str))
    {
        return Err(refused(why).into());
    }
    Ok(text)
}

/// Puts the list in its place. An owner (root or SlurmUser) and a mode that the file has stay, unless others could change it.
///
/// # Errors
/// When it cannot be written; then the former is still there.
pub(crate) fn replace(path: &Path, text: &str, owner: Owner) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        refuse_links_of_others(folder)?;
    }
    let former = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file);
    let mode = former.as_ref().map_or(MODE, |former| former.mode() & 0o755 & !0o111);
    let kept = former.filter(|former| former.uid() == 0 || former.uid() == owner.uid);
    let owner = kept.map_or(owner, |former| Owner { uid: former.uid(), gid: former.gid() });
    file::remove_leftovers(path).advise()?;
    NewFile::new(path, mode).owned_by(Some(owner)).replace(text.as_bytes()).advise()
}
