//! The options that every command has.

use std::path::PathBuf;

use clap::Args;

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Config file; else $SLURM_PKI_CONF, else /etc/slurm/slurm-pki.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print results as JSON, with the name and version of their schema
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say what would be done, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Answer every question with yes
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
    /// Say nothing but errors, warnings and results
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}
