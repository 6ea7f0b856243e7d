//! The files of a rollover, and the CA's own: who may touch them, one command at a time, each replaced whole.
//!
//! `<state_dir>/ca/rollover/` holds what is new and what was old; when all is over it is put aside under a dated name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pki::ca::{CaCertificates, LocalCa};
use pki::key::{MAX_KEY_PEM, PrivateKey};
use pki::loads_in_s2n::{MAX_BUNDLE_PEM, MAX_CHAIN_PEM};
use pki::secret::Secret;
use pki::time::UnixTime;
use pki::x509::X509;
use rustix::fs::Access;
use site::Error;
use site::config::Place;
use site::file::{self, Keep, NewFile, Owner};
use site::lock;

use super::in_vault::{InVault, Issuers};
use super::issuing::Issuing;
use super::state::{self, Phase, State};
use crate::admin::{Admin, caller, make_below, owner_name, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::ca::new::{CERTIFICATE_MODE, KEY_MODE};
use crate::global::Global;
use crate::moment;
use crate::report;

const NEW_KEY: &str = "new_key.pem";
const NEW_ROOT: &str = "new_root.pem";
const CROSS: &str = "cross.pem";
const OLD_KEY: &str = "old_key.pem";
const OLD_CHAIN: &str = "old_chain.pem";
const OLD_CERT: &str = "old_ca_cert.pem";

/// The state, once nothing is left to do: then the folder is what is left to put aside.
const DONE: &str = "state.json";

/// The key of a root that has an intermediate below it, once it is no longer wanted.
const ROOT_KEY: &str = "root_key.pem";

/// All of them, for one command.
pub(super) struct SiteFiles<'a> {
    pub(super) global: &'a Global,
    pub(super) admin: &'a Admin,
    owner: Owner,
    folder: PathBuf,
    state: PathBuf,
    /// Where the CA is, when it is not in these files.
    pub(super) vault: Option<InVault>,
    /// Held as long as the command runs.
    _lock: Option<File>,
}

/// What a CA is made of, in `begin`.
pub(super) struct NewFiles<'a> {
    /// None where it is in Vault.
    pub(super) key: Option<&'a Secret>,
    pub(super) root: &'a X509,
    pub(super) cross: &'a X509,
}

impl<'a> SiteFiles<'a> {
    /// For a command that changes something: nobody else does so meanwhile.
    ///
    /// # Errors
    /// When the caller may not change the CA, or another command is at it.
    pub(super) fn to_change(global: &'a Global, admin: &'a Admin) -> anyhow::Result<Self> {
        let controller = &admin.controller;
        let vault = match controller.signer {
            Place::Local => None,
            Place::Vault => Some(InVault::of(admin)?),
        };
        let owner = admin.slurm_user_to_write_for()?;
        may_write_beside(&controller.ca_cert)?;
        let ca = admin.top().state_dir.join("ca");
        let folder = ca.join("rollover");
        for folder in [&ca, &folder] {
            refuse_links_of_others(folder)?;
        }
        let state = state::path(admin);
        if global.dry_run {
            return Ok(Self { global, admin, owner, folder, state, vault, _lock: None });
        }
        make_below(&admin.top().state_dir, &ca, 0o700, Some(owner))?;
        let lock = lock(&ca.join("rollover.lock"))?;
        let files = Self { global, admin, owner, folder, state, vault, _lock: Some(lock) };
        // A run that was killed at its very end.
        if files.folder.join(DONE).exists() && !files.state.exists() {
            files.put_folder_aside()?;
        }
        Ok(files)
    }

    /// Where the rollover stands; `None`: nowhere.
    pub(super) fn state(&self) -> anyhow::Result<Option<State>> {
        State::load(&self.state)
    }

    /// The state of a rollover that is under way.
    ///
    /// # Errors
    /// When none is.
    pub(super) fn state_under_way(&self) -> anyhow::Result<State> {
        self.state()?.ok_or_else(|| {
            Advice::new("no CA rollover is under way", "start one with: slurm-pki ca rollover begin").into()
        })
    }

    /// Goes on to another phase, before the files that make it so.
    pub(super) fn advance(&self, state: &mut State, phase: Phase, now: UnixTime) -> anyhow::Result<()> {
        if state.phase != phase {
            (state.phase, state.since) = (phase, now);
            self.write_state(state)?;
        }
        Ok(())
    }

    pub(super) fn write_state(&self, state: &State) -> anyhow::Result<()> {
        self.put(&self.state, CERTIFICATE_MODE, Some(self.owner), &state.to_json()?)
    }

    /// What is new, and what was trusted before; nothing refers to it until the state says so.
    pub(super) fn keep_new(&self, new: &NewFiles<'_>) -> anyhow::Result<()> {
        if !self.global.dry_run {
            file::make_folder(&self.folder, 0o700, Some(self.owner)).advise()?;
        }
        match new.key {
            Some(key) => self.put_own(NEW_KEY, KEY_MODE, key.expose())?,
            None => self.remove(&self.folder.join(NEW_KEY))?,
        }
        self.put_own(NEW_ROOT, CERTIFICATE_MODE, new.root.to_pem().as_bytes())?;
        self.put_own(CROSS, CERTIFICATE_MODE, new.cross.to_pem().as_bytes())?;
        let trusted = read(&self.admin.controller.ca_cert, Keep::Intact, MAX_BUNDLE_PEM)?;
        self.put_own(OLD_CERT, CERTIFICATE_MODE, trusted.expose())?;
        match read_if_there(&self.admin.controller.ca_chain, Keep::Intact, MAX_CHAIN_PEM)? {
            Some(chain) => self.put_own(OLD_CHAIN, CERTIFICATE_MODE, chain.expose()),
            None => self.remove(&self.folder.join(OLD_CHAIN)),
        }
    }

    /// The new root, and that it is the one that the state names, and Vault has.
    pub(super) fn new_root(&self, state: &State) -> anyhow::Result<X509> {
        let root = self.certificate(NEW_ROOT)?;
        if root.fingerprint() != state.new.sha256 {
            return Err(self.not_the_new_one(NEW_ROOT));
        }
        if let Some((vault, issuers)) = self.issuers(state)? {
            vault.check(&issuers, &root, &self.cross(&root)?)?;
        }
        Ok(root)
    }

    /// The new root's cross certificate.
    pub(super) fn cross(&self, new: &X509) -> anyhow::Result<X509> {
        let cross = self.certificate(CROSS)?;
        if cross.same_subject(new) && cross.facts().spki == new.facts().spki {
            Ok(cross)
        } else {
            Err(self.not_the_new_one(CROSS))
        }
    }

    /// The new CA, to issue.
    ///
    /// # Errors
    /// When its key is not there, or the config has the CA elsewhere than when the rollover began.
    pub(super) fn new_ca(&self, state: &State, new: &X509) -> anyhow::Result<Issuing<'_>> {
        match self.issuers(state)? {
            None => Ok(Issuing::Key(Box::new(self.new_key(new)?))),
            Some((vault, issuers)) => Ok(Issuing::Issuer(vault, issuers.new)),
        }
    }

    /// The old CA, to issue again; `None` where it does so still.
    ///
    /// # Errors
    /// As [`new_ca`](Self::new_ca).
    pub(super) fn old_ca_if_not_in_place(
        &self,
        state: &State,
        new: &X509,
    ) -> anyhow::Result<Option<Issuing<'_>>> {
        match self.issuers(state)? {
            None if self.signs_with_key_of(new)? => Ok(Some(Issuing::Key(Box::new(self.old_key()?)))),
            None => Ok(None),
            Some((vault, issuers)) if vault.signs(&issuers.old)? => Ok(None),
            Some((vault, issuers)) => Ok(Some(Issuing::Issuer(vault, issuers.old))),
        }
    }

    /// Whether the new CA issues.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn issues_by(&self, state: &State, new: &X509) -> anyhow::Result<bool> {
        match self.issuers(state)? {
            None => self.signs_with_key_of(new),
            Some((vault, issuers)) => vault.signs(&issuers.new),
        }
    }

    /// From now on this one issues.
    ///
    /// # Errors
    /// When it cannot be made so.
    pub(super) fn let_issue(&self, ca: &Issuing<'_>) -> anyhow::Result<()> {
        match ca {
            Issuing::Key(key) => self.put_key(key),
            Issuing::Issuer(vault, id) => vault.let_sign(self.global, id),
        }
    }

    /// The issuers in Vault, where the rollover is there.
    ///
    /// # Errors
    /// When the config has the CA elsewhere than when the rollover began.
    pub(super) fn issuers(&self, state: &State) -> anyhow::Result<Option<(&InVault, Issuers)>> {
        match (&self.vault, &state.vault) {
            (None, None) => Ok(None),
            (Some(vault), Some(issuers)) => Ok(Some((vault, issuers.clone()))),
            _ => Err(Advice::new(
                "the config has the CA elsewhere (signer) than when this rollover began",
                "set signer in [controller] back, and finish or abort the rollover first",
            )
            .into()),
        }
    }

    /// The new CA's key.
    fn new_key(&self, new: &X509) -> anyhow::Result<PrivateKey> {
        let key = key(&self.folder.join(NEW_KEY))?;
        if is_key_of(&key, new) { Ok(key) } else { Err(self.not_the_new_one(NEW_KEY)) }
    }

    /// What was sent after each leaf before; nothing where there was nothing.
    pub(super) fn old_chain(&self) -> anyhow::Result<Vec<X509>> {
        let path = self.folder.join(OLD_CHAIN);
        match read_if_there(&path, Keep::Intact, MAX_CHAIN_PEM)? {
            Some(pem) => {
                X509::all_from_pem(pem.expose(), MAX_CHAIN_PEM).map_err(Error::contents(&path)).advise()
            }
            None => Ok(Vec::new()),
        }
    }

    /// What hosts trusted before, to the letter.
    pub(super) fn old_bundle(&self) -> anyhow::Result<Vec<u8>> {
        let text = read(&self.folder.join(OLD_CERT), Keep::Intact, MAX_BUNDLE_PEM)?;
        Ok(text.expose().to_vec())
    }

    /// Keeps the old CA's key, which is in its place still.
    pub(super) fn keep_old_key(&self) -> anyhow::Result<()> {
        if self.vault.is_some() {
            return Ok(());
        }
        let key = read(&self.admin.controller.ca_key, Keep::Secret, MAX_KEY_PEM)?;
        self.put_own(OLD_KEY, KEY_MODE, key.expose())
    }

    /// The old CA's key, from where it was kept.
    fn old_key(&self) -> anyhow::Result<PrivateKey> {
        key(&self.folder.join(OLD_KEY))
    }

    /// Whether `ca_key` is the key of this certificate.
    fn signs_with_key_of(&self, ca: &X509) -> anyhow::Result<bool> {
        Ok(is_key_of(&key(&self.admin.controller.ca_key)?, ca))
    }

    /// Makes this the key that signs.
    fn put_key(&self, key: &PrivateKey) -> anyhow::Result<()> {
        self.put(&self.admin.controller.ca_key, KEY_MODE, Some(self.owner), key.to_pem().expose())
    }

    /// Makes these the certificates that go along with what they issued.
    pub(super) fn put_chain(&self, chain: &[X509]) -> anyhow::Result<()> {
        let path = &self.admin.controller.ca_chain;
        if chain.is_empty() {
            return self.remove(path);
        }
        let text: String = chain.iter().map(X509::to_pem).collect();
        self.put(path, CERTIFICATE_MODE, Some(self.owner), text.as_bytes())
    }

    /// What each host was given.
    pub(super) fn put_hosts(&self, json: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join("hosts.json");
        NewFile::new(&path, CERTIFICATE_MODE).owned_by(Some(self.owner)).replace(json).advise()
    }

    /// Makes this what hosts trust.
    pub(super) fn put_bundle(&self, bundle: &[u8]) -> anyhow::Result<()> {
        self.put(&self.admin.controller.ca_cert, CERTIFICATE_MODE, None, bundle)
    }

    /// What a rollover is over with is put aside: the state by one rename, with which it is over.
    pub(super) fn put_aside(&self) -> anyhow::Result<()> {
        if self.global.dry_run {
            report::line(&format!("would put {} aside under a dated name", self.folder.display()));
            return Ok(());
        }
        file::make_folder(&self.folder, 0o700, Some(self.owner)).advise()?;
        file::rename(&self.state, &self.folder.join(DONE)).advise()?;
        self.put_folder_aside()
    }

    /// The key of a root that nobody trusts any more goes with the rest: `init` would make an intermediate of it.
    pub(super) fn take_root_key(&self) -> anyhow::Result<()> {
        let path = crate::ca::new::root_key_path(self.admin);
        if self.global.dry_run || fs::symlink_metadata(&path).is_err() {
            return Ok(());
        }
        file::rename(&path, &self.folder.join(ROOT_KEY)).advise()
    }

    fn put_folder_aside(&self) -> anyhow::Result<()> {
        let name = |n: u32| {
            let again = if n == 0 { String::new() } else { format!(".{n}") };
            let time = moment::for_file_name(site::clock::now());
            self.folder.with_file_name(format!("rollover.{time}{again}"))
        };
        let aside = (0..100).map(name).find(|path| fs::symlink_metadata(path).is_err());
        let Some(aside) = aside else {
            return Err(Error::write(&self.folder)(io::ErrorKind::AlreadyExists.into())).advise();
        };
        file::rename(&self.folder, &aside).advise()?;
        report::done(
            self.global,
            &format!("kept     {}: keys and certificates of this rollover", aside.display()),
        );
        Ok(())
    }

    fn certificate(&self, name: &str) -> anyhow::Result<X509> {
        let path = self.folder.join(name);
        let pem = read(&path, Keep::Intact, MAX_CHAIN_PEM)?;
        let all = X509::all_from_pem(pem.expose(), MAX_CHAIN_PEM).map_err(Error::contents(&path)).advise()?;
        all.into_iter().next().ok_or_else(|| self.not_the_new_one(name))
    }

    fn not_the_new_one(&self, name: &str) -> anyhow::Error {
        Advice::new(
            format!("{} does not belong to the new CA", self.folder.join(name).display()),
            "somebody changed it: bring that folder back from a backup",
        )
        .into()
    }

    fn put_own(&self, name: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        self.put(&self.folder.join(name), mode, Some(self.owner), bytes)
    }

    /// Puts a file in place, unless it is there to the letter. Owner and mode of one that is there stay.
    fn put(&self, path: &Path, mode: u32, owner: Option<Owner>, bytes: &[u8]) -> anyhow::Result<()> {
        let path = &real(path)?;
        let there = file::read_with_metadata(path, bytes.len() + 1).ok();
        if there.as_ref().is_some_and(|(is, _)| is.expose() == bytes) {
            return Ok(());
        }
        let is = fs::metadata(path).ok();
        let mode = is.as_ref().map_or(mode, |is| is.permissions().mode() & 0o777);
        let owner = is.map(|is| Owner { uid: is.uid(), gid: is.gid() }).or(owner);
        let shown = format!("{} ({mode:04o}, {})", path.display(), owner_name(owner.unwrap_or_else(caller)));
        if self.global.dry_run {
            report::line(&format!("would write {shown}"));
            return Ok(());
        }
        NewFile::new(path, mode).owned_by(owner).replace(bytes).advise()?;
        report::done(self.global, &format!("wrote    {shown}"));
        Ok(())
    }

    fn remove(&self, path: &Path) -> anyhow::Result<()> {
        if fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        if self.global.dry_run {
            report::line(&format!("would remove {}", path.display()));
            return Ok(());
        }
        file::remove(path).advise()?;
        report::done(self.global, &format!("removed  {}", path.display()));
        Ok(())
    }
}

/// Whether a key is a certificate's.
fn is_key_of(key: &PrivateKey, ca: &X509) -> bool {
    key.public().is_ok_and(|public| public.spki() == ca.facts().spki)
}

/// A CA in memory, to see what it issues.
pub(super) fn ca_of(anchors: Vec<X509>, chain: Vec<X509>, key: &PrivateKey) -> anyhow::Result<LocalCa> {
    let copy = PrivateKey::from_pem(key.to_pem().expose()).advise()?;
    LocalCa::new(CaCertificates { anchors, chain }, copy).advise()
}

/// Reads a file that lies where SlurmUser could have put a link to a secret of root's: what is read here is written again,
/// for SlurmUser or for everybody.
fn read(path: &Path, keep: Keep, limit: usize) -> anyhow::Result<Secret> {
    file::read_itself(&real(path)?, keep, limit).advise()
}

fn read_if_there(path: &Path, keep: Keep, limit: usize) -> anyhow::Result<Option<Secret>> {
    match file::read_itself(&real(path)?, keep, limit) {
        Err(e) if e.is_not_found() => Ok(None),
        read => read.map(Some).advise(),
    }
}

fn key(path: &Path) -> anyhow::Result<PrivateKey> {
    let pem = read(path, Keep::Secret, MAX_KEY_PEM)?;
    PrivateKey::from_pem(pem.expose()).map_err(Error::contents(path)).advise()
}

/// The file that a link of root's leads to; what has no link, or is not there yet, itself.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(is) if is.is_symlink() => {
            refuse_links_of_others(path)?;
            fs::canonicalize(path).map_err(Error::read(path)).advise()
        }
        _ => Ok(path.to_owned()),
    }
}

/// Found out before anything is made: SlurmUser seldom may change /etc/slurm.
fn may_write_beside(ca_cert: &Path) -> anyhow::Result<()> {
    let folder = ca_cert.parent().unwrap_or(Path::new("/"));
    match rustix::fs::access(folder, Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(e) => Err(Error::write(ca_cert)(e.into())).advise(),
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let lock = file::open_to_append(path, 0o600).advise()?;
    if lock::try_now(&lock, path).advise()? {
        return Ok(lock);
    }
    Err(Advice::new(
        "another slurm-pki ca rollover is running",
        format!("wait for it; see who holds it with: fuser -v {}", path.display()),
    )
    .into())
}
