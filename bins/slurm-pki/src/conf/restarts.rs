//! What is left for a person to do when the files are changed: the order of restarts, and what shows that it worked.

use super::subject::Subject;
use crate::report;

/// Whether it is about to begin or to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// On.
    On,
    /// Off.
    Off,
}

/// Prints the steps. Daemons with and without TLS, or auth/slurm, do not talk to each other, so each waits for the one
/// before.
pub(super) fn print(subject: Subject, turn: Turn) {
    if subject == Subject::Jwt {
        return print_jwt(turn);
    }
    let (copy, last) = match (subject, turn) {
        (Subject::AuthSlurm, Turn::On) => (
            "the same slurm.conf to every host that has one of its own; the key is on all hosts",
            "slurm-pki check; scontrol show config | grep -e AuthType -e CredType; munged is not needed by Slurm any more",
        ),
        (Subject::AuthSlurm, Turn::Off) => (
            "the same slurm.conf to every host that has one of its own; check: munge -n | unmunge on all hosts",
            "scontrol show config | grep -e AuthType -e CredType",
        ),
        (_, Turn::On) => (
            "the same slurm.conf to every host that has one of its own, the CA certificate to all hosts",
            "slurm-pki check; scontrol show config | grep -i -e TLSType -e Certmgr -e Certgen",
        ),
        (_, Turn::Off) => (
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

/// No daemon of a node reads these keys, and slurmctld reads them when it is told to; slurmdbd and those that stand by
/// only when they start (docs/slurm-contract.md 6).
fn print_jwt(turn: Turn) {
    let (restd, last) = match turn {
        Turn::On => (
            "with SLURM_JWT=daemon in its environment",
            "slurm-pki check; a token answers: env $(slurm-pki jwt token) scontrol ping",
        ),
        Turn::Off => (
            "or stop it: without tokens nobody gets in",
            "scontrol show config | grep AuthAltTypes (it must not say auth/jwt); old tokens are refused",
        ),
    };
    report::line("Next, while Slurm runs; nothing counts before that:");
    for line in [
        "  1. copy the same slurm.conf to every host that has one of its own",
        "  2. systemctl restart slurmdbd    on its host;            check: sacctmgr -n list cluster",
        "  3. systemctl restart slurmctld   on those that stand by; check: scontrol ping",
        "  4. scontrol reconfigure          on the primary;         check: scontrol ping (its exit code says nothing)",
    ] {
        report::line(line);
    }
    report::line(&format!("  5. systemctl restart slurmrestd  {restd}"));
    report::line(&format!("  6. {last}"));
}
