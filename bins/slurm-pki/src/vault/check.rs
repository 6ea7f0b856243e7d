//! `slurm-pki vault check`: the part of `slurm-pki check` that looks at Vault, alone.

use std::time::Duration;

use clap::Args;

use crate::exit::Exit;
use crate::global::Global;
use crate::moment;

/// Look whether Vault is there and as it must be, and whether each login has the rights it needs and no more
#[derive(Args, Debug)]
#[command(
    after_help = "It enters as slurmctld's programs do, as the timer that renews daemons' pairs does where that has a \
    login of its own, and with your own token where there is one (vault login): that one sees mounts, roles, issuer and \
    audit devices. What could not be looked at is said. Nothing in Vault is changed; here, as with other \
    commands, a renewal of a daemon's pair that was killed half way is ended first, which is said on stderr.\n\n\
    Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown, or wrong usage.\n\n\
    Examples:\n  \
    slurm-pki vault check\n  \
    slurm-pki vault check --all                     what is well, too\n  \
    slurm-pki vault check --quiet --critical 12h    one line, for a monitor\n  \
    slurm-pki vault check --json | jq -r '.data.findings[] | select(.severity != \"ok\") | .code'"
)]
pub(crate) struct Check {
    /// Findings that do not count, by their code; they are told all the same
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    skip: Vec<String>,
    /// How long before an end to warn; else warn under check in the config, 30d
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    warn: Option<Duration>,
    /// How long before an end it is critical; else critical under check in the config, 7d
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    critical: Option<Duration>,
    /// List what is well, too
    #[arg(long)]
    all: bool,
}

impl Check {
    /// Looks, and says.
    ///
    /// # Errors
    /// When the command line means nothing.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        crate::check::Check::of_vault(&self.skip, self.warn, self.critical, self.all).run(global)
    }
}
