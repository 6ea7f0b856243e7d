//! A daemon's certificate and key on disk: whole pairs, numbered, and one link that says which counts.
//!
//! `<folder of cert>/.slurm-pki/<ctld|dbd|…>/<number>/{cert,key}.pem` hold the pairs (`slurmd-n1_cert` and its like where
//! static pairs have other names than Slurm's); `current` beside
//! the numbers names one of them; Slurm's file names are links through `current`. A new pair is written
//! beside the old one and counts from one rename on, so no daemon ever reads a certificate with
//! another certificate's key.
//!
//! Files that others made stay files when their pair is renewed: see [`in_place`].

mod in_place;
mod looks;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pki::key::MAX_KEY_PEM;
use pki::loads_in_s2n::{self, MAX_CHAIN_PEM};
use pki::secret::Secret;
use pki::time::UnixTime;
use site::Error;
use site::batch;
use site::config::{Daemon, DaemonConfig};
use site::file::{self, NewFile, Owner, make_folder};
use site::folder::Folder;
use site::lock;

use crate::admin::refuse_links_of_others;
use crate::advice::{Advice, Advise as _};
use crate::cert::target::anew;
use crate::dated_copy;
use crate::global::Global;
use crate::making::Making;

pub(crate) use in_place::repair_all;
pub(crate) use looks::{Look, Looks};

const FOLDER: &str = ".slurm-pki";
const CURRENT: &str = "current";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Slurm checks owner and mode of the files alone; daemons of other users must get to theirs.
const FOLDER_MODE: u32 = 0o755;
const CERT_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;

/// A certificate with its chain, and its key, found to load in s2n.
#[derive(Debug)]
pub(crate) struct Pair {
    cert: String,
    key: Secret,
}

impl Pair {
    /// Joins them.
    ///
    /// # Errors
    /// When s2n would not load them together.
    pub(crate) fn new(cert: String, key: Secret) -> anyhow::Result<Self> {
        loads_in_s2n::own_pair(cert.as_bytes(), key.expose()).advise()?;
        Ok(Self { cert, key })
    }

    /// Certificate and chain, PEM.
    pub(crate) fn cert(&self) -> &str {
        &self.cert
    }

    /// The key, PEM.
    pub(crate) fn key(&self) -> &Secret {
        &self.key
    }
}

/// How a daemon's files stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Links of ours to a pair that loads.
    Ours,
    /// A pair of ours that loads, and links still to be made: a run was killed.
    Unlinked,
    /// No pair.
    Missing,
    /// Files, or links, that are not ours.
    Foreign(Vec<PathBuf>),
}

/// What happens to files that are not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// They stay, and nothing is installed.
    Refuse,
    /// They are kept under dated names, and ours take their place.
    KeepAside,
}

/// The files of one daemon.
#[derive(Debug)]
pub(crate) struct DaemonFiles {
    daemon: Daemon,
    cert: PathBuf,
    key: PathBuf,
    /// The name of the folder below.
    pairs: OsString,
    folder: PathBuf,
}

impl DaemonFiles {
    /// Where the config has them.
    ///
    /// # Errors
    /// When certificate and key have one name.
    pub(crate) fn of(daemon: Daemon, config: &DaemonConfig) -> anyhow::Result<Self> {
        if config.cert == config.key {
            return Err(Advice::new(
                format!("[daemons.{}] cert and key are one file", daemon.short()),
                "give each a name of its own",
            )
            .into());
        }
        let pairs = pairs_of(daemon, &config.cert);
        let folder = folder_of(&config.cert).join(FOLDER).join(&pairs);
        Ok(Self { daemon, cert: config.cert.clone(), key: config.key.clone(), pairs, folder })
    }

    /// The folder of the numbered pairs.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate file, under the name that Slurm knows.
    pub(crate) fn cert(&self) -> &Path {
        &self.cert
    }

    /// The key file, under the name that Slurm knows.
    pub(crate) fn key(&self) -> &Path {
        &self.key
    }

    /// What is there.
    pub(crate) fn standing(&self) -> Standing {
        let links = self.links();
        let foreign: Vec<PathBuf> =
            links.iter().filter(|(path, to)| is_foreign(path, to)).map(|(path, _)| path.into()).collect();
        if !foreign.is_empty() {
            return Standing::Foreign(foreign);
        }
        if !loads(&self.folder.join(CURRENT).join(CERT), &self.folder.join(CURRENT).join(KEY)) {
            return Standing::Missing;
        }
        let linked = links.iter().all(|(path, to)| fs::read_link(path).is_ok_and(|is| is == *to));
        if linked { Standing::Ours } else { Standing::Unlinked }
    }

    /// Whether anything is there, whoever made it and whether it works or not.
    pub(crate) fn is_there(&self) -> bool {
        [&self.cert, &self.key].iter().any(|path| path.symlink_metadata().is_ok()) || self.current().is_some()
    }

    /// Whether the two files, whoever made them, load together.
    pub(crate) fn load_together(&self) -> bool {
        loads(&self.cert, &self.key)
    }

    /// Installs a pair as the one that counts. Returns its number. The one before stays, older ones go.
    ///
    /// # Errors
    /// When files that are not ours are in the way, or something cannot be written; then the old pair
    /// still counts.
    pub(crate) fn install(
        &self,
        global: &Global,
        pair: &Pair,
        owner: Owner,
        foreign: Foreign,
        now: UnixTime,
    ) -> anyhow::Result<u64> {
        self.refuse_foreign(foreign)?;
        let _lock = self.lock()?;
        self.take_over_foreign(global, now)?;
        self.exchange(pair, Looks::new(owner))
    }

    /// Puts a new pair in the old one's place in the way that the old one is kept: through links of ours, or as files that
    /// stay files. Returns its number. The one before stays in its folder, older ones go.
    ///
    /// # Errors
    /// When something cannot be written; then the old pair still counts, or the next command puts it right.
    pub(crate) fn renew(
        &self,
        global: &Global,
        pair: &Pair,
        looks: Looks,
        now: UnixTime,
    ) -> anyhow::Result<u64> {
        let _lock = self.lock()?;
        match self.standing() {
            Standing::Foreign(_) => self.renew_in_place(global, pair, looks, now),
            Standing::Ours | Standing::Unlinked | Standing::Missing => self.exchange(pair, looks),
        }
    }

    /// The new pair counts from one rename on. The lock is held.
    fn exchange(&self, pair: &Pair, looks: Looks) -> anyhow::Result<u64> {
        let before = self.current();
        let number = self.write(pair, looks)?;
        self.point_to(number)?;
        self.link()?;
        self.forget_all_but(&[Some(number), before])?;
        Ok(number)
    }

    /// The number of the pair before the one that counts, which [`install`](Self::install) keeps.
    pub(crate) fn former(&self) -> Option<u64> {
        let current = self.current()?;
        self.numbers().ok()?.into_iter().filter(|number| *number < current).max()
    }

    /// Makes a former pair the one that counts again: by one rename, or as the files that stand in its place.
    ///
    /// # Errors
    /// When it does not load, or cannot be put back; then nothing has changed.
    pub(crate) fn put_back(&self, number: u64) -> anyhow::Result<()> {
        let _lock = self.lock()?;
        if !self.loads_as(number) {
            return Err(Advice::new(
                format!("the former pair in {} does not load", self.numbered(number).display()),
                format!("make a new one: {}", anew(self.daemon)),
            )
            .into());
        }
        match self.standing() {
            Standing::Foreign(_) => self.exchange_in_place(self.current(), number),
            Standing::Ours | Standing::Unlinked | Standing::Missing => self.point_to(number),
        }
    }

    /// The folder of a pair.
    fn numbered(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    fn loads_as(&self, number: u64) -> bool {
        let folder = self.numbered(number);
        loads(&folder.join(CERT), &folder.join(KEY))
    }

    /// Says what [`install`](Self::install) would make.
    ///
    /// # Errors
    /// When files that are not ours are in the way.
    pub(crate) fn say_install(
        &self,
        making: &Making<'_>,
        owner: Owner,
        foreign: Foreign,
    ) -> anyhow::Result<()> {
        self.refuse_foreign(foreign)?;
        let folder = self.folder.join(self.next_number()?.to_string());
        making.says(&folder.join(KEY), KEY_MODE, Some(owner), "");
        making.says(&folder.join(CERT), CERT_MODE, Some(owner), "");
        self.say_links(making)
    }

    /// Says what [`link`](Self::link) makes.
    ///
    /// # Errors
    /// Never; it fits where its like may fail.
    pub(crate) fn say_links(&self, making: &Making<'_>) -> anyhow::Result<()> {
        for (path, to) in self.links() {
            making.says(path, 0o777, None, &format!(" -> {}", to.display()));
        }
        Ok(())
    }

    /// Nothing, unless files that are not ours are in the way and must stay.
    ///
    /// # Errors
    /// Then.
    pub(crate) fn refuse_foreign(&self, foreign: Foreign) -> anyhow::Result<()> {
        match (self.standing(), foreign) {
            (Standing::Foreign(paths), Foreign::Refuse) => {
                let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                Err(Advice::new(
                    format!("not made by slurm-pki: {}", paths.join(" and ")),
                    format!(
                        "slurm-pki cert issue {} --force puts a new pair in its place and keeps a dated copy",
                        self.daemon.short()
                    ),
                )
                .into())
            }
            _ => Ok(()),
        }
    }

    /// Makes Slurm's file names links to the pair that counts: the key's first, since a daemon that
    /// finds a certificate wants its key.
    ///
    /// # Errors
    /// When a link cannot be made.
    pub(crate) fn link(&self) -> anyhow::Result<()> {
        for (path, to) in self.links() {
            if !fs::read_link(path).is_ok_and(|is| is == to) {
                file::place_link(&to, path).advise()?;
            }
        }
        Ok(())
    }

    /// Slurm's file names, the key's first, and where ours lead: relative where they can be, so that a copied tree holds.
    pub(crate) fn links(&self) -> [(&Path, PathBuf); 2] {
        let through = Path::new(&self.pairs).join(CURRENT);
        let to = |path: &Path, name: &str| {
            let beside = folder_of(path) == folder_of(&self.cert);
            if beside {
                Path::new(FOLDER).join(&through).join(name)
            } else {
                self.folder.join(CURRENT).join(name)
            }
        };
        [(&self.key, to(&self.key, KEY)), (&self.cert, to(&self.cert, CERT))]
    }

    /// Only one command at a time makes numbers, in a folder that is made where it is missing.
    fn lock(&self) -> anyhow::Result<File> {
        refuse_links_of_others(&self.folder)?;
        make_folder(&self.folder, FOLDER_MODE, None).advise()?;
        let (path, lock) = self.open_lock()?;
        lock::wait_for(&lock, &path, lock::AMONG_COMMANDS).advise()?;
        Ok(lock)
    }

    fn open_lock(&self) -> anyhow::Result<(PathBuf, File)> {
        let path = self.folder.join(".lock");
        let lock = file::open_to_append(&path, KEY_MODE).advise()?;
        Ok((path, lock))
    }

    /// A pair that is not ours becomes a numbered one that counts, so that the change to the new pair
    /// is one rename here too. Half a pair is only kept aside.
    fn take_over_foreign(&self, global: &Global, now: UnixTime) -> anyhow::Result<()> {
        let Standing::Foreign(paths) = self.standing() else { return Ok(()) };
        for path in &paths {
            dated_copy::keep(global, path, now)?;
        }
        if paths.len() == 2 && self.cert.is_file() && self.key.is_file() {
            self.copy_as_numbered()?;
            self.link()?;
        }
        Ok(())
    }

    /// Keeps the two files that stand in Slurm's places as a pair with a number, which counts from then on.
    fn copy_as_numbered(&self) -> anyhow::Result<u64> {
        let number = self.next_number()?;
        let folder = self.numbered(number);
        make_folder(&folder, FOLDER_MODE, None).advise()?;
        copy_as_it_is(&self.key, &folder.join(KEY), MAX_KEY_PEM)?;
        copy_as_it_is(&self.cert, &folder.join(CERT), MAX_CHAIN_PEM)?;
        self.point_to(number)?;
        Ok(number)
    }

    fn write(&self, pair: &Pair, looks: Looks) -> anyhow::Result<u64> {
        let number = self.next_number()?;
        let folder = self.numbered(number);
        make_folder(&folder, FOLDER_MODE, None).advise()?;
        looks.key.file(&folder.join(KEY)).replace(pair.key.expose()).advise()?;
        looks.cert.file(&folder.join(CERT)).replace(pair.cert.as_bytes()).advise()?;
        Ok(number)
    }

    fn point_to(&self, number: u64) -> anyhow::Result<()> {
        file::place_link(Path::new(&number.to_string()), &self.folder.join(CURRENT)).advise()
    }

    /// The number of the pair that counts.
    pub(crate) fn current(&self) -> Option<u64> {
        fs::read_link(self.folder.join(CURRENT)).ok()?.to_str()?.parse().ok()
    }

    fn next_number(&self) -> anyhow::Result<u64> {
        Ok(self.numbers()?.into_iter().max().unwrap_or(0) + 1)
    }

    fn numbers(&self) -> anyhow::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::read(&self.folder)(e)).advise(),
        };
        Ok(entries.filter_map(|entry| number_of(entry.ok()?.file_name().to_str()?)).collect())
    }

    fn forget_all_but(&self, kept: &[Option<u64>]) -> anyhow::Result<()> {
        for number in self.numbers()?.into_iter().filter(|number| !kept.contains(&Some(*number))) {
            forget(&self.numbered(number)).advise()?;
        }
        Ok(())
    }
}

/// The number that a folder's name is; not so near the end that there is no next one.
fn number_of(name: &str) -> Option<u64> {
    let number: u32 = name.parse().ok()?;
    (number.to_string() == name).then_some(number.into())
}

/// Removes an old pair and what a killed run left half written beside it, and nothing else: whoever owns
/// the folder above could have put a link in the way to folders with numbers for names.
fn forget(folder: &Path) -> Result<(), Error> {
    for name in [KEY, CERT] {
        file::remove(&folder.join(name))?;
    }
    batch::sweep(folder, ".pem")?;
    match Folder::around(folder).and_then(|(above, name)| above.remove_folder(name)) {
        Err(e) if e.kind() != io::ErrorKind::DirectoryNotEmpty => Err(Error::write(folder)(e)),
        _ => Ok(()),
    }
}

/// The daemon's short name; where several slurmd of one host have files of their own (`%n` in their names), each has pairs of
/// its own too.
fn pairs_of(daemon: Daemon, cert: &Path) -> OsString {
    let (short, stem) = (daemon.short(), cert.file_stem().unwrap_or_default());
    let mut name = OsString::from(short);
    if matches!(daemon, Daemon::Slurmd | Daemon::Sackd) && stem != format!("{short}_cert").as_str() {
        name.push("-");
        name.push(stem);
    }
    name
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Whether something is at `path` that is not our link to `to`.
fn is_foreign(path: &Path, to: &Path) -> bool {
    match fs::read_link(path) {
        Ok(is) => is != to,
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    }
}

fn loads(cert: &Path, key: &Path) -> bool {
    let cert = file::read_with_metadata(cert, MAX_CHAIN_PEM);
    let key = file::read_with_metadata(key, MAX_KEY_PEM);
    let (Ok((cert, _)), Ok((key, _))) = (cert, key) else { return false };
    loads_in_s2n::own_pair(cert.expose(), key.expose()).is_ok()
}

/// A copy with owner and mode: what a daemon could read, it can go on reading.
fn copy_as_it_is(from: &Path, to: &Path, limit: usize) -> anyhow::Result<()> {
    let (bytes, metadata) = file::read_with_metadata(from, limit).advise()?;
    let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
    let mode = metadata.permissions().mode() & 0o7777;
    NewFile::new(to, mode).owned_by(Some(owner)).replace(bytes.expose()).advise()
}
