//! What the package managers run when a package comes or goes: files of packaging/scripts, named `<package>.<script>`.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};

use super::contents::Package;
use crate::workspace::Workspace;

/// The text of a script that dpkg runs, if the package has it.
pub(crate) fn debian(workspace: &Workspace, package: &Package, script: &str) -> Result<Option<String>> {
    read(workspace, &format!("{}.{script}", package.name))
}

/// The text of a script that rpm runs, if the package has it: one of that name, else Debian's behind a preamble that
/// turns rpm's number of packages into dpkg's word.
pub(crate) fn rpm(workspace: &Workspace, package: &Package, script: &str) -> Result<Option<String>> {
    if let Some(own) = read(workspace, &format!("{}.{script}", package.name))? {
        return Ok(Some(own));
    }
    let (debian, preamble) = match script {
        "post" => ("postinst", "set -- configure\n"),
        "preun" => ("prerm", "[ \"$1\" = 0 ] && set -- remove || set -- upgrade\n"),
        "postun" => ("postrm", "[ \"$1\" = 0 ] && set -- remove || set -- upgrade\n"),
        _ => return Ok(None),
    };
    let text = read(workspace, &format!("{}.{debian}", package.name))?;
    Ok(text.map(|text| format!("{preamble}{}", without_interpreter(&text))))
}

/// rpm names the interpreter itself.
fn without_interpreter(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => rest,
        _ => text,
    }
}

fn read(workspace: &Workspace, name: &str) -> Result<Option<String>> {
    let path = workspace.root.join("packaging/scripts").join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(failure) if failure.kind() == ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_that_names_an_interpreter_goes() {
        assert_eq!(without_interpreter("#!/bin/sh\nset -e\n"), "set -e\n");
        assert_eq!(without_interpreter("set -e\n# done\n"), "set -e\n# done\n");
    }
}
