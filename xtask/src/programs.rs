//! Builds the release programs and lays them side by side.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::dist::{Architecture, portable};
use crate::flags;
use crate::static_target;
use crate::terminal;
use crate::workspace::{self, Workspace, run};

/// The programs that Slurm runs, by the names of its parameters; static.
pub(crate) const SEVEN: [&str; 7] = [
    "get_node_token",
    "generate_csr",
    "get_cert_key",
    "validate_node_token",
    "sign_csr",
    "keygen",
    "certgen",
];

/// The admin command: dynamic, since it looks users and hosts up, which a static glibc program must not.
pub(crate) const ADMIN: &str = "slurm-pki";

/// What two of the seven run when the CA key or the records are in Vault: dynamic too, since it resolves host names.
pub(crate) const SIGNER: &str = "slurm-pki-signer";

/// Set, it has the dynamic programs built as `cargo xtask dist` builds them, so that tests run what is given away and nothing
/// is built twice.
const PORTABLE: &str = "SLURM_PKI_PORTABLE";

/// Where the stripped programs lie.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("dist/bin")
}

/// Where the seven lie with their symbols, for `nm`.
pub(crate) fn unstripped_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("dist/unstripped")
}

/// Builds all programs and lays them out.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let seven = build_seven(workspace, &workspace::host()?, &[])?;
    let dynamic = if std::env::var_os(PORTABLE).is_some_and(|value| !value.is_empty()) {
        portable::build_dynamic(workspace, Architecture::here()?)?
    } else {
        build_dynamic(workspace)?
    };
    let (stripped, unstripped) = (folder(workspace), unstripped_folder(workspace));
    for folder in [&stripped, &unstripped] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for name in SEVEN {
        lay(&unstripped, name, |copy| copy_of(&seven.join(name), copy))?;
        lay(&stripped, name, |copy| strip(&seven.join(name), copy))?;
    }
    [ADMIN, SIGNER].iter().try_for_each(|name| lay(&stripped, name, |copy| strip(&dynamic.join(name), copy)))
}

/// `slurm-pki demo` on the programs as they lie; its exit code is ours.
pub(crate) fn demo(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    let program = folder(workspace).join(ADMIN);
    let status = Command::new(&program).arg("demo").args(arguments).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds the seven for this or another kind of machine, for which `variables` name the tools, with musl where it can be
/// ([`static_target`]). The folder they are in.
///
/// With an explicit target the flag reaches the programs and no build script or procedural macro, and in a target folder
/// of their own these builds and the others do not undo each other.
pub(crate) fn build_seven(
    workspace: &Workspace,
    target: &str,
    variables: &[(String, String)],
) -> Result<PathBuf> {
    let own = workspace.target.join("static");
    let target = &static_target::of(target)?;
    terminal::line(&format!("the seven: {target}"));
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--locked", "--release", "--package", "scripts", "--bins"]);
    cargo.args(["--target", target]).arg("--target-dir").arg(&own);
    flags::put(&mut cargo, workspace, &["-Ctarget-feature=+crt-static"])?;
    cargo.envs(variables.iter().map(|(name, value)| (name, value)));
    run(&mut cargo)?;
    Ok(own.join(target).join("release"))
}

fn build_dynamic(workspace: &Workspace) -> Result<PathBuf> {
    run(workspace.cargo().args([
        "build",
        "--locked",
        "--release",
        "--package",
        ADMIN,
        "--package",
        SIGNER,
        "--bins",
    ]))?;
    Ok(workspace.target.join("release"))
}

/// Makes the file under another name and renames it into place, so that a program that runs keeps its own.
fn lay(folder: &Path, name: &str, make: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let (new, place) = (folder.join(format!(".{name}.new")), folder.join(name));
    make(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))
        .and_then(|()| fs::rename(&new, &place))
        .with_context(|| format!("cannot lay out {}", place.display()))
}

fn copy_of(built: &Path, copy: &Path) -> Result<()> {
    fs::copy(built, copy).map(drop).with_context(|| format!("cannot copy {}", built.display()))
}

fn strip(built: &Path, copy: &Path) -> Result<()> {
    workspace::answer(Command::new("strip").arg("-o").args([copy, built])).map(drop)
}
