//! What systemd makes of the units as they are installed. (systemd itself does not run here.)

use anyhow::{Result, ensure};

use super::Case;
use crate::packages::{ALL, Build};
use crate::system::System;

pub(super) const CASES: &[Case] =
    &[("systemd finds nothing wrong with the installed units", nothing_is_wrong)];

/// Where Slurm's own units are.
pub(super) const SLURMS: &[Case] = &[("slurmd's and sackd's units take the drop-ins", drop_ins_are_taken)];

const UNITS: [&str; 5] = [
    "slurm-pki-renew",
    "slurm-pki-metrics",
    "slurm-pki-jwks",
    "slurm-pki-vault-renew",
    "slurm-pki-proxy-token@nginx",
];

fn nothing_is_wrong(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    for unit in UNITS {
        for kind in ["service", "timer"] {
            let said = system.sh(&format!("systemd-analyze verify --man=no {unit}.{kind}"))?;
            let ours: Vec<_> = said.lines().filter(|line| line.contains("slurm-pki")).collect();
            ensure!(ours.is_empty(), "{ours:?}");
        }
    }
    Ok(())
}

fn drop_ins_are_taken(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    for unit in ["slurmd", "sackd"] {
        let said = system.sh(&format!("systemd-analyze verify --man=no {unit}.service"))?;
        let ours: Vec<_> = said.lines().filter(|line| line.contains("slurm-pki")).collect();
        ensure!(ours.is_empty(), "{ours:?}");
    }
    Ok(())
}
