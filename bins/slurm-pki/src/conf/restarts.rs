//! What is left for a person to do when the files are changed: the order of restarts, and what shows that it worked.

use crate::report;

/// Whether TLS is about to begin or to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// On.
    On,
    /// Off.
    Off,
}

/// Prints the steps. Daemons with and without TLS do not talk to each other, so each waits for the one before.
pub(super) fn print(turn: Turn) {
    let (copy, last) = match turn {
        Turn::On => (
            "the same slurm.conf to every host that has one of its own, the CA certificate to all hosts",
            "slurm-pki check; scontrol show config | grep -i -e TLSType -e Certmgr -e Certgen",
        ),
        Turn::Off => (
            "the same slurm.conf to every host that has one of its own",
            "scontrol show config | grep -i TLSType (it must not say tls/s2n)",
        ),
    };
    report::line("Next, with every Slurm daemon stopped on all hosts:");
    report::line(&format!("  1. copy {copy}"));
    for line in [
        "  2. systemctl start slurmdbd      on its host;            check: sacctmgr -n list cluster",
        "  3. systemctl start slurmctld     the primary, then those that stand by; check: scontrol ping",
        "  4. systemctl start slurmrestd    where there is one;     check: its log has no error",
        "  5. systemctl start slurmd sackd  on every host;          check: sinfo, then srun -N1 hostname",
    ] {
        report::line(line);
    }
    report::line(&format!("  6. {last}"));
}
