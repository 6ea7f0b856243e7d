//! The OpenID provider: a library from npm and what it needs, installed once into the cache by the lock beside this file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use crate::root::{cache, run};
use crate::terminal;

const PACKAGE: &str = include_str!("oidc/package.json");

/// Every package with its hash, and no registry's address: npm's own setting says where they come from.
const LOCK: &str = include_str!("oidc/package-lock.json");

/// The program that serves.
const PROVIDER: &str = include_str!("oidc/provider.mjs");

/// Written last.
const MARKER: &str = "complete";

/// The folder with the provider in it. Debian's node in the root runs it: nothing in it is built for one machine.
pub(crate) fn ready() -> Result<PathBuf> {
    let folder = cache().join(name());
    if !folder.join(MARKER).is_file() {
        install(&folder)?;
    }
    Ok(folder)
}

fn name() -> String {
    let hash = HEXLOWER.encode(digest(&SHA256, format!("{PACKAGE}{LOCK}{PROVIDER}").as_bytes()).as_ref());
    format!("oidc-{}", hash.get(..12).unwrap_or(&hash))
}

fn install(folder: &Path) -> Result<()> {
    terminal::progress("OpenID provider: npm installs it (network)");
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (file, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK), ("provider.mjs", PROVIDER)] {
        fs::write(folder.join(file), text)?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    run(&mut npm).context("npm")?;
    Ok(fs::write(folder.join(MARKER), format!("{}\n", name()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_pins_every_package_and_names_no_registry() {
        let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
        let packages = lock.get("packages").and_then(serde_json::Value::as_object).unwrap();
        let pinned = packages.iter().filter(|(path, _)| !path.is_empty());
        assert!(pinned.clone().count() > 20);
        for (path, package) in pinned {
            assert!(package.get("integrity").is_some(), "{path}");
            assert!(package.get("resolved").is_none(), "{path}");
        }
    }
}
