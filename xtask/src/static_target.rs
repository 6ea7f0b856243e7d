//! What the seven are built for: this C library or that one.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::prerequisites::on_path;
use crate::workspace;

/// Compiles the C in ring for musl, on Debian and Ubuntu in the package musl-tools. It is for its own kind of machine alone.
const COMPILER: &str = "musl-gcc";

/// The target for a kind of machine that `gnu` names with the GNU C library: musl where Rust and the C compiler have it,
/// since on musl a static program starts and ends in half the time, in a third of the room; else `gnu`.
pub(crate) fn of(gnu: &str) -> Result<String> {
    let musl = gnu.replace("-gnu", "-musl");
    let is_there = gnu == workspace::host()? && on_path(COMPILER) && has_library(&musl)?;
    Ok(if is_there { musl } else { gnu.to_owned() })
}

/// Whether Rust's own library for a target is here, which rustup brings.
pub(crate) fn has_library(target: &str) -> Result<bool> {
    Ok(fs::read_dir(libraries(target)?).is_ok_and(|mut found| found.next().is_some()))
}

/// The version of the musl that Rust brings for a target.
pub(crate) fn musl_version(target: &str) -> Result<String> {
    let library = libraries(target)?.join("self-contained/libc.a");
    let object = Command::new("ar").arg("p").arg(&library).arg("version.lo").output()?.stdout;
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let is_version = |text: &&[u8]| text.contains(&b'.') && text.iter().all(is_part);
    let version = object.split(|byte| *byte == 0).find(is_version);
    let version = version.with_context(|| format!("no version in {}", library.display()))?;
    Ok(String::from_utf8_lossy(version).into_owned())
}

fn libraries(target: &str) -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut asked = Command::new(rustc);
    let folder = workspace::answer(asked.args(["--print", "target-libdir", "--target", target]))?;
    Ok(PathBuf::from(folder.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kind_of_machine_keeps_the_library_that_its_compiler_has() {
        let other = if cfg!(target_arch = "x86_64") { "aarch64" } else { "x86_64" };
        let gnu = format!("{other}-unknown-linux-gnu");
        assert_eq!(of(&gnu).unwrap(), gnu);
    }

    #[test]
    fn a_library_with_musl_says_which() {
        let musl = workspace::host().unwrap().replace("-gnu", "-musl");
        if has_library(&musl).unwrap() {
            assert!(musl_version(&musl).unwrap().starts_with("1."));
        }
    }

    #[test]
    fn this_machine_has_its_own_library() {
        assert!(has_library(&workspace::host().unwrap()).unwrap());
    }
}
