//! The licences of the crates in the programs, which have to come with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::crates::Crates;
use crate::workspace::Workspace;

/// How names of files with a licence or a notice begin, in capitals.
const BEGINNINGS: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// A list of the crates, then each text once, under the names of those that carry it.
pub(crate) fn text(workspace: &Workspace, crates: &Crates) -> Result<String> {
    let mut text = String::from(
        "The programs of slurm-pki contain the following, besides their own code. Where there is a choice of licences\n\
         any of them may be taken. The texts follow, each once.\n\n",
    );
    for ((name, version), found) in crates.0.iter().filter(|(_, found)| !found.ours) {
        text += format!("{name} {version}: {}  {}", found.licence, found.repository).trim_end();
        text.push('\n');
    }
    for (licence, names) in texts(workspace, crates)? {
        text += &format!("\n\n===== {} =====\n\n{}\n", names.join(", "), licence.trim_end());
    }
    Ok(text)
}

/// Each text, and the crates that carry it.
fn texts(workspace: &Workspace, crates: &Crates) -> Result<BTreeMap<String, Vec<String>>> {
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    for (id, folder) in crates.folders(workspace)? {
        if crates.0.get(&id).is_some_and(|found| found.ours) {
            continue;
        }
        for text in of(&folder).with_context(|| format!("licences of {}", id.0))? {
            let names = texts.entry(text).or_default();
            names.push(format!("{} {}", id.0, id.1));
            names.dedup();
        }
    }
    Ok(texts)
}

fn of(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for found in fs::read_dir(folder)? {
        let found = found?;
        let name = found.file_name().to_string_lossy().to_uppercase();
        if found.file_type()?.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            let bytes = fs::read(found.path())?;
            texts.push(String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
    }
    // The order of a folder is nobody's.
    texts.sort();
    Ok(texts)
}
