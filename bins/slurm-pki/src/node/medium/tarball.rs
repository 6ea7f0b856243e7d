//! `--format tar`: one archive for each node.
//!
//! There are no folders in it: those that the node has keep owner and mode, missing ones are made as the umask there
//! says. Owners are in it by name and number, and tar(1) takes the name.

use std::path::Path;

use pki::secret::Secret;
use tar::{Builder, EntryType, Header};

use super::names_of;
use crate::fleet::Placed;

/// Ending of an archive.
pub(super) const ENDING: &str = ".tar";

/// Header and padding of one file, a long name among them, and more than the end of an archive.
const FRAME: usize = 4096;

pub(super) fn archive<'a>(files: impl Iterator<Item = &'a Placed>) -> anyhow::Result<Secret> {
    let files: Vec<_> = files.collect();
    let now = site::clock::now();
    // Large enough from the start: growing would leave unwiped copies behind.
    let room = files.iter().map(|file| file.contents.expose().len() + FRAME).sum::<usize>() + FRAME;
    let mut archive = Builder::new(Vec::with_capacity(room));
    for file in files {
        let bytes = file.contents.expose();
        let (user, group) = names_of(file.owner);
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(u64::try_from(bytes.len())?);
        header.set_mode(file.mode);
        header.set_uid(file.owner.uid.into());
        header.set_gid(file.owner.gid.into());
        header.set_username(&user)?;
        header.set_groupname(&group)?;
        header.set_mtime(now.0.unsigned_abs());
        let path = file.path.strip_prefix("/").unwrap_or(&file.path);
        archive.append_data(&mut header, Path::new(path), bytes)?;
    }
    Ok(Secret::new(archive.into_inner()?))
}
