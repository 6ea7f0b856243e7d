//! Where the HS256 key lies: on every controller's host, and on slurmdbd's, whose slurmdbd.conf has its own words for it
//! (slurm-contract.md 6).

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pki::auth_jwt;
use pki::loading::FileFacts;
use pki::secret::Secret;
use serde::{Deserialize, Serialize};
use site::file::{self, NewFile, Owner};

use super::state::MAX_KEY;
use crate::admin::{Admin, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Delivery, Fleet, Job, Placed, digest, quoted};
use crate::global::Global;
use crate::hostlist;
use crate::jwt::folder::{refuse_strange, refuse_strange_there};
use crate::members::{Members, Role, is_this_host};
use crate::parameters::Parameters;
use crate::reload::{Lies, Part, Who};
use crate::slurm_conf::SlurmConf;

/// A key nobody but its owner reads.
const MODE: u32 = 0o400;

/// What reads a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reader {
    Slurmctld,
    Slurmdbd,
}

/// A daemon's copy of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyCopy {
    pub(super) reader: Reader,
    pub(super) host: String,
    pub(super) path: PathBuf,
}

/// All of them: slurmctld's at `jwt_key`, slurmdbd's where slurmdbd.conf says, or `dbd_key`.
///
/// # Errors
/// When a file of Slurm's cannot be read, or nobody knows where slurmdbd's is.
pub(super) fn all(
    global: &Global,
    admin: &Admin,
    fleet: &Fleet,
    jwt_key: &Path,
    dbd_key: Option<&Path>,
) -> anyhow::Result<Vec<KeyCopy>> {
    let members = Members::of(admin)?;
    let of =
        |reader, host: &str, path: &Path| KeyCopy { reader, host: host.to_owned(), path: path.to_owned() };
    let mut copies: Vec<KeyCopy> =
        members.with(Role::Ctld).map(|member| of(Reader::Slurmctld, &member.host, jwt_key)).collect();
    if !copies.iter().any(|copy| is_this_host(&copy.host)) {
        return Err(Advice::new(
            "this host runs no slurmctld of slurm.conf, so the key is not here",
            "run this on a controller",
        )
        .into());
    }
    for member in members.with(Role::Dbd) {
        let path = match dbd_key {
            Some(path) => Some(path.to_owned()),
            None => dbd_key_of(global, admin, fleet, &member.host)?,
        };
        copies.extend(path.map(|path| of(Reader::Slurmdbd, &member.host, &path)));
    }
    Ok(copies)
}

/// What slurmdbd.conf says; `None`: slurmdbd takes no tokens.
fn dbd_key_of(global: &Global, admin: &Admin, fleet: &Fleet, host: &str) -> anyhow::Result<Option<PathBuf>> {
    let slurm_conf = admin.slurm.as_ref().map_or_else(SlurmConf::path_here, |slurm| slurm.path().to_owned());
    let path = slurm_conf.with_file_name("slurmdbd.conf");
    let (types, parameters) = if is_this_host(host) {
        let conf = SlurmConf::load_from(&path)?;
        let get = |key: &str| conf.as_ref()?.get(key).map(str::to_owned);
        (get("AuthAltTypes"), get("AuthAltParameters"))
    } else {
        asked(global, fleet, host, &path)?
    };
    if !types.unwrap_or_default().split(',').any(|word| word.trim().eq_ignore_ascii_case("auth/jwt")) {
        return Ok(None);
    }
    let named = Parameters::of(parameters.as_deref()).get("jwt_key").map(PathBuf::from);
    Ok(named.filter(|path| path.is_absolute()))
}

/// Two lines of another host's slurmdbd.conf: the database's password is in it too, and stays there.
fn asked(
    global: &Global,
    fleet: &Fleet,
    host: &str,
    path: &Path,
) -> anyhow::Result<(Option<String>, Option<String>)> {
    let path = quoted(&path.to_string_lossy());
    let script = format!(
        "[ -r {path} ]\nfor key in AuthAltTypes AuthAltParameters; do\n\
         say \"$key=$(sed -n \"s/^[[:space:]]*$key[[:space:]]*=[[:space:]]*//Ip\" {path} | tail -n 1)\"\ndone"
    );
    let outcomes = fleet.run(global, "asking slurmdbd's host", vec![Job { host: host.to_owned(), script }]);
    let said = match outcomes.of(host) {
        Some(Ok(said)) => said,
        other => {
            let why =
                other.and_then(|result| result.as_ref().err()).map_or("it was not asked", String::as_str);
            return Err(Advice::new(
                format!("where slurmdbd on {host} has its key cannot be told: {why}"),
                "--dbd-key PATH names it; else see that [fleet] reaches that host",
            )
            .into());
        }
    };
    let get = |key: &str| {
        let value = said.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim().trim_matches('"').to_owned()).filter(|value| !value.is_empty())
    };
    Ok((get("AuthAltTypes"), get("AuthAltParameters")))
}

/// The key that lies here, after every copy was found to be the same.
///
/// # Errors
/// When one is missing or another one: then tokens do not count everywhere today, and no way would lead back.
pub(super) fn present(
    global: &Global,
    fleet: &Fleet,
    copies: &[KeyCopy],
    slurm_user: Owner,
) -> anyhow::Result<Secret> {
    let here = copies.iter().find(|copy| is_this_host(&copy.host) && copy.reader == Reader::Slurmctld);
    let here = here.map(|copy| copy.path.as_path()).unwrap_or(Path::new(""));
    if let Some(folder) = here.parent() {
        refuse_links_of_others(folder)?;
    }
    site::trust::slurm_user(slurm_user.uid);
    let key = read_own(here, slurm_user)?;
    let wanted = digest(key.expose());
    let others: Vec<String> =
        lacking(global, fleet, copies, &wanted, None)?.into_iter().map(|copy| copy.host.clone()).collect();
    if others.is_empty() {
        return Ok(key);
    }
    Err(Advice::new(
        format!(
            "the key there is not the one at {}: {}",
            here.display(),
            hostlist::fold_texts(others.iter().map(String::as_str))
        ),
        "tokens do not count everywhere as it is: bring one key to all of them and reload them first",
    )
    .into())
}

/// Reads a key that root is to write again, for SlurmUser: no link, no second name of a file, and nobody else's.
///
/// # Errors
/// When it cannot be read, or is something else.
pub(crate) fn read_own(path: &Path, slurm_user: Owner) -> anyhow::Result<Secret> {
    let (key, is) = file::read_itself_with_metadata(path, file::Keep::Secret, MAX_KEY).advise()?;
    if is.nlink() == 1 && (is.uid() == slurm_user.uid || is.uid() == 0) {
        return Ok(key);
    }
    Err(Advice::new(
        format!(
            "{} is not SlurmUser's alone: another owner, or another name of the same file",
            path.display()
        ),
        "put the key there as a file of its own, SlurmUser's, mode 0400",
    )
    .into())
}

/// What a state that SlurmUser could have written says is not believed: only places of the daemons of slurm.conf.
///
/// # Errors
/// When it names something else.
pub(super) fn refuse_foreign(admin: &Admin, copies: &[KeyCopy], jwt_key: &Path) -> anyhow::Result<()> {
    let members = Members::of(admin)?;
    let is_known = |copy: &KeyCopy| match copy.reader {
        Reader::Slurmctld => {
            copy.path == jwt_key && members.with(Role::Ctld).any(|member| member.host == copy.host)
        }
        Reader::Slurmdbd => members.with(Role::Dbd).any(|member| member.host == copy.host),
    };
    match copies.iter().find(|copy| !is_known(copy)) {
        None => Ok(()),
        Some(copy) => Err(Advice::new(
            format!("the rotation's state names {} on {}, where slurm.conf has no key", copy.path.display(), copy.host),
            "somebody changed it, or slurm.conf: see which key the daemons have, then remove <state_dir>/jwt-key",
        )
        .into()),
    }
}

/// slurmdbd's hosts other than this one, and those of them whose key is missing or is not slurmctld's at `jwt_key`.
///
/// # Errors
/// When a file or a host cannot be asked.
pub(crate) fn on_slurmdbd_elsewhere(
    global: &Global,
    admin: &Admin,
    fleet: &Fleet,
    jwt_key: &Path,
) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let mut copies = all(global, admin, fleet, jwt_key, None)?;
    copies.retain(|copy| copy.reader == Reader::Slurmdbd && !is_this_host(&copy.host));
    if copies.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let key = file::read_itself(jwt_key, file::Keep::Secret, MAX_KEY).advise()?;
    let differ = lacking(global, fleet, &copies, &digest(key.expose()), None)?;
    let differ = differ.into_iter().map(|copy| copy.host.clone()).collect();
    Ok((copies.into_iter().map(|copy| copy.host).collect(), differ))
}

/// The copies that are missing or are another key. `whose`: those too that are not this owner's with [`MODE`].
///
/// # Errors
/// When a host cannot be asked.
pub(super) fn lacking<'a>(
    global: &Global,
    fleet: &Fleet,
    copies: &'a [KeyCopy],
    wanted: &str,
    whose: Option<Owner>,
) -> anyhow::Result<Vec<&'a KeyCopy>> {
    let mut hosts: Vec<&str> = copies.iter().map(|copy| copy.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let look = |(at, copy): (usize, &KeyCopy)| {
        let path = quoted(&copy.path.to_string_lossy());
        let look = whose.map_or_else(String::new, |Owner { uid, .. }| {
            format!("[ \"$(stat -L -c '%a %u' {path})\" != '{MODE:o} {uid}' ] || ")
        });
        format!("[ ! -f {path} ] || {look}say {at} \"$(sha256sum < {path} | cut -d ' ' -f 1)\"\n")
    };
    let job = |host: &str| {
        let here = copies.iter().enumerate().filter(|(_, copy)| copy.host == host);
        Job { host: host.to_owned(), script: here.map(look).collect() }
    };
    let outcomes = fleet.run(global, "looking", hosts.into_iter().map(job).collect());
    let is_lacking = |(at, copy): &(usize, &KeyCopy)| {
        let line = format!("{at} {wanted}");
        outcomes.of(&copy.host).is_some_and(|said| said.as_ref().is_ok_and(|said| !said.contains(&line)))
    };
    let lacking = copies.iter().enumerate().filter(is_lacking).map(|(_, copy)| copy).collect();
    outcomes.into_result("looking at the key")?;
    Ok(lacking)
}

/// Brings the key to every copy that is another one: here first, since controllers may share the folder.
///
/// # Errors
/// When a host could not be reached.
pub(super) fn bring(
    global: &Global,
    fleet: &Fleet,
    copies: &[KeyCopy],
    key: &Secret,
    slurm_user: Owner,
) -> anyhow::Result<()> {
    let wanted = digest(key.expose());
    // Not after the others were asked: whoever is out of reach must not keep this host's daemons from their key.
    for copy in copies.iter().filter(|copy| is_this_host(&copy.host)) {
        put_here(&copy.path, key, slurm_user)?;
    }
    let delivery = |copy: &KeyCopy| {
        let file = Placed {
            path: copy.path.clone(),
            contents: Secret::new(key.expose().to_vec()),
            mode: MODE,
            owner: slurm_user,
        };
        Delivery { host: copy.host.clone(), files: vec![file], then: String::new() }
    };
    let lacking = lacking(global, fleet, copies, &wanted, Some(slurm_user))?;
    let guard = |copy: &&KeyCopy| Job {
        host: copy.host.clone(),
        script: refuse_strange_there(&copy.path, slurm_user),
    };
    fleet
        .run(global, "looking", lacking.iter().map(guard).collect())
        .into_result("looking at the key's folder")?;
    fleet
        .deliver(global, "bringing the key", lacking.into_iter().map(delivery).collect())
        .into_result("bringing the key")
}

fn put_here(path: &Path, key: &Secret, slurm_user: Owner) -> anyhow::Result<()> {
    refuse_strange(path, slurm_user)?;
    // What a killed run wrote beside it was to be a key.
    file::remove_leftovers(path).advise()?;
    // The right bytes that others may read, or change, are not there yet.
    let is_there = file::read_with_metadata(path, MAX_KEY).is_ok_and(|(there, is)| {
        there.expose() == key.expose() && is.mode() & 0o7777 == MODE && is.uid() == slurm_user.uid
    });
    if is_there {
        Ok(())
    } else {
        NewFile::new(path, MODE).owned_by(Some(slurm_user)).replace(key.expose()).advise()
    }
}

/// No key is put anywhere that daemons do not start with.
///
/// # Errors
/// Why they would not.
pub(super) fn must_load(key: &Secret, slurm_user: Owner) -> anyhow::Result<()> {
    let facts = FileFacts { mode: MODE, owner: slurm_user.uid };
    match auth_jwt::judge_key(key.expose(), facts, slurm_user.uid).dies() {
        None => Ok(()),
        Some((release, why)) => Err(Advice::new(
            format!("no key is put anywhere: Slurm {} would not load it: {why}", release.name()),
            "this should not happen: report it",
        )
        .into()),
    }
}

/// The daemons that are to load the key of this digest.
pub(super) fn parts(copies: &[KeyCopy], wanted: &str) -> Vec<Part> {
    let part = |copy: &KeyCopy| {
        let role = match copy.reader {
            Reader::Slurmctld => Role::Ctld,
            Reader::Slurmdbd => Role::Dbd,
        };
        let who = Who { role, host: copy.host.clone(), node: None };
        Part { who, files: vec![Lies { path: copy.path.clone(), digest: wanted.to_owned() }] }
    };
    copies.iter().map(part).collect()
}
