//! A folder of the built programs that a test may change, and a run of the admin command in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use support::programs::{SEVEN, copy_for_everybody, program};
use tempfile::TempDir;

/// Whom root can become to be somebody else: nobody on Debian, and an id like any other elsewhere.
pub(crate) const SOMEBODY: u32 = 65_534;

/// Whether this test can become somebody else.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A copy of the built programs, side by side.
#[derive(Debug)]
pub(crate) struct ProgramFolder {
    folder: TempDir,
    user: Option<u32>,
}

impl ProgramFolder {
    /// The programs as they were built.
    #[track_caller]
    pub(crate) fn as_built() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in SEVEN.iter().chain(&["slurm-pki"]) {
            let _ = copy_for_everybody(&program(name), folder.path());
        }
        Self { folder, user: None }
    }

    /// The same, run by somebody who is not root. Who is not root already is somebody else.
    pub(crate) fn somebody_else(self) -> Self {
        self.run_by_uid(SOMEBODY)
    }

    /// The same, run by this user where the test can become one.
    pub(crate) fn run_by_uid(self, uid: u32) -> Self {
        Self { user: is_root().then_some(uid), ..self }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a line of shell in the place of a program.
    pub(crate) fn replace(&self, name: &str, script: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
        self.write(name, script);
    }

    /// Puts a program that prints a text in the place of another.
    pub(crate) fn replace_by_text(&self, name: &str, text: &str) {
        self.replace(name, &format!("printf '%s' '{text}'"));
    }

    /// Writes a program of one line of shell.
    pub(crate) fn write(&self, name: &str, script: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" >"$2" && chmod 755 "$2""#, "sh", script]);
        // By another process, as copy_for_everybody does it: ETXTBSY.
        assert!(shell.arg(self.path().join(name)).status().unwrap().success());
    }

    /// Writes the slurm.conf that the admin command finds; without this there is none.
    pub(crate) fn write_slurm_conf(&self, text: &str) {
        fs::write(self.path().join("slurm.conf"), text).unwrap();
    }

    /// Runs the admin command.
    #[track_caller]
    pub(crate) fn slurm_pki(&self, args: &[&str]) -> Said {
        self.run(&self.path().join("slurm-pki"), args)
    }

    /// Runs any command, with a folder for temporary files of its own.
    #[track_caller]
    pub(crate) fn run(&self, command: &Path, args: &[&str]) -> Said {
        let temporary = tempfile::tempdir().unwrap();
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let mut command = Command::new(command);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", temporary.path());
        command.env("SLURM_CONF", self.path().join("slurm.conf")).current_dir("/").stdin(Stdio::null());
        if let Some(user) = self.user {
            chown(temporary.path(), Some(user), Some(user)).unwrap();
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let left_behind =
            fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        Said { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr), left_behind }
    }
}

/// What the admin command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What is still in its folder for temporary files.
    pub(crate) left_behind: Vec<PathBuf>,
}

impl Said {
    #[track_caller]
    pub(crate) fn must_succeed(&self) {
        assert!(self.status.success(), "{}\n{}", self.stdout, self.stderr);
    }

    /// Exit status 1, and an error with this in it.
    #[track_caller]
    pub(crate) fn must_fail(&self, what: &str) {
        assert_eq!(self.status.code(), Some(1), "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(what), "{}\n{}", self.stdout, self.stderr);
    }
}
