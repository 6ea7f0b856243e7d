//! The flags that rustc gets for programs that leave this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Between flags, in the variable that lets them hold spaces.
const BETWEEN: &str = "\x1f";

/// Gives a cargo the caller's own flags, then these, then those that keep this machine's folders out of the programs: each
/// place in the source at which a program could panic is named in it, and the same source gives the same program anywhere.
pub(crate) fn put(cargo: &mut Command, workspace: &Workspace, ours: &[&str]) -> Result<()> {
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = all(&given, ours, &workspace.root, &cargo_home()?);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(BETWEEN)).env_remove("RUSTFLAGS");
    Ok(())
}

fn all(given: &str, ours: &[&str], root: &Path, home: &Path) -> Vec<String> {
    let named = |folder: &Path, name: &str| format!("--remap-path-prefix={}={name}", folder.display());
    let given = given.split_whitespace().chain(ours.iter().copied()).map(str::to_owned);
    // The last that fits counts, and either folder may be in the other.
    let (home, root) = (named(home, "cargo"), named(root, "slurm-pki"));
    given.chain([home, root]).collect()
}

/// Where cargo keeps the sources of others.
fn cargo_home() -> Result<PathBuf> {
    let said = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    said.or_else(usual).context("neither CARGO_HOME nor HOME says where cargo keeps its files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_own_flags_are_kept_and_no_folder_of_this_machine_stays() {
        let flags = all(" -Copt-level=1 ", &["-Cx"], Path::new("/my src/pki"), Path::new("/home/me/.cargo"));
        assert_eq!(
            flags,
            [
                "-Copt-level=1",
                "-Cx",
                "--remap-path-prefix=/home/me/.cargo=cargo",
                "--remap-path-prefix=/my src/pki=slurm-pki"
            ]
        );
    }
}
