//! A real Slurm, in a root and in namespaces of its own, runs the built programs; started by `cargo xtask slurm`.
//!
//! It starts itself twice. Outside, it finds or builds a root with Slurm and compiles the probe; this is the only part
//! that may use the network. Inside new pid, mount, network and UTS namespaces it then runs the cases. The
//! inner one holds on to a pipe from the outer one and ends with it, however that ends; with the inner one its namespaces
//! end, and with them every daemon.
//!
//! With `bench` as its argument (and `quick` for little of it) it measures instead, and stdout is one JSON document.

mod bench;
mod cases;
mod cluster;
mod conf;
mod daemon;
mod host;
mod install;
mod lab;
mod log;
mod oidc;
mod probe;
mod requests;
mod site;
mod stage;
mod syslog;
mod tls;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::install::Install;
use crate::lab::Lab;
use crate::stage::{Staged, Work};
use suite::{lifeline, root, shell, table, terminal};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match stage::parse(&arguments) {
        Some(staged) => inside(staged),
        None => Work::parse(&arguments).and_then(outside),
    };
    done.unwrap_or_else(|failure| {
        terminal::error(&format!("{failure:#}"));
        ExitCode::FAILURE
    })
}

/// Everything that needs the machine: the root, the compiler, the namespaces.
fn outside(work: Work) -> Result<ExitCode> {
    let install = match std::env::var_os("SLURM_PREFIX") {
        Some(prefix) => Install::at(prefix.into())?,
        None => Install::debian(&root::SLURM.ready()?)?,
    };
    terminal::progress(&format!("Slurm: {}", install.described()?));
    let probe = probe::compile(&install)?;
    if let Work::Bench(_) = work {
        bench::compile(&install, &probe)?;
    }
    stage::enter(&install, &probe, &oidc::ready()?)
}

/// The cases and the table of them, or the measurements.
fn inside(Staged { work, root, prefix, plugins, probe }: Staged) -> Result<ExitCode> {
    lifeline::hold();
    let lab = Lab::of(root, prefix, plugins, &probe)?;
    match work {
        Work::Cases => {
            let table = cases::run(&lab);
            terminal::line(&table.text());
            Ok(if table.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Work::Bench(scale) => {
            terminal::line(&format!("{:#}", bench::run(&lab, &probe, scale)?));
            Ok(ExitCode::SUCCESS)
        }
    }
}
