//! Programs for every system that is promised: seven that are static, and two that are content with an old C library.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::architecture::Architecture;
use super::needs::{Needs, OLDEST};
use super::python::Python;
use crate::flags;
use crate::linkage;
use crate::programs::{self, ADMIN, SEVEN, SIGNER};
use crate::static_target;
use crate::terminal;
use crate::workspace::{self, Workspace, run};

/// Builds them and looks whether they are what is promised; the folder where they lie side by side.
pub(crate) fn build(workspace: &Workspace, architecture: Architecture) -> Result<PathBuf> {
    let host = workspace::host()?;
    has_library(architecture, &host)?;
    let seven = programs::build_seven(workspace, architecture.triple(), &compilers(architecture, &host))?;
    let dynamic = build_dynamic(workspace, architecture)?;
    let folder = workspace.target.join("dist/programs").join(architecture.name());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in SEVEN {
        lay(&seven, &folder, name)?;
        linkage::is_static(&folder.join(name))?;
    }
    for name in [ADMIN, SIGNER] {
        lay(&dynamic, &folder, name)?;
        let program = folder.join(name);
        let needs = Needs::of(&program)?;
        needs.check().with_context(|| program.display().to_string())?;
        terminal::line(&format!("{name}: {needs}"));
    }
    Ok(folder)
}

fn lay(from: &Path, to: &Path, name: &str) -> Result<()> {
    fs::copy(from.join(name), to.join(name)).map(drop).with_context(|| format!("cannot copy {name}"))
}

/// Rust's own library for that kind of machine, which rustup brings.
fn has_library(architecture: Architecture, host: &str) -> Result<()> {
    let triple = architecture.triple();
    if triple == host {
        return Ok(());
    }
    let there = static_target::has_library(triple)?;
    ensure!(there, "Rust has no library for {} here: rustup target add {triple}", architecture.name());
    Ok(())
}

/// What compiles and links the static programs for another kind of machine: Debian's cross compiler, whose C library can
/// be linked statically, as zig's cannot.
fn compilers(architecture: Architecture, host: &str) -> Vec<(String, String)> {
    let triple = architecture.triple();
    if triple == host {
        return Vec::new();
    }
    let (gcc, ar) = (architecture.tool("gcc"), architecture.tool("ar"));
    let name = triple.replace('-', "_");
    vec![
        (format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), gcc.clone()),
        (format!("CC_{name}"), gcc),
        (format!("AR_{name}"), ar),
    ]
}

/// The folder of the two that are dynamic: by zig, which knows the symbols of each version of the C library and links with those of the oldest.
pub(crate) fn build_dynamic(workspace: &Workspace, architecture: Architecture) -> Result<PathBuf> {
    let zig = Python::with(workspace, "zig", "xtask/src/dist/zig.txt")?;
    let own = workspace.target.join("portable");
    let mut cargo = workspace.cargo();
    cargo.env("PATH", zig.path()?);
    cargo.args(["zigbuild", "--locked", "--release", "--package", ADMIN, "--package", SIGNER, "--bins"]);
    cargo.args(["--target", &format!("{}.{OLDEST}", architecture.triple())]).arg("--target-dir").arg(&own);
    flags::put(&mut cargo, workspace, &[])?;
    run(&mut cargo)?;
    Ok(own.join(architecture.triple()).join("release"))
}
