//! The step `static`: each of the seven carries all it needs.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::programs::{self, SEVEN};
use crate::terminal;
use crate::workspace::{self, Workspace};

/// What speaks HTTP or TLS, or reads options, and so has no place in the seven.
const HTTP: [&str; 9] =
    ["ureq", "ureq-proto", "http", "httparse", "hyper", "reqwest", "rustls", "vault", "clap"];

/// An error that names the first of the seven that asks for a loader or a shared library, or what
/// brings HTTP into them.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tree = workspace::answer(workspace.cargo().args([
        "tree",
        "--locked",
        "--package",
        "scripts",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]))?;
    if let Some(package) = speaks_http(&tree) {
        bail!("the seven depend on {package}: see cargo tree -p scripts -e normal -i {package}");
    }
    terminal::line("the seven: no HTTP, no TLS, no command line library");
    for name in SEVEN {
        let program = programs::folder(workspace).join(name);
        is_static(&program)?;
        terminal::line(&format!("{name}: static"));
    }
    Ok(())
}

/// An error that says what a program asks for besides itself.
pub(crate) fn is_static(program: &Path) -> Result<()> {
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

/// The package of a `cargo tree` that has no place there, if there is one.
fn speaks_http(tree: &str) -> Option<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.into_iter().find(|name| HTTP.contains(name))
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
    fn a_package_that_speaks_http_is_named() {
        assert_eq!(speaks_http("scripts v0.1.0 (/x)\npki v0.1.0 (/x)\nring v0.17.14\n"), None);
        assert_eq!(speaks_http("scripts v0.1.0 (/x)\nureq v3.5.2\n"), Some("ureq"));
    }

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
