//! One file that is to change: what of it a person sees, and how it is put in place.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pki::time::UnixTime;
use similar::TextDiff;
use site::file::{self, NewFile, Owner};

use super::document::Document;
use crate::admin::{caller, owner_name, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::dated_copy;
use crate::global::Global;
use crate::report;

/// Links behind links, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Lines around a change.
const CONTEXT: usize = 2;

/// A file, and what is to stand in it.
#[derive(Debug)]
pub(super) struct Change {
    /// Where links lead: the links themselves stay.
    real: PathBuf,
    /// Owner and mode of what was read.
    metadata: Metadata,
    before: Document,
    after: Document,
}

impl Change {
    /// For a file as it was read.
    ///
    /// # Errors
    /// When somebody else's link is on the way to it.
    pub(super) fn new(
        path: &Path,
        metadata: Metadata,
        before: Document,
        after: Document,
    ) -> anyhow::Result<Self> {
        Ok(Self { real: real_path(path)?, metadata, before, after })
    }

    /// The file itself.
    pub(super) fn real(&self) -> &Path {
        &self.real
    }

    /// What was read.
    pub(super) fn before(&self) -> &[u8] {
        self.before.bytes()
    }

    /// The difference for a person, without passwords: slurmdbd.conf has one.
    pub(super) fn diff(&self) -> String {
        let (old, new) = (without_passwords(&self.before), without_passwords(&self.after));
        let name = self.real.display().to_string();
        let diff = TextDiff::from_lines(old.as_str(), new.as_str());
        diff.unified_diff().context_radius(CONTEXT).header(&name, &name).to_string()
    }

    /// Refuses a file that cannot be replaced here.
    ///
    /// # Errors
    /// When its folder or its owner do not allow it.
    pub(super) fn must_be_possible(&self) -> anyhow::Result<()> {
        let metadata = &self.metadata;
        let shown = self.real.display();
        let folder = self.real.parent().unwrap_or(Path::new("/"));
        let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
        let owned = caller().uid == 0 || caller().uid == metadata.uid();
        if writable && owned { Ok(()) } else { Err(not_yours(&shown.to_string(), metadata.uid())) }
    }

    /// Keeps a dated copy and puts the new text in the file's place, with its owner and mode.
    ///
    /// # Errors
    /// When it has changed since it was read, or cannot be written.
    pub(super) fn write(&self, global: &Global, now: UnixTime) -> anyhow::Result<()> {
        let (is, _) = file::read_with_metadata(&self.real, usize::MAX >> 1).advise()?;
        if is.expose() != self.before() {
            return Err(Advice::new(
                format!("somebody has changed {} just now", self.real.display()),
                "run this again and look at the difference anew",
            )
            .into());
        }
        dated_copy::keep(global, &self.real, now)?;
        self.new_file(&self.real).replace(self.after.bytes()).advise()?;
        report::done(global, &format!("changed  {}", self.real.display()));
        Ok(())
    }

    /// Puts the new text beside the file, which stays as it is; where.
    ///
    /// # Errors
    /// When something else has that name.
    pub(super) fn write_beside(&self, global: &Global) -> anyhow::Result<PathBuf> {
        let name = self.real.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.real.with_file_name(format!("{name}.new"));
        if !self.new_file(&beside).create(self.after.bytes()).advise()? {
            let there = file::read_with_metadata(&beside, usize::MAX >> 1).advise()?.0;
            if there.expose() != self.after.bytes() {
                return Err(Advice::new(
                    format!("{} is there and says something else", beside.display()),
                    "look at it and move it away, then run this again",
                )
                .into());
            }
        }
        report::done(global, &format!("prepared {}", beside.display()));
        Ok(beside)
    }

    fn new_file<'a>(&self, path: &'a Path) -> NewFile<'a> {
        let metadata = &self.metadata;
        let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
        NewFile::new(path, metadata.mode() & 0o777).owned_by((owner != caller()).then_some(owner))
    }
}

fn not_yours(shown: &str, uid: u32) -> anyhow::Error {
    let owner = owner_name(Owner { uid, gid: 0 });
    if caller().uid == 0 {
        return Advice::new(
            format!("{shown} cannot be replaced: root may not write to its folder"),
            format!(
                "an NFS server may take root for nobody (root_squash): run this on that server, or as {owner} if the \
                 folder is {owner}'s; conf show prints the lines"
            ),
        )
        .into();
    }
    Advice::new(
        format!("{shown} cannot be replaced: it or its folder is not yours"),
        format!("run this as root, or as {owner} if the folder is {owner}'s"),
    )
    .into()
}

/// Follows links one by one, none of which may be somebody else's when root does it.
fn real_path(path: &Path) -> anyhow::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..MAX_LINKS {
        refuse_links_of_others(&path)?;
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            // What it goes through in `..` and folders that are links is root's, or nobody's but the caller's.
            Err(_) => return fs::canonicalize(&path).map_err(site::Error::read(&path)).advise(),
        }
    }
    Err(Advice::new(
        format!("{} is a link that leads to itself", path.display()),
        "put a file in its place, or name another in SLURM_CONF",
    )
    .into())
}

/// The text for a terminal. Keys that end in Pass (StoragePass, JobCompPass) are passwords.
fn without_passwords(document: &Document) -> String {
    let mut shown = document.clone();
    let secret = |key: &str| key.to_ascii_lowercase().ends_with("pass");
    for word in document.words().into_iter().rev().filter(|word| secret(&word.key)) {
        shown.put(&word, "(not shown)");
    }
    String::from_utf8_lossy(shown.bytes()).into_owned()
}
