//! The step `static`: each of the seven carries all it needs.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::programs::{self, SEVEN};
use crate::terminal;
use crate::workspace::{self, Workspace};

/// An error that names the first of the seven that asks for a loader or a shared library.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for name in SEVEN {
        let program = programs::folder(workspace).join(name);
        is_static(&program)?;
        terminal::line(&format!("{name}: static"));
    }
    Ok(())
}

fn is_static(program: &Path) -> Result<()> {
    let mut readelf = Command::new("readelf");
    let headers = workspace::answer(readelf.env("LC_ALL", "C").args(["-W", "-l", "-d"]).arg(program))?;
    ensure!(headers.contains("LOAD"), "readelf shows no program headers of {}", program.display());
    if let Some(line) = asks_for_more(&headers) {
        bail!("{} is not static: {line}", program.display());
    }
    // ldd fails on a static program, and says so on either stream, by the kind of program.
    let said = Command::new("ldd").env("LC_ALL", "C").arg(program).output()?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(ldd_says_static(&said), "ldd on {}: {}", program.display(), said.trim());
    Ok(())
}

/// The line that names a loader or a shared library, if there is one.
fn asks_for_more(headers: &str) -> Option<&str> {
    headers.lines().map(str::trim).find(|line| line.starts_with("INTERP") || line.contains("(NEEDED)"))
}

fn ldd_says_static(said: &str) -> bool {
    said.contains("statically linked") || said.contains("not a dynamic executable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        let interpreter =
            "  INTERP         0x000318 0x0000000000000318 0x0000000000000318 0x00001c 0x00001c R   0x1";
        let library = " 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]";
        let code =
            "  LOAD           0x000000 0x0000000000000000 0x0000000000000000 0x019b68 0x019b68 R   0x1000";
        assert_eq!(asks_for_more(&format!("{code}\n{interpreter}")), Some(interpreter.trim()));
        assert_eq!(asks_for_more(&format!("{code}\n{library}")), Some(library.trim()));
        assert_eq!(asks_for_more(code), None);
    }

    #[test]
    fn a_dynamic_program_of_this_machine_is_refused() {
        let error = is_static(&std::env::current_exe().unwrap()).unwrap_err().to_string();
        assert!(error.contains("is not static"), "{error}");
    }
}
