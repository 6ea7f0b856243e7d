//! A scratch site with the admin command in front of it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pki::name::NodeName;
use pki::record::RecordFile;
use pki::token::NodeSecret;
use serde_json::Value;
use support::bound_request::bound_request;
use support::programs::program;
use support::site::{Site, files_below};
use support::slurm::Slurm;

/// Whom root can become to be somebody else.
pub(crate) const SOMEBODY: u32 = 65_534;

/// Whether this test can give files away.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A site whose SlurmUser is whoever runs the test.
pub(crate) struct Cluster {
    pub(crate) site: Site,
    path: String,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let mut site = Site::new();
        site.set("", "slurm_user", rustix::process::geteuid().as_raw().to_string());
        site.write_config();
        Self { site, path: "/usr/bin:/bin".into() }
    }

    /// The same with another SlurmUser than root, where the test can have one.
    pub(crate) fn with_slurm_user() -> Self {
        let mut cluster = Self::new();
        if is_root() {
            cluster.set("", "slurm_user", &SOMEBODY.to_string());
            for folder in ["state", "state/tokens", "state/ledger"] {
                std::os::unix::fs::chown(cluster.site.path(folder), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
            }
        }
        cluster
    }

    /// Sets a key of the config.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) {
        self.site.set(section, key, value);
        self.site.write_config();
    }

    /// A token list with this text.
    pub(crate) fn set_list(&mut self, text: &str) {
        self.site.write("list.txt", text.as_bytes(), 0o600);
        let path = self.site.path("list.txt");
        self.set("controller", "token_list", path.to_str().unwrap());
    }

    /// Puts a shell script called scontrol in front of PATH.
    pub(crate) fn set_scontrol(&mut self, script: &str) {
        let folder = self.site.path("bin");
        fs::create_dir_all(&folder).unwrap();
        self.site.write("scontrol.sh", format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755);
        copy_program(&self.site.path("scontrol.sh"), &folder.join("scontrol"));
        self.path = format!("{}:/usr/bin:/bin", folder.display());
    }

    pub(crate) fn slurm(&self) -> Slurm {
        self.site.slurm().with_env("SLURM_CONF", "/nonexistent/slurm.conf").with_env("PATH", &self.path)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.slurm().run_apart(&program("slurm-pki"), args)
    }

    /// Runs a command that must succeed; its stdout.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must exit 1 and say this; its stderr.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], what: &str) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains(what), "{args:?}: {stderr}");
        stderr
    }

    /// The `data` of what a command prints with --json.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str], schema: &str) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema"], schema);
        document["data"].clone()
    }

    /// A node's file in the store.
    #[track_caller]
    pub(crate) fn records(&self, node: &str) -> RecordFile {
        RecordFile::parse(self.site.read(&format!("state/tokens/{node}.json")).as_bytes()).unwrap()
    }

    /// The secret that waits for a node.
    pub(crate) fn waiting(&self, node: &str) -> Option<NodeSecret> {
        let file = fs::read(self.site.path(&format!("state/outgoing/{node}_token.txt"))).ok()?;
        Some(NodeSecret::from_token_file(&file).unwrap())
    }

    /// Whether validate_node_token takes the secret's token for the node.
    pub(crate) fn validates(&self, node: &str, secret: &NodeSecret) -> bool {
        let token = String::from_utf8(secret.token().secret().expose().to_vec()).unwrap();
        self.slurm().run(&program("validate_node_token"), &[node, &token]).accepted()
    }

    /// Whether sign_csr gives the node a certificate for a request that the secret binds.
    pub(crate) fn signs(&self, node: &str, secret: &NodeSecret) -> bool {
        let request = bound_request(secret, node);
        self.slurm().run(&program("sign_csr"), &[request]).answer().is_ok()
    }

    /// Every file below state_dir, with its contents.
    pub(crate) fn state(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(&self.site.path("state"))
    }
}

/// Copies a program that is to be run. A copy of our own would for a moment be open for writing in every
/// child that another test starts just then, and no kernel runs such a file.
#[track_caller]
pub(crate) fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-p").args([from, to]).status().unwrap().success());
}

/// Permission bits and owner.
#[track_caller]
pub(crate) fn mode_and_owner(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (metadata.permissions().mode() & 0o7777, metadata.uid())
}

/// Whether a record of a file is of this secret.
pub(crate) fn has_record(file: &RecordFile, secret: &NodeSecret) -> bool {
    file.records.iter().any(|record| record.token == secret.token().digest())
}

/// A legal name.
pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text.as_bytes()).unwrap()
}
