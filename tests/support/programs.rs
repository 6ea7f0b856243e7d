//! Where the programs under test are.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The seven, as their files are called.
pub const SEVEN: [&str; 7] = [
    "get_node_token",
    "generate_csr",
    "get_cert_key",
    "validate_node_token",
    "sign_csr",
    "keygen",
    "certgen",
];

/// The folder of this workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// One of our built programs: from the folder named by `SLURM_PKI_PROGRAMS`, else from the release
/// layout or the debug build, whichever is newer: nobody wants to test last week's programs.
///
/// # Panics
/// When nobody has built it.
#[must_use]
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let folder = folder();
    let path = folder.join(name);
    assert!(path.is_file(), "no {name} in {}: build the programs first: cargo xtask build", folder.display());
    path
}

/// One of the reference scripts.
#[must_use]
pub fn reference(name: &str) -> PathBuf {
    workspace().join("tests/reference").join(format!("{name}.sh"))
}

/// A copy of a program in `folder` that every user may run; the build's own folder may be closed to them.
/// (By cp, so that no descriptor of this process is open for writing when the copy is started: ETXTBSY.)
///
/// # Panics
/// When it cannot be copied.
#[must_use]
pub fn copy_for_everybody(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(program.file_name().unwrap());
    assert!(Command::new("cp").arg(program).arg(&copy).status().unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

fn folder() -> PathBuf {
    if let Some(named) = env::var_os("SLURM_PKI_PROGRAMS") {
        // Slurm takes absolute paths only.
        return workspace().join(named);
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = workspace().join(target);
    let (release, debug) = (target.join("dist/bin"), target.join("debug"));
    if built(&release) >= built(&debug) { release } else { debug }
}

/// When the programs in a folder were built, by the last of them: cargo leaves those alone that did not change. `None`:
/// never, and earlier than any time.
fn built(folder: &Path) -> Option<SystemTime> {
    let time = |program: &str| fs::metadata(folder.join(program)).ok()?.modified().ok();
    ["sign_csr", "slurm-pki"].into_iter().filter_map(time).max()
}
