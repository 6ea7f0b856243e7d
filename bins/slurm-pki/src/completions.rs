//! `slurm-pki completions`: what a shell has to know to complete this command.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::report;

/// Print what bash, zsh or fish needs to complete slurm-pki
#[derive(Args, Debug)]
#[command(after_help = "The packages bring it along; this is for an installation without them.\n\n\
    Examples:\n  \
    slurm-pki completions bash > /etc/bash_completion.d/slurm-pki\n  \
    slurm-pki completions zsh > /usr/local/share/zsh/site-functions/_slurm-pki\n  \
    slurm-pki completions fish > ~/.config/fish/completions/slurm-pki.fish\n  \
    source <(slurm-pki completions bash)          for this shell alone")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Known,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        let shell = match self.shell {
            Known::Bash => Shell::Bash,
            Known::Zsh => Shell::Zsh,
            Known::Fish => Shell::Fish,
        };
        clap_complete::generate(shell, &mut crate::cli::command(), "slurm-pki", &mut script);
        // clap_complete's script for bash writes the hyphen of our name in two ways, and would never find a command.
        let script = String::from_utf8(script)?.replace("slurm__subcmd__pki", "slurm__pki");
        report::raw_line(script.trim_end());
        Ok(())
    }
}
