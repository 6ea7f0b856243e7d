//! systemd's units of Slurm's daemons: whether a daemon that dies comes back, and what is in its environment.
//!
//! The files are read as systemd reads them (systemd.unit(5)): the first folder that has the unit, then the drop-ins of
//! all folders by their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use site::config::{DEFAULT_PATH, VARIABLE};

use super::super::finding::Findings;
use super::super::scene::{HostRoot, Scene};
use super::super::tls_files::is_fetched;
use crate::admin::{owner_name, owner_named};

/// In systemd's order.
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Daemons that speak TLS and run for good.
const DAEMONS: [&str; 4] = ["slurmctld", "slurmdbd", "slurmd", "sackd"];

/// They change how a daemon proves who it is (docs/slurm-contract.md 5.1).
const FORBIDDEN: [&str; 3] = ["SLURM_JWT", "SLURM_SACK_KEY", "SLURM_SACK_JWKS"];

/// Longest file that is read.
const MAX_UNIT: usize = 256 * 1024;

/// What a unit says, as far as it matters here.
#[derive(Debug, Default)]
struct Unit {
    restart: Option<String>,
    user: Option<String>,
    start: String,
    environment: BTreeMap<String, String>,
    /// A file of it that this user may not read, and why.
    unread: Option<String>,
}

/// Looks at every unit that starts with this host.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let enabled: Vec<&str> = DAEMONS.into_iter().filter(|name| is_enabled(&scene.host, name)).collect();
    if enabled.is_empty() {
        return found
            .not_looked_at("units: no slurmctld, slurmdbd, slurmd or sackd is enabled in systemd here");
    }
    for name in enabled {
        let unit = read(&scene.host, name);
        if let Some(why) = &unit.unread {
            found.unknown("unit", format!("{name}.service: {why}"), "run this as root");
            continue;
        }
        restarts(name, &unit, found);
        environment(scene, name, &unit, found);
        if name == "sackd" {
            user(scene, &unit, found);
        }
        if name == "slurmd" || name == "sackd" {
            first_fetch(scene, name, &unit, found);
        }
    }
}

/// Whether a unit starts with the host: a link in some target's folder, and not masked (a link to /dev/null).
pub(in super::super) fn is_enabled(host: &HostRoot, name: &str) -> bool {
    let unit = format!("{name}.service");
    let counts = FOLDERS.iter().map(|folder| host.at(folder).join(&unit));
    let counts = counts.into_iter().find(|path| path.symlink_metadata().is_ok());
    if counts.is_some_and(|path| fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))) {
        return false;
    }
    let wants = |folder: &str| {
        let entries = fs::read_dir(host.at(folder)).into_iter().flatten().flatten();
        let wants = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "wants" || ending == "requires"));
        wants.into_iter().any(|wants| wants.join(&unit).symlink_metadata().is_ok())
    };
    FOLDERS.iter().any(|folder| wants(folder))
}

fn restarts(name: &str, unit: &Unit, found: &mut Findings) {
    match unit.restart.as_deref() {
        Some("always" | "on-failure") => found.ok("unit-restart", format!("{name} is started again when it dies")),
        how => found.warning(
            "unit-restart",
            format!(
                "{name}.service has Restart={}: a {name} that is refused a certificate, or crashes, stays down",
                how.unwrap_or("no")
            ),
            format!(
                "systemctl edit {name}, with: [Unit] StartLimitIntervalSec=0, [Service] Restart=on-failure RestartSec=30"
            ),
        ),
    }
}

fn environment(scene: &Scene, name: &str, unit: &Unit, found: &mut Findings) {
    let set: Vec<&str> = FORBIDDEN.into_iter().filter(|key| unit.environment.contains_key(*key)).collect();
    if set.is_empty() {
        found.ok("unit-environment", format!("{name} has no SLURM_JWT or SLURM_SACK_* in its environment"));
    } else {
        found.critical(
            "unit-environment",
            format!(
                "{name}.service has {} in its environment: it changes how {name} proves who it is",
                set.join(", ")
            ),
            format!(
                "take it out of the unit and its EnvironmentFile (systemctl cat {name}), then restart {name}"
            ),
        );
    }
    let config = scene.admin.config.path();
    if name == "slurmdbd" || config == Path::new(DEFAULT_PATH) {
        return;
    }
    let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let named = unit.environment.get(VARIABLE).map(PathBuf::from);
    if named.as_ref() == Some(&config) {
        return found.ok("unit-config", format!("{name} finds {}", config.display()));
    }
    found.warning(
        "unit-config",
        format!("{name}'s programs do not find {}: its unit does not name it", config.display()),
        format!("systemctl edit {name}, with: [Service] Environment={VARIABLE}={}", config.display()),
    );
}

/// slurmctld answers only SlurmUser and root.
fn user(scene: &Scene, unit: &Unit, found: &mut Findings) {
    let Some(slurm) = scene.slurm_user else { return };
    let name = unit.user.as_deref().unwrap_or("root");
    let is = owner_named(name).map(|owner| owner.uid);
    if is.as_ref().is_ok_and(|uid| *uid == 0 || *uid == slurm.uid) {
        return found.ok("unit-user", format!("sackd runs as {name}"));
    }
    found.critical(
        "unit-user",
        format!(
            "sackd runs as {name}, and slurmctld gives certificates to {} and root alone",
            owner_name(slurm)
        ),
        format!("systemctl edit sackd, with: [Service] User={}", owner_name(slurm)),
    );
}

/// A configless daemon fetches slurm.conf over TLS, and has to know the CA before (docs/slurm-contract.md 3.1).
fn first_fetch(scene: &Scene, name: &str, unit: &Unit, found: &mut Findings) {
    let is_configless =
        scene.slurm_conf().is_some_and(|conf| is_fetched(conf.path())) || unit.says("--conf-server");
    if !scene.tls_is_on() || !is_configless {
        return;
    }
    if unit.says("--ca-cert-file") {
        return found.ok("unit-ca-cert", format!("{name} knows the CA before it has slurm.conf"));
    }
    let variable = format!("{}_OPTIONS", name.to_ascii_uppercase());
    found.critical(
        "unit-ca-cert",
        format!("{name} fetches slurm.conf over TLS and has no --ca-cert-file: it does not start"),
        format!(
            "slurm-pki conf show prints {variable} for /etc/default/{name} (EL: /etc/sysconfig/{name}); or \
             slurm-pki conf enable --node"
        ),
    );
}

fn read(host: &HostRoot, name: &str) -> Unit {
    let mut unit = Unit::default();
    let whole = FOLDERS.iter().map(|folder| host.at(folder).join(format!("{name}.service")));
    let mut files: Vec<PathBuf> = whole.filter(|path| path.is_file()).take(1).collect();
    // Of drop-ins with one name the first folder's counts.
    let mut drop_ins = BTreeMap::new();
    for folder in FOLDERS.iter().rev() {
        let entries =
            fs::read_dir(host.at(folder).join(format!("{name}.service.d"))).into_iter().flatten().flatten();
        let conf = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "conf"));
        drop_ins.extend(conf.map(|entry| (entry.file_name(), entry.path())));
    }
    files.extend(drop_ins.into_values());
    for path in &files {
        let text = unit.text(path);
        unit.take(host, &text);
    }
    unit
}

impl Unit {
    /// What is not there says nothing, nor what is masked by a link to /dev/null; what cannot be read is noted.
    fn text(&mut self, path: &Path) -> String {
        if fs::canonicalize(path).is_ok_and(|path| path == Path::new("/dev/null")) {
            return String::new();
        }
        match site::file::read_with_metadata(path, MAX_UNIT) {
            Ok((bytes, _)) => String::from_utf8_lossy(bytes.expose()).into_owned(),
            Err(e) => {
                if !e.is_not_found() {
                    self.unread = Some(e.to_string());
                }
                String::new()
            }
        }
    }

    /// One file's `[Service]` lines.
    fn take(&mut self, host: &HostRoot, text: &str) {
        let joined = text.replace("\\\n", " ");
        let mut section = String::new();
        for line in joined.lines().map(str::trim) {
            if line.starts_with('[') {
                line.clone_into(&mut section);
            } else if section == "[Service]"
                && let Some((key, value)) = line.split_once('=')
            {
                self.set(host, key.trim(), value.trim());
            }
        }
    }

    fn set(&mut self, host: &HostRoot, key: &str, value: &str) {
        match key {
            "Restart" => self.restart = Some(value.to_owned()).filter(|value| !value.is_empty()),
            "User" => self.user = Some(value.to_owned()).filter(|value| !value.is_empty()),
            "ExecStart" if value.is_empty() => self.start.clear(),
            "ExecStart" => value.clone_into(&mut self.start),
            "Environment" if value.is_empty() => self.environment.clear(),
            "Environment" => words(value).iter().for_each(|word| self.assign(word)),
            "EnvironmentFile" => {
                let path = host.at(value.trim_start_matches('-'));
                for line in self.text(&path).lines().map(str::trim) {
                    if !line.starts_with(['#', ';']) {
                        self.assign(&line.replace(['"', '\''], ""));
                    }
                }
            }
            // What the manager has of its own and hands on: systemctl set-environment.
            "PassEnvironment" => words(value).into_iter().for_each(|word| {
                self.environment.entry(word).or_default();
            }),
            "UnsetEnvironment" => words(value).iter().for_each(|word| {
                self.environment.remove(word);
            }),
            _ => {}
        }
    }

    /// Whether an option stands in the command line, or in a variable of it.
    fn says(&self, option: &str) -> bool {
        self.start.contains(option) || self.environment.values().any(|value| value.contains(option))
    }

    fn assign(&mut self, word: &str) {
        if let Some((key, value)) = word.split_once('=') {
            self.environment.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
}

/// Words, in quotes where they hold blanks.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(end) if c == end => quote = None,
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_and_its_drop_ins_are_read_as_systemd_reads_them() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "lib/systemd/system/slurmd.service",
            "[Service]\nRestart=no\nEnvironment=\"A=1 2\" SLURM_JWT=daemon\nEnvironmentFile=-/etc/default/slurmd\n",
        );
        write("etc/default/slurmd", "# B=0\nB='2'\n");
        write("lib/systemd/system/slurmd.service.d/10.conf", "[Service]\nRestart=always\n");
        write(
            "etc/systemd/system/slurmd.service.d/20.conf",
            "[Unit]\nRestart=x\n[Service]\nRestart=on-failure\n",
        );
        let host = HostRoot::new(root.path());
        let unit = read(&host, "slurmd");
        assert_eq!(unit.restart.as_deref(), Some("on-failure"));
        assert_eq!(unit.environment.get("A").map(String::as_str), Some("1 2"));
        assert_eq!(unit.environment.get("B").map(String::as_str), Some("2"));
        assert!(unit.environment.contains_key("SLURM_JWT"));
        assert!(!is_enabled(&host, "slurmd"));
        write("etc/systemd/system/multi-user.target.wants/slurmd.service", "");
        assert!(is_enabled(&host, "slurmd") && !is_enabled(&host, "sackd"));
        assert!(read(&HostRoot::new(Path::new("/nowhere")), "slurmd").restart.is_none());
        std::os::unix::fs::symlink("/dev/null", root.path().join("etc/systemd/system/slurmd.service"))
            .unwrap();
        assert!(!is_enabled(&host, "slurmd"), "a masked unit starts never");
    }
}
