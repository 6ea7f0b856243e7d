//! `SHA256SUMS`, by which whoever fetched the files sees that they are whole: `sha256sum --check SHA256SUMS`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace;

const NAME: &str = "SHA256SUMS";

/// Writes the sums of all files in a folder.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let mut names: Vec<OsString> = Vec::new();
    for found in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let found = found?;
        if found.file_type()?.is_file() && found.file_name() != NAME {
            names.push(found.file_name());
        }
    }
    names.sort();
    let text = workspace::answer(Command::new("sha256sum").current_dir(folder).arg("--").args(names))?;
    fs::write(folder.join(NAME), text).with_context(|| format!("cannot write {NAME}"))
}
