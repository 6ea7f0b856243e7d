//! `cargo xtask bench`: builds the programs, the two that do nothing and the one that measures, and lets `bench/` run.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::workspace::{self, Workspace, run};
use crate::{prerequisites, programs, slurm, static_target, terminal};

/// The section that needs root, and more than a build does.
const SLURM: &str = "slurm";

/// Everything after `bench` goes to the measurement.
pub(crate) fn measure(arguments: &[OsString]) -> Result<ExitCode> {
    prerequisites::require(&[prerequisites::BUILD, prerequisites::BENCH].concat())?;
    let workspace = Workspace::find()?;
    programs::build(&workspace)?;
    let floor = build_floor(&workspace)?;
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--locked", "--quiet", "--package", "tests", "--bench", "cost", "--"]);
    cargo.args(absolute(arguments)?).env("SLURM_PKI_FLOOR", floor);
    cargo.env("SLURM_PKI_PROGRAMS", programs::folder(&workspace));
    if let Some(suite) = slurm_suite(&workspace, arguments)? {
        cargo.env("SLURM_PKI_SLURM_SUITE", suite);
    }
    let status = cargo.status().context("cannot start cargo bench")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Files that are named from where this was started: the measurement starts elsewhere.
fn absolute(arguments: &[OsString]) -> Result<Vec<OsString>> {
    let mut words = Vec::new();
    for word in arguments {
        let is_file = words
            .last()
            .is_some_and(|last| ["--json", "--svg", "--into"].iter().any(|option| last == option));
        words.push(if is_file { std::path::absolute(word)?.into_os_string() } else { word.clone() });
    }
    Ok(words)
}

/// The suite with a real Slurm, where that section is wanted. It is left out, with a line that says so, where it cannot run
/// and was not asked for by name.
fn slurm_suite(workspace: &Workspace, arguments: &[OsString]) -> Result<Option<PathBuf>> {
    let named = |words: &[OsString]| words.first().is_some_and(|word| word == "--only");
    let only: Vec<_> = arguments.windows(2).filter(|words| named(words)).collect();
    let by_name = only.iter().any(|words| words.last().is_some_and(|word| word == SLURM));
    match slurm::obstacle() {
        _ if !by_name && !only.is_empty() => Ok(None),
        Some(obstacle) if by_name => bail!(obstacle),
        Some(obstacle) => {
            terminal::complaint(&format!("left out: {obstacle}"));
            Ok(None)
        }
        None => slurm::build(workspace).map(Some),
    }
}

/// The programs that do nothing, and the one that starts others and measures them; their folder.
fn build_floor(workspace: &Workspace) -> Result<PathBuf> {
    let (sources, folder) = (workspace.root.join("bench/floor"), workspace.target.join("dist/floor"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in ["exit", "meter"] {
        run(Command::new("cc").args(["-O2", "-static", "-o"]).args(made(&folder, &sources, name, "c")))?;
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let host = workspace::host()?;
    // Once with the C library of the system, once as the seven are built.
    for (target, name) in [(&host, "nothing-gnu"), (&static_target::of(&host)?, "nothing")] {
        let flags = ["--edition=2024", "-O", "-Cstrip=symbols", "-Ctarget-feature=+crt-static", "--target"];
        let file = folder.join(name);
        run(Command::new(&rustc).args(flags).arg(target).arg("-o").args([file, sources.join("nothing.rs")]))?;
    }
    Ok(folder)
}

/// Where a program goes, and where it comes from.
fn made(folder: &Path, sources: &Path, name: &str, extension: &str) -> [PathBuf; 2] {
    [folder.join(name), sources.join(name).with_extension(extension)]
}
