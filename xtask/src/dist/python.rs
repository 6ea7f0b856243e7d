//! Tools from PyPI, in a folder of the build's: made once, and anew when what is asked for has changed.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run};

/// A virtual environment of Python.
#[derive(Debug)]
pub(crate) struct Python(PathBuf);

impl Python {
    /// One with these packages; `requirements` is a file of the source tree; pip wants a hash of each
    /// as soon as one of them has one.
    pub(crate) fn with(workspace: &Workspace, name: &str, requirements: &str) -> Result<Self> {
        let (folder, wanted) = (workspace.root.join("target").join(name), workspace.root.join(requirements));
        let wants = fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
        let mark = folder.join("requirements.txt");
        if fs::read(&mark).is_ok_and(|has| has == wants) {
            return Ok(Self(folder));
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        run(pip.arg("-r").arg(&wanted))?;
        fs::write(&mark, wants).with_context(|| format!("cannot write {}", mark.display()))?;
        Ok(Self(folder))
    }

    /// PATH with its programs first.
    pub(crate) fn path(&self) -> Result<OsString> {
        let own = [self.0.join("bin")];
        let given = std::env::var_os("PATH").unwrap_or_default();
        let all = own.into_iter().chain(std::env::split_paths(&given));
        Ok(std::env::join_paths(all)?)
    }
}
