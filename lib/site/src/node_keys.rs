//! A node's private keys: born here, read by nobody but `get_cert_key`.
//!
//! With `renew_key` every request has a fresh key, kept as `<key_dir>/<name>.<parent pid>.key`: the
//! parent is the daemon, the same for generate_csr and get_cert_key (slurm-contract.md 3.5). Two daemons on
//! one host, or a hand-run generate_csr in between, so never change the answer; a key that does not
//! match the certificate would crash the daemon.
//!
//! With a wrapper script in between, the parent is gone by then. So the file's first line says who called
//! the wrapper: while that process lives, the key is answered to nobody else and swept by nobody else.

use std::fs;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

use pki::key::{MAX_KEY_PEM, PrivateKey};
use pki::name::NodeName;
use pki::secret::Secret;

use crate::callers::Callers;
use crate::config::NodeConfig;
use crate::error::Error;
use crate::file::{self, Keep, NewFile};
use crate::process::is_gone;

const KEY_MODE: u32 = 0o600;

/// Begins the first line of a fresh key's file; readers of PEM skip it.
const CALLED_BY: &str = "called by ";

/// The key for a new request of `name`, already where [`answer`] finds it.
///
/// # Errors
/// When the key cannot be made, kept or used.
pub fn for_request(name: &NodeName, config: &NodeConfig) -> Result<PrivateKey, Error> {
    if config.renew_key { fresh(name, config) } else { lasting(name, config) }
}

/// The key of the calling daemon's latest request.
///
/// # Errors
/// When there is none that is surely its own.
pub fn answer(name: &NodeName, config: &NodeConfig) -> Result<Secret, Error> {
    let path = if config.renew_key {
        find_fresh(name, &key_dir(config)?, parent_id(), Callers::here)?
    } else {
        config.key_file.path(name)
    };
    Ok(read(&path)?.to_pem())
}

fn fresh(name: &NodeName, config: &NodeConfig) -> Result<PrivateKey, Error> {
    let folder = key_dir(config)?;
    file::make_folder(&folder, 0o700, None)?;
    let callers = Callers::here();
    sweep(name, &folder, callers)?;
    let key = make(config)?;
    let path = folder.join(file_name(name, callers.parent));
    NewFile::new(&path, KEY_MODE).replace(key_file(&key, callers.above).expose())?;
    Ok(key)
}

/// The key behind a line that says who called its parent. In one buffer that is never reallocated: no
/// unwiped copy stays behind.
fn key_file(key: &PrivateKey, above: Option<u32>) -> Secret {
    let line = above.map(|pid| format!("{CALLED_BY}{pid}\n")).unwrap_or_default();
    let pem = key.to_pem();
    let mut text = Vec::with_capacity(line.len() + pem.expose().len());
    text.extend_from_slice(line.as_bytes());
    text.extend_from_slice(pem.expose());
    Secret::new(text)
}

/// Who called the parent that a key file is named after; `None` where it does not say.
fn called_by(path: &Path) -> Option<u32> {
    let text = file::read(path, Keep::Secret, MAX_KEY_PEM).ok()?;
    let line = text.expose().split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line.strip_prefix(CALLED_BY.as_bytes())?).ok()?.parse().ok()
}

/// Whether the key of a parent that is gone still waits for a daemon other than ours.
fn waits_for_another(path: &Path, callers: Callers) -> bool {
    called_by(path).is_some_and(|pid| !callers.has(pid) && !is_gone(pid))
}

/// The one key of `renew_key = false`: made once, whole at its first appearance, then used as it lies
/// there. Of two that start at once both use the one that was first.
fn lasting(name: &NodeName, config: &NodeConfig) -> Result<PrivateKey, Error> {
    let path = config.key_file.path(name);
    // Half-written keys, their writers gone: nobody else ever would. One that cannot be removed is private to its owner,
    // and keeps nobody from a key.
    let _ = file::remove_leftovers(&path);
    if !path.exists() {
        let key = make(config)?;
        if NewFile::new(&path, KEY_MODE).create(key.to_pem().expose())? {
            return Ok(key);
        }
    }
    read(&path)
}

fn make(config: &NodeConfig) -> Result<PrivateKey, Error> {
    PrivateKey::generate(config.key_type).map_err(|e| Error::Missing {
        what: format!("cannot make a key: {e}"),
        hint: pki::explain::Explain::hint(&e),
    })
}

fn read(path: &Path) -> Result<PrivateKey, Error> {
    let pem = file::read(path, Keep::Secret, MAX_KEY_PEM)?;
    PrivateKey::from_pem(pem.expose()).map_err(Error::contents(path))
}

/// `key_dir`, or by the user: root has one in /run, others the folder that systemd gave them.
fn key_dir(config: &NodeConfig) -> Result<PathBuf, Error> {
    if let Some(folder) = &config.key_dir {
        return Ok(folder.clone());
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/run/slurm-pki/node".into());
    }
    let runtime = std::env::var("RUNTIME_DIRECTORY").unwrap_or_default();
    match runtime.split(':').next() {
        Some(first) if first.starts_with('/') => Ok(Path::new(first).join("pki")),
        _ => Err(Error::Missing {
            what: "no folder for node keys: key_dir is not set, and neither is RUNTIME_DIRECTORY".into(),
            hint: "set key_dir in [node], or RuntimeDirectory= in the daemon's systemd unit".into(),
        }),
    }
}

fn file_name(name: &NodeName, pid: u32) -> String {
    format!("{name}.{pid}.key")
}

/// The file of our own parent; else, with a wrapper script in between, the only one whose process is
/// gone and that our daemon asked for, or else that no living one did. Never one of a living process,
/// never a guess between two.
fn find_fresh(
    name: &NodeName,
    folder: &Path,
    parent: u32,
    callers: impl FnOnce() -> Callers,
) -> Result<PathBuf, Error> {
    let own = folder.join(file_name(name, parent));
    if own.exists() {
        return Ok(own);
    }
    let callers = callers();
    let orphans = pids_with_a_key(name, folder)?.into_iter().filter(|pid| is_gone(*pid));
    let mut orphans: Vec<_> = orphans.map(|pid| folder.join(file_name(name, pid))).collect();
    orphans.retain(|path| !waits_for_another(path, callers));
    if orphans.iter().any(|path| called_by(path).is_some_and(|pid| callers.has(pid))) {
        orphans.retain(|path| called_by(path).is_some_and(|pid| callers.has(pid)));
    }
    match orphans.as_slice() {
        [path] => Ok(path.clone()),
        [] => Err(Error::Missing {
            what: format!("no key of this daemon for node {name} in {}", crate::error::shown_path(folder)),
            hint: "generate_csr must run first, from the same daemon; both must read the same config".into(),
        }),
        many => Err(Error::Missing {
            what: format!(
                "{} keys of ended processes for node {name}: none is surely the right one",
                many.len()
            ),
            hint: "the next request clears them away; call generate_csr and get_cert_key without a wrapper"
                .into(),
        }),
    }
}

fn pids_with_a_key(name: &NodeName, folder: &Path) -> Result<Vec<u32>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::read(folder)(e)),
    };
    let mut pids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::read(folder))?;
        let file = entry.file_name();
        let pid = file.to_str().and_then(|file| {
            let (owner, pid) = file.strip_suffix(".key")?.rsplit_once('.')?;
            if owner == name.as_str() { pid.parse::<u32>().ok() } else { None }
        });
        pids.extend(pid);
    }
    Ok(pids)
}

/// Removes the keys (and half-written files) of this name whose processes are gone, but for those that
/// another daemon waits for.
fn sweep(name: &NodeName, folder: &Path, callers: Callers) -> Result<(), Error> {
    let target = format!("{name}.");
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        let file = entry.file_name();
        let Some(file) = file.to_str() else { continue };
        let leftover = file.starts_with(&format!(".{target}")) && is_leftover(file, name);
        let orphan = file
            .strip_suffix(".key")
            .and_then(|file| file.rsplit_once('.'))
            .is_some_and(|(owner, pid)| owner == name.as_str() && pid.parse().is_ok_and(is_gone));
        if leftover || (orphan && !waits_for_another(&entry.path(), callers)) {
            // Another generate_csr of the same name may be sweeping too.
            let _ = file::remove(&entry.path());
        }
    }
    Ok(())
}

/// `.NAME.PARENT.key.WRITER.RANDOM.tmp`, its writer gone.
fn is_leftover(file: &str, name: &NodeName) -> bool {
    let parent = || file.strip_prefix('.')?.strip_prefix(name.as_str())?.strip_prefix('.')?.split('.').next();
    parent().is_some_and(|parent| file::is_leftover_of(file, &format!("{name}.{parent}.key")))
}

#[cfg(test)]
mod tests {
    use pki::key::KeyKind;

    use super::*;

    /// A pid that no process has: above the kernel's largest.
    const GONE: u32 = 0x7fff_fff0;

    const CALLERS: Callers = Callers { parent: 77, above: Some(76) };

    fn name(text: &str) -> NodeName {
        NodeName::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_own_parents_key_comes_first_whatever_else_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        let put = |pid: u32| fs::write(folder.path().join(file_name(&name("n1"), pid)), "k").unwrap();
        put(77);
        put(GONE);
        put(1);
        let found = find_fresh(&name("n1"), folder.path(), CALLERS.parent, || CALLERS).unwrap();
        assert_eq!(found, folder.path().join("n1.77.key"));
    }

    #[test]
    fn without_one_the_only_orphan_answers_and_two_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str| fs::write(folder.path().join(file), "k").unwrap();
        put(&format!("n1.{GONE}.key"));
        put("n1.1.key");
        put(&format!("n1.x.{GONE}.key"));
        let found = find_fresh(&name("n1"), folder.path(), CALLERS.parent, || CALLERS).unwrap();
        assert_eq!(found, folder.path().join(format!("n1.{GONE}.key")));
        put(&format!("n1.{}.key", GONE - 1));
        assert!(find_fresh(&name("n1"), folder.path(), CALLERS.parent, || CALLERS).is_err());
        assert!(find_fresh(&name("n2"), folder.path(), CALLERS.parent, || CALLERS).is_err());
    }

    #[test]
    fn a_hand_run_in_between_changes_nothing_for_a_daemon_behind_a_wrapper() {
        let folder = tempfile::tempdir().unwrap();
        let put = |pid: u32, by: u32| {
            let path = folder.path().join(file_name(&name("n1"), pid));
            let key = key_file(&PrivateKey::generate(KeyKind::P256).unwrap(), Some(by));
            NewFile::new(&path, KEY_MODE).replace(key.expose()).unwrap();
            path
        };
        // This process stands for the daemon: it lives.
        let daemon = std::process::id();
        let (waiting, by_hand) = (put(GONE, daemon), put(GONE - 1, GONE - 2));
        let behind_a_wrapper = Callers { parent: GONE - 3, above: Some(daemon) };
        assert_eq!(
            find_fresh(&name("n1"), folder.path(), behind_a_wrapper.parent, || behind_a_wrapper).unwrap(),
            waiting
        );
        assert!(read(&waiting).is_ok());
        assert_eq!(find_fresh(&name("n1"), folder.path(), CALLERS.parent, || CALLERS).unwrap(), by_hand);
        sweep(&name("n1"), folder.path(), CALLERS).unwrap();
        assert!(waiting.exists() && !by_hand.exists());
        sweep(&name("n1"), folder.path(), behind_a_wrapper).unwrap();
        assert!(!waiting.exists());
    }

    #[test]
    fn a_sweep_takes_orphans_and_leftovers_of_this_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str| fs::write(folder.path().join(file), "k").unwrap();
        let kept = [format!("n1.{}.key", std::process::id()), format!("n10.{GONE}.key"), "n1.1.key".into()];
        let swept = [format!("n1.{GONE}.key"), format!(".n1.{GONE}.key.{GONE}.00000000.tmp")];
        kept.iter().chain(&swept).for_each(|file| put(file));
        sweep(&name("n1"), folder.path(), CALLERS).unwrap();
        assert!(kept.iter().all(|file| folder.path().join(file).exists()));
        assert!(!swept.iter().any(|file| folder.path().join(file).exists()));
    }

    #[test]
    fn half_written_lasting_keys_of_ended_programs_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str| fs::write(folder.path().join(file), "k").unwrap();
        let kept = [
            "n1.pem".to_owned(),
            format!(".n1.pem.{}.00000000.tmp", std::process::id()),
            format!(".n11.pem.{GONE}.00000000.tmp"),
            format!("n1.pem.{GONE}.00000000.tmp"),
        ];
        let swept = format!(".n1.pem.{GONE}.00000000.tmp");
        kept.iter().chain([&swept]).for_each(|file| put(file));
        file::remove_leftovers(&folder.path().join("n1.pem")).unwrap();
        assert!(kept.iter().all(|file| folder.path().join(file).exists()));
        assert!(!folder.path().join(swept).exists());
    }
}
