//! `slurm-pki`: what a person does for the trust of a Slurm cluster.
//!
//! One file per command; what they share is the site as an admin sees it ([`admin`]), and one place
//! that talks to the person ([`report`]).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests work in folders of their own"))]

mod activation;
mod admin;
mod advice;
mod auth_key;
mod ca;
mod cert;
mod check;
mod checks;
mod cli;
mod completions;
mod conf;
mod daemon_files;
mod dated_copy;
mod demo;
#[cfg(test)]
mod documented;
mod exit;
mod fleet;
mod global;
mod handshake;
mod help;
mod hooks;
mod hostlist;
mod init;
mod interrupt;
mod jwt;
mod key_facts;
mod key_files;
mod key_type;
mod ledger;
mod making;
mod manual;
mod members;
mod metrics;
mod moment;
mod node;
mod node_line;
mod parameters;
mod point;
mod probe;
mod programs;
mod rehearse;
mod reload;
mod renewal_period;
mod report;
mod shown_node;
mod slurm_command;
mod slurm_conf;
mod slurm_files;
mod slurm_lines;
mod slurm_number;
mod slurm_plugins;
mod slurm_run;
mod status;
mod timed;
mod vault;

use std::process::ExitCode;

use crate::exit::Codes;

fn main() -> ExitCode {
    let codes = || Codes::of(std::env::args_os());
    let cli = match cli::Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { codes().usage() } else { ExitCode::SUCCESS };
        }
    };
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(e) => {
            report::error(&e);
            codes().of_error(&e)
        }
    }
}
