//! `slurm-pki`: what a person does for the trust of a Slurm cluster.
//!
//! One file per command; what they share is the site as an admin sees it ([`admin`]), and one place
//! that talks to the person ([`report`]).

mod admin;
mod advice;
mod cli;
mod report;
mod slurm_conf;

use std::process::ExitCode;

use clap::Parser as _;

/// Exit codes: 0 done, 1 failed, 64 usage (EX_USAGE of sysexits(3)).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            report::error(&e);
            ExitCode::FAILURE
        }
    }
}
