//! A controller and some hosts, all on this machine.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use pki::token::NodeSecret;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::programs::program;
use support::site::Site;
use support::ssh::{Listens, Ssh};
use tempfile::TempDir;

/// Where the hosts are: n1 on the first.
const FIRST_ADDRESS: u8 = 11;

/// A controller with its site, and hosts that it reaches by ssh.
pub(crate) struct Hosts {
    pub(crate) site: Site,
    folder: TempDir,
    ssh: Ssh,
    running: Vec<Child>,
}

impl Hosts {
    /// As many hosts, n1 the first, each of them a node that is enrolled and has nothing yet.
    pub(crate) fn new(count: u8) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests need root: each host is an sshd in a mount namespace of its own"
        );
        let mut site = Site::new();
        site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
        // A busy machine is no fault.
        site.set("fleet", "timeout", "120s");
        site.write_config();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let ssh = Ssh::prepare(folder.path());
        let mut hosts = Self { site, folder, ssh, running: Vec::new() };
        hosts.slurm_conf("");
        hosts.prepare_path();
        for number in 1..=count {
            hosts.start(number);
        }
        hosts.ok(&["node", "add", &format!("n[1-{count}]")]);
        hosts
    }

    /// A file of the tests' own, outside of the site.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Where a host really has what it sees at a path of the site, or in /run.
    pub(crate) fn on(&self, host: &str, path: &Path) -> PathBuf {
        let below = |root: &Path, name: &str| {
            let rest = path.strip_prefix(root).ok()?;
            Some(self.path(&format!("{host}/{name}")).join(rest))
        };
        below(&self.site.path(""), "site").or_else(|| below(Path::new("/run"), "run")).unwrap()
    }

    /// slurm.conf of the controller, with further lines.
    pub(crate) fn slurm_conf(&self, more: &str) {
        fs::write(self.path("slurm.conf"), format!("ClusterName=c1\nSlurmctldHost=controller\n{more}"))
            .unwrap();
    }

    /// Sets a key of [fleet].
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.site.set("fleet", key, value);
        self.site.write_config();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("slurm-pki"));
        command.args(args).stdin(Stdio::null()).env_clear();
        command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display()));
        command.env("HOME", self.path("home"));
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command.env("SLURM_PKI_CONF", self.site.path("slurm-pki.toml"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a command.
    pub(crate) fn begin(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command that must succeed; what it says on stdout.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must exit 1; what it says on stdout and on stderr.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stdout}{stderr}");
        assert!(stderr.contains("slurm-pki: hint: "), "{stderr}");
        (stdout, stderr)
    }

    /// The secret that waits for a node on the controller.
    pub(crate) fn waiting(&self, node: &str) -> Option<NodeSecret> {
        let file = fs::read(self.site.path(&format!("state/outgoing/{node}_token.txt"))).ok()?;
        Some(NodeSecret::from_token_file(&file).unwrap())
    }

    /// The secret that a node has on its host.
    pub(crate) fn secret_on(&self, host: &str, node: &str) -> Option<NodeSecret> {
        let file = fs::read(self.on(host, &self.token_path(node))).ok()?;
        Some(NodeSecret::from_token_file(&file).unwrap())
    }

    pub(crate) fn token_path(&self, node: &str) -> PathBuf {
        self.site.path(&format!("node/{node}_token.txt"))
    }

    /// Hosts that `--skip` left out.
    pub(crate) fn skipped(&self) -> Vec<String> {
        let Ok(text) = fs::read(self.site.path("state/fleet/skipped.json")) else { return Vec::new() };
        let known: Value = serde_json::from_slice(&text).unwrap();
        known.as_object().unwrap().keys().cloned().collect()
    }

    /// A name that leads to a port of this machine, as ssh reads it.
    pub(crate) fn name(&self, host: &str, address: &str, port: u16) {
        self.ssh.name(host, address, port);
    }

    /// The process ids of the sshds.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.running.iter().map(Child::id).collect()
    }

    /// Runs a command on a host, past ssh.
    #[track_caller]
    pub(crate) fn inside(&self, number: usize, words: &[&str]) {
        let pid = self.running[number - 1].id().to_string();
        assert!(Command::new("nsenter").args(["-t", &pid, "-m"]).args(words).status().unwrap().success());
    }

    /// Ends a host's sshd.
    pub(crate) fn stop(&mut self, number: usize) {
        end(&mut self.running[number - 1]);
    }

    /// Cuts the connections of a host: what runs there for them is not ended.
    pub(crate) fn cut(&mut self, number: usize) {
        let sshd = self.running[number - 1].id();
        let mut its = vec![sshd];
        let mut at = 0;
        while let Some(&parent) = its.get(at) {
            its.extend(children(parent).into_iter().filter(|child| name_of(*child).starts_with("sshd")));
            at += 1;
        }
        for one in its.into_iter().filter(|&one| one != sshd) {
            let _ = kill_process(Pid::from_raw(one.try_into().unwrap()).unwrap(), Signal::KILL);
        }
    }

    fn prepare_path(&self) {
        for folder in ["bin", "home", "empty"] {
            fs::create_dir(self.path(folder)).unwrap();
        }
        // All tools find ssh and scp in PATH, and have different ways to be told of a config.
        for tool in ["ssh", "scp"] {
            let script =
                format!("#!/bin/sh\nexec /usr/bin/{tool} -F {} \"$@\"\n", self.ssh.config().display());
            write_program(&self.path(&format!("bin/{tool}")), &script);
        }
    }

    fn start(&mut self, number: u8) {
        let host = format!("n{number}");
        let at = Listens::on(format!("127.0.0.{}", FIRST_ADDRESS + number - 1));
        for folder in ["", "/site", "/site/node", "/run", "/run/sshd"] {
            fs::create_dir(self.path(&format!("{host}{folder}"))).unwrap();
        }
        let config = at.config(&self.ssh.host_key(), &self.ssh.user_key());
        let config_path = self.path(&format!("{host}/sshd_config"));
        fs::write(&config_path, config).unwrap();
        // What the host sees: its own folder in the site's place, its own /run, and nothing of where they come from.
        let script = format!(
            "set -e\nmount -n --bind {folder}/{host}/site {site}\nmount -n --bind {folder}/{host}/run /run\n\
             exec /usr/sbin/sshd -D -e -f {}\n",
            config_path.display(),
            folder = self.folder.path().display(),
            site = self.site.path("").display(),
        );
        let log = File::create(self.path(&format!("{host}/log"))).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare: install util-linux");
        self.running.push(child);
        self.ssh.reach(&host, &at, &self.path(&format!("{host}/log")));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.running.iter_mut().for_each(end);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn children(parent: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn name_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// A program that a child of any test may run: written by another process, so that none of ours has it open for
/// writing when that child starts (ETXTBSY).
pub(crate) fn write_program(path: &Path, text: &str) {
    let aside = path.with_extension("text");
    fs::write(&aside, text).unwrap();
    assert!(Command::new("install").args(["-m", "0755"]).arg(&aside).arg(path).status().unwrap().success());
    fs::remove_file(&aside).unwrap();
}

/// Permission bits, owner and group.
#[track_caller]
pub(crate) fn mode_and_owner(path: &Path) -> (u32, u32, u32) {
    let is = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(is.is_file(), "{}", path.display());
    (is.mode() & 0o7777, is.uid(), is.gid())
}

/// Names in a folder.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
