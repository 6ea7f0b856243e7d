//! The files of a rotation on this host: who may touch them, one command at a time, each replaced whole. slurm.jwks lies where
//! Slurm looks for it; nothing else here is secret.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pki::loading::FileFacts;
use pki::secret::Secret;
use rustix::fs::Access;
use site::Error;
use site::file::{self, Keep, NewFile, Owner};
use site::lock;

use super::keyring::{Keyring, MAX_JWKS};
use super::state::{self, State};
use crate::admin::{Admin, make_below, owner_name, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::fleet::Placed;
use crate::global::Global;
use crate::key_files::{KeyFile, KeyFiles};
use crate::report;

/// slurm.jwks as it is made: SlurmUser's alone. sackd and slurmd, as root, read it too.
const MODE: u32 = 0o600;

/// As many links, one after the other, as Linux follows.
const MAX_LINKS: usize = 40;

/// slurm.key is its bytes, however many; none is longer than this.
const MAX_KEY: usize = 64 * 1024;

/// All of them, for one command.
pub(super) struct Files<'a> {
    pub(super) global: &'a Global,
    pub(super) admin: &'a Admin,
    /// slurm.jwks, as every host has it.
    pub(super) jwks: PathBuf,
    /// slurm.key beside it.
    pub(super) key: PathBuf,
    owner: Owner,
    /// With `--dry-run`: the list that would be there.
    would_be: RefCell<Option<Secret>>,
    /// Held as long as the command runs.
    _lock: Option<File>,
}

impl<'a> Files<'a> {
    /// For a command that changes something: nobody else does so meanwhile.
    ///
    /// # Errors
    /// When the caller may not change the key, or another command is at it.
    pub(super) fn to_change(global: &'a Global, admin: &'a Admin) -> anyhow::Result<Self> {
        let owner = admin.slurm_user_to_write_for()?;
        let mut files = Self::to_read(global, admin)?;
        files.owner = owner;
        may_write_beside(&files.jwks)?;
        if !global.dry_run {
            let folder = state::folder(admin);
            make_below(&admin.top().state_dir, &folder, 0o700, Some(owner))?;
            files._lock = Some(lock(&folder.join("lock"))?);
            for path in [real(&files.jwks)?, state::path(admin)] {
                file::remove_leftovers(&path).advise()?;
            }
        }
        Ok(files)
    }

    /// For a command that shows something.
    ///
    /// # Errors
    /// When the way to the files leads through links of others.
    pub(super) fn to_read(global: &'a Global, admin: &'a Admin) -> anyhow::Result<Self> {
        let KeyFiles { auth_jwks: jwks, auth_key: key, .. } = KeyFiles::of(admin)?;
        for path in [&jwks, &key, &state::path(admin)] {
            refuse_links_of_others(path)?;
        }
        let owner = admin.slurm_user()?;
        Ok(Self { global, admin, jwks, key, owner, would_be: RefCell::new(None), _lock: None })
    }

    /// What is under way, and what is known of keys.
    pub(super) fn state(&self) -> anyhow::Result<State> {
        State::load(&state::path(self.admin))
    }

    pub(super) fn write_state(&self, state: &State) -> anyhow::Result<()> {
        if self.global.dry_run {
            return Ok(());
        }
        let path = state::path(self.admin);
        NewFile::new(&path, 0o644).owned_by(Some(self.owner)).replace(&state.to_json()?).advise()
    }

    /// The list of this host; `None`: there is none.
    ///
    /// # Errors
    /// When daemons would not load it.
    pub(super) fn keyring(&self) -> anyhow::Result<Option<Keyring>> {
        if let Some(text) = self.would_be.borrow().as_ref() {
            return Keyring::parse(text.expose()).map(Some).map_err(|why| self.unusable(&why));
        }
        match read_own(&self.jwks, MAX_JWKS)? {
            None => Ok(None),
            Some((text, is)) => {
                self.judge(&text, is.permissions().mode() & 0o7777, is.uid())?;
                Keyring::parse(text.expose()).map(Some).map_err(|why| self.unusable(&why))
            }
        }
    }

    /// The list, which must be there.
    ///
    /// # Errors
    /// When it is not, or as [`keyring`](Self::keyring).
    pub(super) fn keyring_there(&self) -> anyhow::Result<Keyring> {
        let keyring = self.keyring()?;
        keyring.ok_or_else(|| {
            let hint = if self.has_slurm_key() {
                "slurm.key alone cannot be rotated without an outage; first: slurm-pki auth-key import"
            } else {
                "make one with: slurm-pki auth-key init"
            };
            Advice::new(format!("there is no {}", self.jwks.display()), hint).into()
        })
    }

    pub(super) fn has_slurm_key(&self) -> bool {
        fs::symlink_metadata(&self.key).is_ok()
    }

    /// The bytes of slurm.key.
    ///
    /// # Errors
    /// When it is not there, or others could have read or changed it.
    pub(super) fn slurm_key(&self) -> anyhow::Result<Secret> {
        match read_own(&self.key, MAX_KEY)? {
            Some((bytes, _)) => Ok(bytes),
            None => Err(Advice::new(
                format!("there is no {}", self.key.display()),
                "a cluster without a key gets one with: slurm-pki auth-key init",
            )
            .into()),
        }
    }

    /// Puts the list in place, unless it is there to the letter. Owner and mode of one that is there stay.
    ///
    /// # Errors
    /// When daemons would not load it, and when it cannot be written.
    pub(super) fn put(&self, keyring: &Keyring) -> anyhow::Result<()> {
        let text = keyring.to_json();
        let placed = self.placed(&text)?;
        self.judge(&text, placed.mode, placed.owner.uid)?;
        if read_own(&self.jwks, MAX_JWKS)?.is_some_and(|(is, _)| is.expose() == text.expose()) {
            return Ok(());
        }
        let whose = owner_name(placed.owner);
        let shown = format!("{} ({:04o}, {whose})", self.jwks.display(), placed.mode);
        if self.global.dry_run {
            report::line(&format!("would write {shown}"));
            *self.would_be.borrow_mut() = Some(text);
            return Ok(());
        }
        let path = real(&self.jwks)?;
        NewFile::new(&path, placed.mode).owned_by(Some(placed.owner)).replace(text.expose()).advise()?;
        report::done(self.global, &format!("wrote    {shown}"));
        Ok(())
    }

    /// Whether daemons would load a list that is to be made.
    ///
    /// # Errors
    /// When they would not.
    pub(super) fn judge_new(&self, keyring: &Keyring) -> anyhow::Result<()> {
        self.judge(&keyring.to_json(), MODE, self.owner.uid)
    }

    /// No file that any supported release refuses is ever put anywhere: it is fatal for the daemon that reads it.
    fn judge(&self, text: &Secret, mode: u32, uid: u32) -> anyhow::Result<()> {
        let facts = FileFacts { mode, owner: uid };
        let verdicts = KeyFile::AuthJwks.judge(text.expose(), facts, self.owner.uid, site::clock::now());
        match verdicts.dies() {
            None => Ok(()),
            Some((release, why)) => Err(self.unusable(&format!("{why} (Slurm {release})"))),
        }
    }

    fn unusable(&self, why: &str) -> anyhow::Error {
        Advice::new(
            format!("{}: {why}: daemons would not load it", self.jwks.display()),
            "nothing was changed; put a list in place that they load, or bring back the former one",
        )
        .into()
    }

    /// The list as every host is to have it.
    ///
    /// # Errors
    /// When what is here cannot be looked at.
    pub(super) fn placed(&self, text: &Secret) -> anyhow::Result<Placed> {
        let there = read_own(&self.jwks, MAX_JWKS)?.map(|(_, is)| is);
        let (mode, owner) = there.map_or((MODE, self.owner), |is| {
            (is.permissions().mode() & 0o7777, Owner { uid: is.uid(), gid: is.gid() })
        });
        Ok(Placed { path: self.jwks.clone(), contents: Secret::new(text.expose().to_vec()), mode, owner })
    }
}

/// Reads a file of secrets that lies where SlurmUser could have put something else: no link of anybody's but root's, and no
/// second name of a file of root's; what is read here is written again, for SlurmUser. `None`: it is not there.
fn read_own(path: &Path, limit: usize) -> anyhow::Result<Option<(Secret, fs::Metadata)>> {
    let path = real(path)?;
    let (bytes, is) = match file::read_itself_with_metadata(&path, Keep::Secret, limit) {
        Err(e) if e.is_not_found() => return Ok(None),
        read => read.advise()?,
    };
    if is.nlink() != 1 {
        return Err(Advice::new(
            format!("{} has another name somewhere else", path.display()),
            format!("find the other with: find / -xdev -samefile {}", path.display()),
        )
        .into());
    }
    Ok(Some((bytes, is)))
}

/// The file that a link of root's leads to; what has no link, or is not there yet, itself. Every link on the way is root's:
/// the first one may lead into a folder of SlurmUser's.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if !fs::symlink_metadata(&path).is_ok_and(|is| is.is_symlink()) {
            return Ok(path);
        }
        refuse_links_of_others(&path)?;
        let to = fs::read_link(&path).map_err(Error::read(&path)).advise()?;
        path = path.parent().unwrap_or(Path::new("/")).join(to);
    }
    Err(Advice::new(format!("{} is a link without end", path.display()), "put the file itself there").into())
}

/// Found out before anything is made: SlurmUser seldom may change /etc/slurm.
fn may_write_beside(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    match rustix::fs::access(folder, Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(e) => Err(Error::write(path)(e.into())).advise(),
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let lock = file::open_to_append(path, 0o600).advise()?;
    if lock::try_now(&lock, path).advise()? {
        return Ok(lock);
    }
    Err(Advice::new(
        "another auth-key command is running",
        format!("wait for it; see who holds it with: fuser -v {}", path.display()),
    )
    .into())
}
