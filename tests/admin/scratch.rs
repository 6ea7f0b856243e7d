//! A controller before slurm-pki came: a slurm.conf in a folder of its own, and nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::programs::program;
use support::site::files_below;
use support::slurm::Slurm;
use support::strace::Call;
use tempfile::TempDir;

/// A scratch controller. Run by root, SlurmUser is another user, as on a real one; else the caller.
pub(crate) struct Scratch {
    folder: TempDir,
    pub(crate) slurm_user: (String, u32),
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let scratch = Self { folder, slurm_user: slurm_user() };
        scratch.slurm_conf("SlurmctldHost=h1(10.0.0.1)\n");
        scratch
    }

    /// A site where `init` has run.
    #[allow(dead_code, reason = "not every test target starts from there")]
    pub(crate) fn ready() -> Self {
        let scratch = Self::new();
        scratch.init(&[]);
        scratch
    }

    pub(crate) fn slurm_conf(&self, more: &str) {
        let text = format!("ClusterName=c1\nSlurmUser={}\n{more}", self.slurm_user.0);
        fs::write(self.path("slurm.conf"), text).unwrap();
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn text_path(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn read(&self, relative: &str) -> String {
        let text = fs::read_to_string(self.path(relative));
        text.unwrap_or_else(|e| panic!("{relative}: {e}"))
    }

    pub(crate) fn write(&self, relative: &str, text: &str, mode: u32) {
        let path = self.path(relative);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command.env("SLURM_PKI_CONF", self.path("slurm-pki.toml"));
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(&program("slurm-pki")).args(args).output().unwrap()
    }

    /// Runs a command that must succeed; what it says on stdout and stderr.
    #[track_caller]
    pub(crate) fn done(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let said = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "slurm-pki {args:?}: {}{}", said.0, said.1);
        said
    }

    /// Runs a command that must fail with exit code 1, with error and hint; what it says on stderr.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "slurm-pki {args:?}: {said}");
        assert!(said.contains("slurm-pki: error: ") && said.contains("slurm-pki: hint: "), "{said}");
        said
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str], schema: &str) -> Value {
        let args = [args, &["--json"]].concat();
        let document: Value = serde_json::from_str(&self.done(&args).0).unwrap();
        assert_eq!(document["schema"], schema);
        document["data"].clone()
    }

    #[track_caller]
    pub(crate) fn init(&self, more: &[&str]) -> (String, String) {
        let state_dir = self.text_path("state");
        self.done(&[&["init", "--state-dir", &state_dir], more].concat())
    }

    /// The environment of [`command`](Self::command), for strace.
    pub(crate) fn bare(&self) -> Slurm {
        let path = std::env::var_os("PATH").unwrap();
        Slurm::bare()
            .with_env("PATH", path)
            .with_env("SLURM_CONF", self.path("slurm.conf"))
            .with_env("SLURM_PKI_CONF", self.path("slurm-pki.toml"))
    }

    /// Every file with its contents, links as what they lead to.
    pub(crate) fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(self.folder.path())
    }

    #[track_caller]
    pub(crate) fn assert_file(&self, relative: &str, mode: u32, uid: u32) {
        let metadata = fs::metadata(self.path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"));
        let is = (metadata.mode() & 0o7777, metadata.uid());
        assert_eq!(is, (mode, uid), "{relative}: mode {:o}, uid {}", is.0, is.1);
    }

    /// The certificate that the CA of this site has issued verifies, and its key belongs to it.
    #[track_caller]
    pub(crate) fn assert_pair(&self, cert: &str, key: &str) {
        let (cert, key) = (self.read(cert), self.read(key));
        support::openssl::verify(&cert, &self.read("ca_cert.pem"), "sslserver");
        support::openssl::verify(&cert, &self.read("ca_cert.pem"), "sslclient");
        let (of_cert, of_key) =
            (support::openssl::public_of_certificate(&cert), support::openssl::public_of_key(&key));
        assert_eq!(of_cert, of_key);
    }

    /// The names of the ledger's lines, oldest first.
    pub(crate) fn issued(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (path, contents) in self.everything() {
            if path.extension().is_some_and(|ending| ending == "jsonl") {
                for line in text(&contents).lines() {
                    let line: Value = serde_json::from_str(line).unwrap();
                    names.push(line["node"].as_str().unwrap().to_owned());
                }
            }
        }
        names
    }
}

/// The calls that change a file system; what the command says goes to a pipe.
pub(crate) fn changes(calls: &[Call]) -> Vec<&Call> {
    const CHANGES: [&str; 14] = [
        "mkdir",
        "mkdirat",
        "link",
        "linkat",
        "rename",
        "renameat",
        "renameat2",
        "symlink",
        "symlinkat",
        "fchown",
        "fchownat",
        "lchown",
        "write",
        "fsync",
    ];
    calls.iter().filter(|call| call.is_one_of(&CHANGES) && !call.mentions("pipe:")).collect()
}

pub(crate) fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn slurm_user() -> (String, u32) {
    let id = |args: &[&str]| text(&Command::new("id").args(args).output().unwrap().stdout).trim().to_owned();
    let name = if caller() == 0 { "nobody".to_owned() } else { id(&["-un"]) };
    let uid = id(&["-u", &name]).parse().unwrap();
    (name, uid)
}
