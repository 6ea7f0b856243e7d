//! The built programs side by side, for a test of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use support::programs::{SEVEN, copy_for_everybody, program};
use tempfile::TempDir;

/// A folder of them.
pub(crate) struct Programs(TempDir);

impl Programs {
    /// Further names of the built files where that can be: a copy is 200 MB. A test that changes a program's mode makes
    /// it a file of its own first.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in SEVEN.iter().chain(&["slurm-pki"]) {
            let built = program(name);
            let for_everybody = fs::metadata(&built).unwrap().permissions().mode() & 0o777 == 0o755;
            if !for_everybody || fs::hard_link(&built, folder.path().join(name)).is_err() {
                let _ = copy_for_everybody(&built, folder.path());
            }
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes a program a file of its own.
    pub(crate) fn own(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
        let _ = copy_for_everybody(&program(name), self.path());
    }

    /// Puts a line of shell in the place of a program.
    pub(crate) fn replace(&self, name: &str, script: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
        self.write(name, script);
    }

    /// Writes a program of one line of shell, by another process: ETXTBSY.
    pub(crate) fn write(&self, name: &str, script: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" >"$2" && chmod 755 "$2""#, "sh", script]);
        assert!(shell.arg(self.path().join(name)).status().unwrap().success());
    }
}
