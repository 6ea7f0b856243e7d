//! What a tree holds, so that two moments can be compared.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use crate::system::System;

/// Every path below some folders, with its mode, owner and what it holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Looks now. Folders that are not there are nothing.
    pub(crate) fn of(system: &System<'_>, folders: &[&str]) -> Result<Self> {
        Self::look(system, folders, contents)
    }

    /// The same without what files hold, for a whole system.
    pub(crate) fn outlines(system: &System<'_>, folders: &[&str]) -> Result<Self> {
        Self::look(system, folders, |path, metadata| {
            if metadata.is_file() { Ok(metadata.len().to_string()) } else { contents(path, metadata) }
        })
    }

    fn look(system: &System<'_>, folders: &[&str], held: Held) -> Result<Self> {
        let mut found = BTreeMap::new();
        for folder in folders {
            let path = system.path(folder);
            if path.symlink_metadata().is_ok() {
                gather(&path, &system.path("/"), held, &mut found)?;
            }
        }
        Ok(Self(found))
    }

    /// An error that names what came, went or changed.
    pub(crate) fn same_as(&self, later: &Self) -> Result<()> {
        let gone =
            self.0.keys().filter(|path| !later.0.contains_key(*path)).map(|path| format!("gone: {path}"));
        let new =
            later.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| format!("new: {path}"));
        let changed = self.0.iter().filter_map(|(path, was)| {
            let is = later.0.get(path)?;
            (is != was).then(|| format!("changed: {path}: {was}, now {is}"))
        });
        let differences: Vec<String> = gone.chain(new).chain(changed).collect();
        ensure!(differences.is_empty(), "{}", differences.join("\n"));
        Ok(())
    }

    /// Without the paths that a test says no to.
    pub(crate) fn without(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|path, _| !is_left_out(path));
        self
    }

    /// How many paths there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a path holds, in words.
type Held = fn(&Path, &Metadata) -> Result<String>;

fn contents(path: &Path, metadata: &Metadata) -> Result<String> {
    if metadata.is_symlink() {
        Ok(fs::read_link(path)?.display().to_string())
    } else if metadata.is_file() {
        Ok(HEXLOWER.encode(digest(&SHA256, &fs::read(path)?).as_ref()))
    } else {
        Ok(String::new())
    }
}

fn gather(path: &Path, root: &Path, held: Held, found: &mut BTreeMap<String, String>) -> Result<()> {
    let metadata = path.symlink_metadata().with_context(|| path.display().to_string())?;
    let inner = Path::new("/").join(path.strip_prefix(root)?).display().to_string();
    let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
    found.insert(inner, format!("{mode:o} {uid}:{gid} {}", held(path, &metadata)?));
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            gather(&entry?.path(), root, held, found)?;
        }
    }
    Ok(())
}
