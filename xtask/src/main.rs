//! `cargo xtask`: one command each to build the programs, to show them at work, and to test all of it.
//!
//! `cargo xtask` alone lists the commands.

mod bench;
mod dist;
mod documents;
mod flags;
mod linkage;
mod packages;
mod prerequisites;
mod programs;
mod report;
mod rust_version;
mod slurm;
mod static_target;
mod steps;
mod terminal;
mod test_options;
mod usage;
mod vault;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::dist::DistOptions;
use crate::test_options::TestOptions;
use crate::workspace::Workspace;

/// A command line that makes no sense, as in sysexits.h; the admin command uses the same code.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    dispatch(&arguments).unwrap_or_else(|failure| {
        terminal::error(&format!("{failure:#}"));
        ExitCode::FAILURE
    })
}

fn dispatch(arguments: &[OsString]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else { return Ok(help(usage::ALL)) };
    let asks_for_help = matches!(rest, [only] if only == "--help" || only == "-h");
    match (command.to_str(), asks_for_help) {
        (Some("help" | "--help" | "-h"), _) => Ok(help(usage::ALL)),
        (Some("bench"), true) => Ok(help(usage::BENCH)),
        (Some("build"), true) => Ok(help(usage::BUILD)),
        (Some("demo"), true) => Ok(help(usage::DEMO)),
        (Some("dist"), true) => Ok(help(usage::DIST)),
        (Some("packages"), true) => Ok(help(usage::PACKAGES)),
        (Some("test"), true) => Ok(help(usage::TEST)),
        (Some("slurm"), true) => Ok(help(usage::SLURM)),
        (Some("vault"), true) => Ok(help(usage::VAULT)),
        (Some("build"), false) if rest.is_empty() => build(),
        (Some("demo"), false) => demo(rest),
        (Some("dist"), false) => dist(rest),
        (Some("bench"), false) => bench::measure(rest),
        (Some("test"), false) => test(rest),
        (Some("slurm"), false) if rest.is_empty() => slurm(false),
        (Some("slurm"), false) if rest == ["--packages"] => slurm(true),
        (Some("slurm"), false) => Ok(misused("slurm takes --packages or nothing", usage::SLURM)),
        (Some("packages"), false) if rest.is_empty() => packages::test().map(|()| ExitCode::SUCCESS),
        (Some("packages"), false) => Ok(misused("packages takes no arguments", usage::PACKAGES)),
        (Some("vault"), false) if rest.is_empty() => vault::test().map(|()| ExitCode::SUCCESS),
        (Some("vault"), false) => Ok(misused("vault takes no arguments", usage::VAULT)),
        (Some("build"), false) => Ok(misused("build takes no arguments", usage::BUILD)),
        _ => Ok(misused(&format!("no such command: {}", command.display()), usage::ALL)),
    }
}

fn help(text: &str) -> ExitCode {
    terminal::line(text.trim_end());
    ExitCode::SUCCESS
}

fn misused(what: &str, text: &str) -> ExitCode {
    terminal::error(what);
    terminal::complaint(text.trim_end());
    ExitCode::from(USAGE)
}

fn build() -> Result<ExitCode> {
    prerequisites::require(prerequisites::BUILD)?;
    let workspace = Workspace::find()?;
    programs::build(&workspace)?;
    terminal::line(&format!("The programs are in {}", programs::folder(&workspace).display()));
    Ok(ExitCode::SUCCESS)
}

fn demo(arguments: &[OsString]) -> Result<ExitCode> {
    prerequisites::require(prerequisites::BUILD)?;
    let workspace = Workspace::find()?;
    programs::build(&workspace)?;
    programs::demo(&workspace, arguments)
}

fn slurm(packages: bool) -> Result<ExitCode> {
    if let Some(obstacle) = slurm::obstacle() {
        anyhow::bail!(obstacle);
    }
    prerequisites::require(prerequisites::BUILD)?;
    let workspace = Workspace::find()?;
    let programs = if packages {
        slurm::out_of_packages(&workspace)?
    } else {
        programs::build(&workspace)?;
        programs::folder(&workspace)
    };
    slurm::test(&workspace, &programs)?;
    Ok(ExitCode::SUCCESS)
}

fn test(arguments: &[OsString]) -> Result<ExitCode> {
    match TestOptions::parse(arguments) {
        Ok(options) => steps::test(&options),
        Err(what) => Ok(misused(&what, usage::TEST)),
    }
}

fn dist(arguments: &[OsString]) -> Result<ExitCode> {
    match DistOptions::parse(arguments) {
        Ok(options) => dist::dist(&options).map(|()| ExitCode::SUCCESS),
        Err(what) => Ok(misused(&what, usage::DIST)),
    }
}
