//! The packages, installed, upgraded, removed and purged where admins do that; started by `cargo xtask packages`.
//!
//! It starts itself twice. Outside, it finds or builds the roots; this is the only part that may use the network. Inside new
//! pid, mount, network and UTS namespaces it then runs the cases, each on a fresh copy of a root that is gone afterwards. The
//! inner one holds on to a pipe from the outer one and ends with it.

mod booted;
mod cases;
mod el;
mod first_hour;
mod manager;
mod packages;
mod site;
mod snapshot;
mod stage;
mod system;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use suite::{lifeline, terminal};

use crate::packages::Packages;
use crate::stage::Roots;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = if stage::is_inside(&arguments) { inside(&arguments) } else { outside() };
    done.unwrap_or_else(|failure| {
        terminal::error(&format!("{failure:#}"));
        ExitCode::FAILURE
    })
}

/// Everything that needs the machine: the packages, the roots, the namespaces.
fn outside() -> Result<ExitCode> {
    let packages = Packages::named()?;
    stage::enter(&packages, &Roots::ready()?)
}

/// The cases, and the table of them.
fn inside(arguments: &[OsString]) -> Result<ExitCode> {
    lifeline::hold();
    let (packages, roots) = stage::parse(arguments)?;
    let table = cases::run(&packages, &roots)?;
    terminal::line(&table.text());
    Ok(if table.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
