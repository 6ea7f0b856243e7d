//! Pairs in files that others made, and that stay files: nothing of theirs becomes a link.
//!
//! Two files cannot change in one rename. So both pairs lie in folders of ours, with numbers as all pairs have; a journal
//! names the two; then key and certificate take their places, one rename right after the other. A run that is killed
//! between the two leaves a key without its certificate, which a daemon that starts just then refuses: the journal is still
//! there, and the next run of any command puts one of the two pairs in place. (With links there is no such moment:
//! `cert issue --force`.)

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pki::key::MAX_KEY_PEM;
use pki::loads_in_s2n::MAX_CHAIN_PEM;
use pki::time::UnixTime;
use serde::{Deserialize, Serialize};
use site::Error;
use site::config::Daemon;
use site::file::{self, NewFile};
use site::folder::Folder;
use site::lock;

use super::{CERT, DaemonFiles, KEY, KEY_MODE, Looks, Pair, Standing, folder_of, is_foreign, loads};
use crate::admin::{Admin, caller, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::cert::target::{Target, anew};
use crate::dated_copy;
use crate::global::Global;
use crate::report;

const JOURNAL: &str = "journal.json";

/// Far longer than any journal.
const MAX_JOURNAL: usize = 4096;

/// Which pair is to take the place of which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    v: u32,
    from: Option<u64>,
    to: u64,
}

/// Puts right what a killed run left half done, for every daemon of this host. Costs a look at a file that is not there, and
/// never keeps a command from its own work.
pub(crate) fn repair_all(global: &Global, admin: &Admin) {
    let targets = Daemon::ALL.into_iter().flat_map(|daemon| Target::here(admin, daemon).unwrap_or_default());
    for target in targets {
        let daemon = target.daemon;
        let Ok(files) = DaemonFiles::of(daemon, &target.config) else { continue };
        if files.journal().symlink_metadata().is_err() {
            continue;
        }
        if global.dry_run {
            report::warning(&format!(
                "a renewal of {daemon}'s pair was cut short: a run without --dry-run ends it"
            ));
            continue;
        }
        match files.repair() {
            Ok(false) => {}
            Ok(true) => {
                report::warning(&format!("a renewal of {daemon}'s pair was cut short; it is whole again"));
            }
            Err(e) => {
                let why = e.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
                report::warning(&format!(
                    "a renewal of {daemon}'s pair was cut short, and cannot be ended: {why}"
                ));
            }
        }
    }
}

impl DaemonFiles {
    /// Nothing, when [`renew`](Self::renew) may write where the files are: asked before anything is issued.
    ///
    /// # Errors
    /// When somebody else could lead it elsewhere.
    pub(crate) fn may_renew(&self) -> anyhow::Result<()> {
        refuse_links_of_others(&self.folder)?;
        match self.standing() {
            Standing::Foreign(_) => self.place_of(&self.key).and(self.place_of(&self.cert)).map(drop),
            Standing::Ours | Standing::Unlinked | Standing::Missing => Ok(()),
        }
    }

    /// Puts a new pair in the old files' places. The lock is held.
    pub(super) fn renew_in_place(
        &self,
        global: &Global,
        pair: &Pair,
        looks: Looks,
        now: UnixTime,
    ) -> anyhow::Result<u64> {
        self.finish()?;
        let from = self.keep(global, now)?;
        let to = self.write(pair, looks)?;
        self.exchange_in_place(from, to)?;
        self.forget_all_but(&[Some(to), from])?;
        Ok(to)
    }

    /// Puts one of our copies in Slurm's places. The lock is held.
    pub(super) fn exchange_in_place(&self, from: Option<u64>, to: u64) -> anyhow::Result<()> {
        let journal = serde_json::to_vec(&Journal { v: 1, from, to })?;
        NewFile::new(&self.journal(), KEY_MODE).replace(&journal).advise()?;
        match self.place(to) {
            Ok(()) => {
                self.point_to(to)?;
                self.end_journal()
            }
            Err(e) => {
                // Where nothing has changed there is nothing to put right.
                let _ = self.finish();
                Err(e)
            }
        }
    }

    /// Ends what a killed run began; `false`: there was nothing to end, or another command is at it.
    fn repair(&self) -> anyhow::Result<bool> {
        refuse_links_of_others(&self.folder)?;
        let (path, lock) = self.open_lock()?;
        Ok(lock::try_now(&lock, &path).advise()? && self.finish()?)
    }

    /// What stands in place and is whole, stays. Else the new pair takes its place, or the old one where the new is not
    /// whole. The lock is held.
    fn finish(&self) -> anyhow::Result<bool> {
        let Some(journal) = self.read_journal()? else { return Ok(false) };
        if !loads(&self.cert, &self.key) {
            let whole = [Some(journal.to), journal.from].into_iter().flatten();
            let Some(number) = whole.into_iter().find(|number| self.loads_as(*number)) else {
                return Err(self.neither_loads());
            };
            self.place(number)?;
        }
        if let Some(number) =
            [Some(journal.to), journal.from].into_iter().flatten().find(|n| self.is_in_place(*n))
        {
            self.point_to(number)?;
        }
        for path in [&self.key, &self.cert] {
            file::remove_leftovers(&self.place_of(path)?).advise()?;
        }
        self.end_journal()?;
        Ok(true)
    }

    fn neither_loads(&self) -> anyhow::Error {
        let daemon = self.daemon;
        Advice::new(
            format!("neither the old nor the new pair of {daemon} loads any more"),
            format!("make a new one: {}", anew(daemon)),
        )
        .into()
    }

    /// A copy of the pair in place, under a number: the one that is there already, or a new one. `None` when what is in place
    /// is no whole pair; then it is only kept aside.
    fn keep(&self, global: &Global, now: UnixTime) -> anyhow::Result<Option<u64>> {
        if !loads(&self.cert, &self.key) {
            for path in [&self.key, &self.cert] {
                dated_copy::keep(global, path, now)?;
            }
            return Ok(None);
        }
        match self.current().filter(|number| self.is_in_place(*number) && self.loads_as(*number)) {
            Some(number) => Ok(Some(number)),
            None => self.copy_as_numbered().map(Some),
        }
    }

    /// Whether the certificate in place is the one of this number.
    fn is_in_place(&self, number: u64) -> bool {
        let read = |path: &Path| file::read_with_metadata(path, MAX_CHAIN_PEM).map(|(bytes, _)| bytes);
        let (there, ours) = (read(&self.cert), read(&self.numbered(number).join(CERT)));
        matches!((there, ours), (Ok(there), Ok(ours)) if there.expose() == ours.expose())
    }

    /// Copies a numbered pair into place, with owner and mode: those of the copies, or whoever could exchange a copy for a
    /// link would be given what it leads to.
    fn place(&self, number: u64) -> anyhow::Result<()> {
        let folder = self.numbered(number);
        let (key, key_look) = file::read_with_metadata(&folder.join(KEY), MAX_KEY_PEM).advise()?;
        let (cert, cert_look) = file::read_with_metadata(&folder.join(CERT), MAX_CHAIN_PEM).advise()?;
        let looks = Looks::masked((&key_look).into(), (&cert_look).into());
        let (key_path, cert_path) = (self.place_of(&self.key)?, self.place_of(&self.cert)?);
        NewFile::replace_together(&[
            (looks.key.file(&key_path), key.expose()),
            (looks.cert.file(&cert_path), cert.expose()),
        ])
        .advise()
    }

    /// Where a file really is: a link of the site's stays, and what it leads to is renewed. A link of ours becomes a file, or
    /// a pair with a number would be changed.
    fn place_of(&self, path: &Path) -> anyhow::Result<PathBuf> {
        refuse_links_of_others(path)?;
        let ours = self.links().iter().any(|(link, to)| *link == path && !is_foreign(link, to));
        if ours || !path.is_symlink() {
            return Ok(path.to_owned());
        }
        refuse_loose_folder(path)?;
        let whole = fs::canonicalize(path).map_err(Error::read(path)).advise()?;
        let is_numbered = fs::canonicalize(&self.folder).is_ok_and(|folder| whole.starts_with(folder));
        Ok(if is_numbered { path.to_owned() } else { whole })
    }

    fn journal(&self) -> PathBuf {
        self.folder.join(JOURNAL)
    }

    fn read_journal(&self) -> anyhow::Result<Option<Journal>> {
        let path = self.journal();
        let text = match file::read_with_metadata(&path, MAX_JOURNAL) {
            Ok((text, _)) => text,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e).advise(),
        };
        match serde_json::from_slice(text.expose()) {
            Ok(journal @ Journal { v: 1, .. }) => Ok(Some(journal)),
            _ => Err(Advice::new(
                format!("{} is no journal of this version", path.display()),
                "see that certificate and key belong together (slurm-pki cert list), then remove it",
            )
            .into()),
        }
    }

    fn end_journal(&self) -> anyhow::Result<()> {
        let path = self.journal();
        let end = || {
            let (folder, name) = Folder::around(&path)?;
            folder.remove(name)?;
            folder.sync()
        };
        end().map_err(Error::write(&path)).advise()
    }
}

/// Whoever may change the folder could put another link in this one's place after it was judged, for root to write over
/// what that leads to.
fn refuse_loose_folder(link: &Path) -> anyhow::Result<()> {
    let folder = folder_of(link);
    let metadata = fs::metadata(folder).map_err(Error::read(folder)).advise()?;
    if metadata.uid() == caller().uid && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Advice::new(
        format!("{} is a link in a folder that others can change, and is not followed", link.display()),
        format!(
            "put the file itself there, or: chown {} {folder} && chmod go-w {folder}",
            caller().uid,
            folder = folder.display()
        ),
    )
    .into())
}
