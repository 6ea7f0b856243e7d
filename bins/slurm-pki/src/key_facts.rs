//! The cluster's keys as this host has them: how old, whether daemons would start with them, and whether slurmctld and
//! slurmdbd have the same (docs/slurm-contract.md 5, 6). No key is shown; what names one is its kid.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pki::secret::Secret;
use pki::time::UnixTime;
use serde::Serialize;
use site::file;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::auth_key::UnderWay;
use crate::check::{key_ids, must_load};
use crate::fleet::digest;
use crate::jwt::jwks::fetched::Fetched;
use crate::key_files::{KeyFile, KeyFiles};
use crate::slurm_conf::SlurmConf;

/// Longest file that is read.
const MAX: usize = 1024 * 1024;

/// All of them; null where slurm.conf asks for none.
#[derive(Debug, Default, Serialize)]
pub(crate) struct KeyFacts {
    /// The key that daemons prove themselves with.
    pub(crate) auth: Option<AuthKey>,
    /// The key that tokens are made and checked with.
    pub(crate) jwt: Option<JwtKey>,
    /// An identity provider's keys.
    pub(crate) jwks: Option<Jwks>,
}

/// A file of keys.
#[derive(Debug, Serialize)]
pub(crate) struct KeyOnDisk {
    /// Where.
    pub(crate) file: PathBuf,
    /// When it was last changed.
    pub(crate) changed: Option<UnixTime>,
    /// What keeps daemons from starting with it.
    pub(crate) problem: Option<String>,
}

/// auth/slurm's.
#[derive(Debug, Serialize)]
pub(crate) struct AuthKey {
    #[serde(flatten)]
    pub(crate) on_disk: KeyOnDisk,
    /// The names of all keys, in the list's order; none in slurm.key.
    pub(crate) kids: Vec<String>,
    /// The one that signs.
    pub(crate) signs: Option<String>,
    /// When that was made: as it was noted, else when the file was last changed.
    pub(crate) made: Option<UnixTime>,
    /// A change that has begun.
    pub(crate) rotation: Option<UnderWay>,
}

/// auth/jwt's own.
#[derive(Debug, Serialize)]
pub(crate) struct JwtKey {
    #[serde(flatten)]
    pub(crate) on_disk: KeyOnDisk,
    /// Whether slurmdbd has the same; null where slurmdbd is elsewhere, or takes no tokens of this kind.
    pub(crate) same_on_slurmdbd: Option<bool>,
}

/// A list of an identity provider's.
#[derive(Debug, Serialize)]
pub(crate) struct Jwks {
    #[serde(flatten)]
    pub(crate) on_disk: KeyOnDisk,
    /// Their names.
    pub(crate) kids: Vec<String>,
    /// The last good fetch; null where the list is not fetched by slurm-pki.
    pub(crate) fetched: Option<Fetched>,
}

impl KeyFacts {
    /// Looks at the files that slurm.conf, and slurmdbd.conf where it is here, ask for.
    ///
    /// # Errors
    /// When this user may not read one of them, or what was noted about them.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let Some(slurm) = &admin.slurm else { return Ok(Self::default()) };
        let files = KeyFiles::of(admin)?;
        let mut facts = Self::default();
        if slurm.get("AuthType").is_some_and(|kind| kind.eq_ignore_ascii_case("auth/slurm")) {
            facts.auth = Some(AuthKey::of(admin, &files)?);
        }
        if takes_tokens(slurm) {
            // Without any slurmdbd does not start, and there is nothing to compare.
            let has_dbd = files.dbd_jwt_key.is_some() || files.dbd_jwks.is_some();
            let of_dbd = has_dbd.then_some(files.dbd_jwt_key.as_deref());
            facts.jwt = files.jwt_key.map(|key| JwtKey::of(admin, key, of_dbd)).transpose()?;
            facts.jwks = files.jwks.map(|path| Jwks::of(admin, path)).transpose()?;
        }
        Ok(facts)
    }

    /// Every file, by a word for it.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &KeyOnDisk)> {
        let auth = self.auth.iter().map(|key| ("auth_slurm", &key.on_disk));
        let jwt = self.jwt.iter().map(|key| ("jwt", &key.on_disk));
        let jwks = self.jwks.iter().map(|list| ("jwks", &list.on_disk));
        auth.chain(jwt).chain(jwks)
    }
}

impl AuthKey {
    fn of(admin: &Admin, files: &KeyFiles) -> anyhow::Result<Self> {
        let (kind, path) = files.auth();
        let is_list = kind == KeyFile::AuthJwks;
        let (on_disk, text) = look(admin, kind, path)?;
        let ids = text.as_ref().filter(|_| is_list).map(|text| key_ids(text.expose())).unwrap_or_default();
        let created = UnderWay::created(admin)?;
        let made = ids.signs.as_ref().and_then(|kid| created.get(kid)).copied().or(on_disk.changed);
        let rotation = UnderWay::of(admin)?;
        Ok(Self { on_disk, kids: ids.all, signs: ids.signs, made, rotation })
    }
}

impl JwtKey {
    fn of(admin: &Admin, path: PathBuf, dbd: Option<Option<&Path>>) -> anyhow::Result<Self> {
        let (on_disk, text) = look(admin, KeyFile::JwtKey, &path)?;
        let same = |dbd: Option<&Path>| -> anyhow::Result<bool> {
            let Some(other) = dbd else { return Ok(false) };
            let other = read(other)?;
            let pair = text.as_ref().zip(other.as_ref());
            Ok(pair.is_some_and(|(own, (other, _))| digest(own.expose()) == digest(other.expose())))
        };
        Ok(Self { on_disk, same_on_slurmdbd: dbd.map(same).transpose()? })
    }
}

impl Jwks {
    fn of(admin: &Admin, path: PathBuf) -> anyhow::Result<Self> {
        let (on_disk, text) = look(admin, KeyFile::Jwks, &path)?;
        let kids = text.map(|text| key_ids(text.expose()).all).unwrap_or_default();
        let fetched = Fetched::read(&admin.top().state_dir)?.filter(|fetch| fetch.jwks == path);
        Ok(Self { on_disk, kids, fetched })
    }
}

/// Whether a slurm.conf or slurmdbd.conf has auth/jwt.
pub(crate) fn takes_tokens(conf: &SlurmConf) -> bool {
    let kinds = conf.get("AuthAltTypes").unwrap_or_default();
    kinds.split(',').any(|kind| kind.trim().eq_ignore_ascii_case("auth/jwt"))
}

/// A file as it is, and what is in it.
fn look(admin: &Admin, kind: KeyFile, path: &Path) -> anyhow::Result<(KeyOnDisk, Option<Secret>)> {
    let read = read(path)?;
    let problem = must_load(admin.slurm_user().ok(), kind, path).err().map(|e| format!("{e:#}"));
    let changed = read.as_ref().map(|(_, metadata)| UnixTime(metadata.mtime()));
    Ok((KeyOnDisk { file: path.to_owned(), changed, problem }, read.map(|(text, _)| text)))
}

/// `None` when there is no such file.
fn read(path: &Path) -> anyhow::Result<Option<(Secret, Metadata)>> {
    match file::read_with_metadata(path, MAX) {
        Ok(read) => Ok(Some(read)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e).advise(),
    }
}
