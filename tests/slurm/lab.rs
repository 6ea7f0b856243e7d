//! The root in which Slurm runs, as the cases see it from beside: its files, its users, its commands.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::syslog;

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// All addresses are on the loopback, and each host has one of its own.
const HOSTS: &str = "\
127.0.0.1 localhost
127.0.0.11 ctl1
127.0.0.12 ctl2
127.0.0.21 n1
127.0.0.22 n2
127.0.0.31 login1
127.0.0.41 dbd1
127.0.0.51 rest1
";

/// Whoever is not named in these files does not exist: no network could be asked.
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files\n";

const ALICE: u32 = 2001;

/// People, as slurmctld and slurmdbd look them up.
const PEOPLE: [(&str, u32); 2] = [("alice", ALICE), ("bob", 2002)];

/// Nobody, on every system.
const ORDINARY: u32 = 65534;

/// Where syslog's messages are kept.
pub(crate) const SYSLOG: &str = "/var/log/slurm/syslog";

/// Slurm's own code for slurm.conf.
pub(crate) const READER: &str = "/slurm-pki/reader";

/// What slurmctld preloads to take a request without a token for a renewal.
pub(crate) const MTLS: &str = "/slurm-pki/mtls.so";

/// Who runs a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum User {
    /// As slurmd.
    Root,
    /// As slurmctld and sackd.
    Slurm,
    /// As anybody who types squeue.
    Ordinary,
    /// As a user with jobs.
    Alice,
}

/// The first process of a host. `wait` collects what daemons leave behind.
const HOST: &str = "set -e; echo \"$1\" > /proc/sys/kernel/hostname; mount -t proc proc \"$2/proc\"; \
    mount -t tmpfs -o mode=755 tmpfs \"$2/run\"; mkdir \"$2/run/slurm\" \"$2/run/lock\"; \
    if [ -d \"$2/hosts/$1\" ]; then mount --bind \"$2/hosts/$1\" \"$2/etc/slurm\"; fi; \
    : > \"$2/run/ready\"; exec chroot \"$2\" sh -c 'sleep infinity & wait'";

/// The root and everything in it.
#[derive(Debug)]
pub(crate) struct Lab {
    root: PathBuf,
    prefix: PathBuf,
    plugins: PathBuf,
    slurm_user: (u32, u32),
    /// What must not stand in any log.
    secrets: Mutex<Vec<String>>,
}

impl Lab {
    /// Makes what every cluster needs: names, Slurm's user, its key, folders.
    pub(crate) fn of(root: PathBuf, prefix: PathBuf, plugins: PathBuf, probe: &Path) -> Result<Self> {
        let slurm_user = slurm_user(&root.join("etc"))?;
        let lab = Self { root, prefix, plugins, slurm_user, secrets: Mutex::default() };
        fs::write(lab.path("/etc/hosts"), HOSTS)?;
        people(&lab.path("/etc"))?;
        fs::write(lab.path("/etc/nsswitch.conf"), NSSWITCH)?;
        // What this machine may have there is not ours.
        let _ = fs::remove_dir_all(lab.path("/etc/slurm"));
        for folder in ["/etc/slurm", "/etc/stray", "/slurm-pki/stray"] {
            fs::create_dir_all(lab.path(folder))?;
        }
        for folder in ["/var/lib/slurm-state", "/run/sackd"] {
            lab.folder(folder, User::Slurm)?;
        }
        fs::write(lab.path("/etc/slurm/cgroup.conf"), "CgroupPlugin=disabled\n")?;
        let key = site::random::bytes::<64>().map_err(anyhow::Error::msg)?;
        lab.secret_file("/etc/slurm/slurm.key", &key, User::Slurm)?;
        syslog::collect(&lab.path("/dev/log"), &lab.path(SYSLOG))?;
        for (built, inner) in [
            (probe.to_owned(), "/slurm-pki/probe"),
            (probe.with_file_name("reader"), READER),
            (probe.with_file_name("mtls.so"), MTLS),
        ] {
            fs::copy(built, lab.path(inner))?;
            fs::set_permissions(lab.path(inner), fs::Permissions::from_mode(0o755))?;
        }
        Ok(lab)
    }

    /// A path in the root, seen from here.
    pub(crate) fn path(&self, inner: &str) -> PathBuf {
        self.root.join(inner.trim_start_matches('/'))
    }

    /// A file's text.
    pub(crate) fn text(&self, inner: &str) -> Result<String> {
        fs::read_to_string(self.path(inner)).with_context(|| inner.to_owned())
    }

    /// An empty folder of this user's.
    pub(crate) fn folder(&self, inner: &str, user: User) -> Result<()> {
        let path = self.path(inner);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        let (uid, gid) = self.ids(user);
        Ok(chown(&path, Some(uid), Some(gid))?)
    }

    /// A file of mode 0600.
    pub(crate) fn secret_file(&self, inner: &str, bytes: &[u8], user: User) -> Result<()> {
        let path = self.path(inner);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let (uid, gid) = self.ids(user);
        Ok(chown(&path, Some(uid), Some(gid))?)
    }

    /// A program that everybody may run.
    pub(crate) fn script(&self, inner: &str, text: &str) -> Result<()> {
        let path = self.path(inner);
        fs::write(&path, text)?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
    }

    /// uid and gid.
    pub(crate) fn ids(&self, user: User) -> (u32, u32) {
        match user {
            User::Root => (0, 0),
            User::Slurm => self.slurm_user,
            User::Ordinary => (ORDINARY, ORDINARY),
            User::Alice => (ALICE, ALICE),
        }
    }

    /// A command in the root, with nothing of our environment but the way to libraries.
    pub(crate) fn command(&self, program: &str, user: User) -> Command {
        let (uid, gid) = self.ids(user);
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={uid}:{gid}")).arg(&self.root).arg(program);
        command.env_clear().env("PATH", PATH).env("SLURM_CONF", "/etc/slurm/slurm.conf").current_dir("/");
        if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// One of Slurm's commands.
    pub(crate) fn slurm(&self, program: &str, user: User) -> Command {
        self.command(&self.prefix.join("bin").join(program).to_string_lossy(), user)
    }

    /// The command line of one of Slurm's daemons on a host of its own: host name, and /run, are not those of others.
    /// The program takes this process over at the end, so that its pid is the daemon's.
    pub(crate) fn daemon(&self, host: &str, program: &str, user: User) -> Command {
        const ENTER: &str = "echo \"$1\" > /proc/sys/kernel/hostname && mount -t tmpfs -o mode=755 tmpfs \"$2/run\" && \
             mkdir \"$2/run/slurm\" && chown \"$3\" \"$2/run/slurm\" && shift 3 && exec \"$@\"";
        let inner = self.command(&self.prefix.join("sbin").join(program).to_string_lossy(), user);
        // A daemon takes its folder in /run only when it owns it.
        let (uid, gid) = self.ids(user);
        let mut command = Command::new("unshare");
        command.args(["--uts", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", host]);
        command.arg(&self.root).arg(format!("{uid}:{gid}")).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().current_dir("/");
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// A host of the lab: a name, mounts, and with `own_pids` processes of its own, held by a process that only waits.
    /// Where there is `/hosts/NAME`, that is its /etc/slurm.
    pub(crate) fn host(&self, host: &str, own_pids: bool) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--uts", "--mount", "--propagation", "private"]);
        if own_pids {
            command.args(["--pid", "--fork", "--kill-child"]);
        }
        command.args(["sh", "-c", HOST, "sh", host]).arg(&self.root).env_clear().env("PATH", PATH);
        command.current_dir("/");
        command
    }

    /// Whether this machine or root has a program.
    pub(crate) fn has_program(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Whether this Slurm has a plugin.
    pub(crate) fn has_plugin(&self, file: &str) -> bool {
        self.path(&self.plugins.join(file).to_string_lossy()).is_file()
    }

    /// The files of Slurm's daemons (Debian's names are links to them that lead somewhere in the root alone), of its library
    /// and of its plugins.
    pub(crate) fn daemons_and_plugins(&self) -> Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for (folder, beginnings) in
            [(self.prefix.join("sbin"), &["slurm", "sackd"][..]), (self.plugins.clone(), &[""])]
        {
            let folder = self.path(&folder.to_string_lossy());
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_slurms = beginnings.iter().any(|beginning| name.starts_with(beginning));
                all.extend((is_slurms && entry.file_type()?.is_file()).then(|| entry.path()));
            }
        }
        Ok(all)
    }

    /// Notes what must not be logged.
    pub(crate) fn keep_secret(&self, text: impl Into<String>) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// All of it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ledger's lines about a node, of all controllers.
    pub(crate) fn ledger(&self, node: &str) -> Result<Vec<Value>> {
        let mut lines = Vec::new();
        for host in ["ctl1", "ctl2"] {
            for line in self.ledger_of(host)? {
                if line.get("node").and_then(Value::as_str) == Some(node) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }

    /// Everything that one controller issued.
    pub(crate) fn ledger_of(&self, host: &str) -> Result<Vec<Value>> {
        let path = self.path(&format!("/var/lib/slurm-pki/ledger/issued.{host}.jsonl"));
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn people(etc: &Path) -> Result<()> {
    for (file, more) in [("passwd", ":/tmp:/bin/sh"), ("group", "")] {
        let mut text = fs::read_to_string(etc.join(file))?;
        for (name, id) in PEOPLE {
            let ids = if file == "passwd" { format!("{id}:{id}:") } else { format!("{id}:") };
            text.push_str(&format!("{name}:x:{ids}{more}\n"));
        }
        fs::write(etc.join(file), text)?;
    }
    Ok(())
}

/// Slurm's user by the root's own files; made there when a system has none.
fn slurm_user(etc: &Path) -> Result<(u32, u32)> {
    let passwd = fs::read_to_string(etc.join("passwd"))?;
    let line = passwd.lines().find(|line| line.starts_with("slurm:"));
    if let Some(line) = line {
        let fields: Vec<_> = line.split(':').collect();
        let id = |n: usize| fields.get(n).and_then(|id| id.parse().ok()).context("a strange line in passwd");
        return Ok((id(2)?, id(3)?));
    }
    let group = fs::read_to_string(etc.join("group"))?;
    fs::write(etc.join("passwd"), format!("{passwd}slurm:x:64030:64030::/nonexistent:/bin/false\n"))?;
    fs::write(etc.join("group"), format!("{group}slurm:x:64030:\n"))?;
    Ok((64030, 64030))
}
