//! Folders and files that a command makes where they are missing; with `--dry-run`, the list of them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use site::Error;
use site::file::{NewFile, Owner, give_empty_folder, make_folder};

use crate::admin::{caller, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::report;

/// Makes what is missing, replaces nothing, and says which was which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making<'a> {
    global: &'a Global,
}

impl<'a> Making<'a> {
    /// For one command line.
    pub(crate) fn new(global: &'a Global) -> Self {
        Self { global }
    }

    /// Whether nothing may be changed.
    pub(crate) fn only_says(&self) -> bool {
        self.global.dry_run
    }

    /// Makes a folder. One that is there keeps its mode; an empty one of root's that should be
    /// SlurmUser's is what a killed run left, and is given to SlurmUser.
    ///
    /// # Errors
    /// When it cannot be made, or something else has its name.
    pub(crate) fn folder(&self, path: &Path, mode: u32, owner: Owner) -> anyhow::Result<()> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.take_over(path, &metadata, mode, owner),
            Ok(_) => Err(Advice::new(
                format!("{} is there and is no folder", path.display()),
                "name another folder in the config, or move that file away",
            )
            .into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.says(path, mode, Some(owner), "/");
                if self.only_says() { Ok(()) } else { make_folder(path, mode, Some(owner)).advise() }
            }
            Err(e) => Err(Error::read(path)(e)).advise(),
        }
    }

    fn take_over(&self, path: &Path, metadata: &fs::Metadata, mode: u32, owner: Owner) -> anyhow::Result<()> {
        self.was_there(path);
        let is_left_over = || Ok::<_, io::Error>(fs::read_dir(path)?.next().is_none());
        if metadata.uid() != owner.uid {
            let given = metadata.uid() == 0 && caller().uid == 0;
            if given && is_left_over().map_err(Error::read(path)).advise()? {
                self.says(path, mode, Some(owner), "/ (it was empty and root's)");
                if !self.only_says() {
                    give_empty_folder(path, owner).advise()?;
                }
            } else {
                let (path, name) = (path.display(), owner_name(owner));
                report::warning(&format!("{path} is not {name}'s; if it should be: chown {name} {path}"));
            }
        }
        if metadata.mode() & 0o777 & !mode != 0 {
            let path = path.display();
            report::warning(&format!("others can use {path}; to end that: chmod {mode:04o} {path}"));
        }
        Ok(())
    }

    /// Makes a file with its final mode and owner (`None`: the caller's); `false` when one was there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn file(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<Owner>,
        bytes: &[u8],
    ) -> anyhow::Result<bool> {
        if self.only_says() {
            self.says(path, mode, owner, "");
            return Ok(true);
        }
        let made = NewFile::new(path, mode).owned_by(owner).create(bytes).advise()?;
        if made {
            self.says(path, mode, owner, "");
        } else {
            self.was_there(path);
        }
        Ok(made)
    }

    /// Says that something was there already.
    pub(crate) fn was_there(&self, path: &Path) {
        report::done(self.global, &format!("there    {}", path.display()));
    }

    /// Says that something is made: a result with `--dry-run`, a note without.
    pub(crate) fn says(&self, path: &Path, mode: u32, owner: Option<Owner>, ending: &str) {
        let owner = owner_name(owner.unwrap_or_else(caller));
        let what = format!("{}{ending} ({mode:04o}, {owner})", path.display());
        if self.only_says() {
            report::line(&format!("would make {what}"));
        } else {
            report::done(self.global, &format!("made     {what}"));
        }
    }
}
