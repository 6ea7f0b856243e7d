//! Slurm's own commands, as this command runs them.

use std::process::Command;

/// Variables that change how a Slurm command proves who it is: the admin's own login counts here, not a leftover token.
pub(crate) const AUTHENTICATION: [&str; 3] = ["SLURM_JWT", "SLURM_SACK_KEY", "SLURM_SACK_JWKS"];

/// One of them, found through PATH.
pub(crate) fn new(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in AUTHENTICATION {
        command.env_remove(name);
    }
    command
}
