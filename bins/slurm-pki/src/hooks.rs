//! `[hooks]`: programs of the site's that are run after something has changed, one after another in the order of their
//! names.
//!
//! They run as whoever runs the command, which is root as a rule. So the folder and what is in it are judged as sshd judges
//! authorized_keys: nobody but root and the caller may be able to change any of it. What a hook prints is nobody's business,
//! unless it fails; even then it is shown only when nothing in it looks like a secret.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pki::time::UnixTime;
use site::Error;
use site::config::HooksConfig;

use crate::admin::{Admin, caller, refuse_links_of_others};
use crate::advice::{Advice, Advise as _};
use crate::cert::target::Target;
use crate::global::Global;
use crate::report;
use crate::timed;

/// What the hooks are told, beside what the event is about.
const EVENT: &str = "SLURM_PKI_EVENT";

/// A hook needs no more to find its tools; the caller's own PATH is not root's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As much of a hook's output as is looked at.
const ROOM: usize = 64 * 1024;

/// As much of it as a person wants to read, and how many of its last lines.
const MAX_SHOWN: usize = 400;
const LAST_LINES: usize = 3;

/// From so many letters and digits on in a row, a word may be a key or a token: half a token of ours is longer.
const OPAQUE: usize = 20;

/// Most links from a name in the folder to the program.
const MAX_LINKS: usize = 8;

/// Most entries of the folder that are looked at.
const MAX_ENTRIES: usize = 1000;

/// The hooks of a site.
#[derive(Debug)]
pub(crate) struct Hooks {
    timeout: Duration,
    /// Each by its name in the folder: where it really is, or why it is not run.
    found: Vec<(String, Result<PathBuf, String>)>,
}

/// Tells the site's hooks of an event, as in `renewed`; `about` are variables with their values. Each hook that does not do
/// its work is a warning; those after it are run all the same.
///
/// # Errors
/// When any hook was refused, failed, or took too long; or when the folder cannot be used.
pub(crate) fn run(global: &Global, admin: &Admin, event: &str, about: &[(&str, &str)]) -> anyhow::Result<()> {
    if global.dry_run {
        return Ok(());
    }
    Hooks::of(admin)?.run(event, about)
}

/// Tells the hooks what became of a daemon's certificate: `renewed`, `activated` or `failed`.
///
/// # Errors
/// As [`run`].
pub(crate) fn tell(
    global: &Global,
    admin: &Admin,
    event: &str,
    target: &Target,
    not_after: Option<UnixTime>,
) -> anyhow::Result<()> {
    let (host, cert) = (target.place.host(), target.config.cert.display().to_string());
    let end = not_after.map(|end| end.to_string()).unwrap_or_default();
    let about = [
        ("SLURM_PKI_DAEMON", target.daemon.short()),
        ("SLURM_PKI_HOST", &host),
        ("SLURM_PKI_CERT", &cert),
        ("SLURM_PKI_NOT_AFTER", &end),
    ];
    run(global, admin, event, &about)
}

impl Hooks {
    /// Looks what is in the folder; no folder is no hooks.
    ///
    /// # Errors
    /// When `[hooks]` has no meaning, or others could change the folder.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let HooksConfig { dir, timeout } = HooksConfig::read(&admin.config).advise()?;
        if dir.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            return Ok(Self { timeout, found: Vec::new() });
        }
        refuse_links_of_others(&dir)?;
        let whole = dir.canonicalize().map_err(Error::read(&dir)).advise()?;
        trusted(&whole).map_err(|why| {
            Advice::new(
                format!("no hook of {} is run: {why}", dir.display()),
                "let it and all folders above it belong to root, with mode 0755: chown root, chmod go-w",
            )
        })?;
        let mut found = Vec::new();
        for name in names(&whole)? {
            found.extend(judged(&whole.join(&name)).map(|hook| (name, hook)));
        }
        Ok(Self { timeout, found })
    }

    /// Each hook that would be run, and each that would be refused with the reason.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Result<PathBuf, String>)> {
        self.found.iter().map(|(name, hook)| (name.as_str(), hook))
    }

    fn run(&self, event: &str, about: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut failed = Vec::new();
        for (name, hook) in &self.found {
            let done = hook.clone().and_then(|path| self.run_one(&path, event, about));
            if let Err(why) = done {
                report::warning(&format!("hook {name} ({event}): {why}"));
                failed.push(name.as_str());
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(Advice::new(
            format!("of {} hooks these did not do their work: {}", self.found.len(), failed.join(", ")),
            format!("what was {event} stays so; mend the hooks and run by hand what they should have done"),
        )
        .into())
    }

    fn run_one(&self, path: &Path, event: &str, about: &[(&str, &str)]) -> Result<(), String> {
        let mut command = Command::new(path);
        command.current_dir("/").env_clear().env("PATH", PATH).env("LC_ALL", "C").env(EVENT, event);
        command.envs(about.iter().copied());
        let ended =
            timed::run(&mut command, self.timeout, ROOM).map_err(|e| format!("cannot be run: {e}"))?;
        if ended.succeeded() {
            return Ok(());
        }
        Err(format!("{}{}", ended.how(self.timeout), shown(ended.output.expose())))
    }
}

/// The names that count, in their order: those of run-parts(8), so that neither an editor's copies nor a package manager's
/// are run.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder)).advise()?.take(MAX_ENTRIES) {
        let name = entry.map_err(Error::read(folder)).advise()?.file_name();
        let counts =
            |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        names.extend(name.to_str().filter(counts).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Where a hook really is, or why it is refused; `None` for what is no program.
fn judged(path: &Path) -> Option<Result<PathBuf, String>> {
    let judge = || {
        let whole = followed(path)?;
        let metadata = whole.metadata().map_err(|e| e.to_string())?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Ok(None);
        }
        trusted(&whole).map(|()| Some(whole))
    };
    judge().transpose()
}

/// Where a path leads, through no link of another user's, who could make it lead anywhere.
fn followed(path: &Path) -> Result<PathBuf, String> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        let foreign =
            |place: &&Path| place.symlink_metadata().is_ok_and(|is| is.is_symlink() && !is_trusted(is.uid()));
        if let Some(link) = place.ancestors().find(foreign) {
            return Err(format!("{} is a link of another user's", link.display()));
        }
        match fs::read_link(&place) {
            Ok(to) => place = place.with_file_name("").join(to),
            Err(_) => return place.canonicalize().map_err(|e| format!("{}: {e}", place.display())),
        }
    }
    Err(format!("there are more than {MAX_LINKS} links on the way"))
}

/// Whether nobody but root and the caller could exchange what is at `path`, which has no links in it.
fn trusted(path: &Path) -> Result<(), String> {
    for place in path.ancestors() {
        let metadata = place.metadata().map_err(|e| format!("{}: {e}", place.display()))?;
        if !is_trusted(metadata.uid()) {
            return Err(format!("{} belongs to uid {}, not to root", place.display(), metadata.uid()));
        }
        let mode = metadata.mode() & 0o7777;
        // In /tmp and its like nobody can move what is another's.
        let sticky = metadata.is_dir() && mode & 0o1000 != 0 && place != path;
        if mode & 0o022 != 0 && !sticky {
            return Err(format!("others can change {} (mode {mode:04o})", place.display()));
        }
    }
    Ok(())
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == caller().uid
}

/// The last lines of what a hook said, if all of it can be shown.
fn shown(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    if output.is_empty() {
        return String::new();
    }
    if may_hold_a_secret(&text) {
        return "; what it printed is not shown: there may be a key or a token in it".into();
    }
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("; ");
    format!(": {}", last.chars().take(MAX_SHOWN).collect::<String>())
}

/// PEM of any kind, a word that goes before a secret, or letters and digits in a row that no language has. Rather once too
/// often: what a hook has to say can be seen by running it.
fn may_hold_a_secret(text: &str) -> bool {
    const WORDS: [&str; 7] = ["-----", "private key", "password", "passwd", "secret", "token", "bearer"];
    let lower = text.to_ascii_lowercase();
    let opaque = |word: &str| {
        // A path or a name is words with signs in between; base64 is not.
        let kinds: [fn(&u8) -> bool; 3] =
            [u8::is_ascii_digit, u8::is_ascii_uppercase, u8::is_ascii_lowercase];
        let mixed = kinds.iter().filter(|kind| word.bytes().any(|b| kind(&b))).count() > 1;
        word.len() >= OPAQUE && mixed
    };
    WORDS.iter().any(|word| lower.contains(word))
        || text
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-')))
            .any(opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for secret in [
            "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n",
            "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJ13",
            "x=q5v0AAEkKD7mJx3Yb1Wd",
            "slurm-pki-node-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "the password is x",
            "Token: 12",
            "deadbeefdeadbeefdeadbeefdeadbeef0",
        ] {
            let said = shown(format!("line one\n{secret}\nafter\n").as_bytes());
            assert!(said.contains("is not shown"), "{said}");
            assert!(!said.contains("line one") && !said.contains("after"), "{said}");
        }
    }

    #[test]
    fn plain_words_are_shown_in_their_last_lines_alone() {
        let said = shown(b"1\n2\n\ncannot reload haproxy: no such unit\n4\n");
        assert_eq!(said, ": 2; cannot reload haproxy: no such unit; 4");
        assert_eq!(shown("long ".repeat(1000).as_bytes()).len(), 2 + MAX_SHOWN);
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn only_names_of_run_parts_count_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["20-b", "10_a", "x.bak", "y~", ".z", "10_a.dpkg-new"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(names(folder.path()).unwrap(), ["10_a", "20-b"]);
    }

    #[test]
    fn what_others_could_change_is_no_hook() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let judge = |mode: u32| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            judged(&path)
        };
        assert!(judge(0o644).is_none());
        assert!(judge(0o755).unwrap().is_ok());
        assert!(judge(0o775).unwrap().unwrap_err().contains("others can change"));
        assert!(judge(0o757).unwrap().unwrap_err().contains("others can change"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(judge(0o755).unwrap().unwrap_err().contains("others can change"));
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (other, link) = (folder.path().join("other"), folder.path().join("h"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join("x"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(other.join("x"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(other.join("x"), &link).unwrap();
        assert!(judged(&link).unwrap().is_ok());
        fs::set_permissions(&other, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(judged(&link).unwrap().is_err());
    }
}
