//! Where systemd and Slurm run.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use suite::shell::wait_until;
use suite::table::Table;

use crate::booted::{Booted, PATIENCE};
use crate::first_hour::{self, Wanted};
use crate::manager::Manager;
use crate::packages::{ALL, Build, Packages};
use crate::system::System;

/// A case on a system that has booted.
type Case = (&'static str, fn(&Booted<'_>) -> Result<()>);

const CASES: &[Case] = &[
    ("docs/first-hour.md works, command by command", the_first_hour),
    ("slurmctld and slurmd run on, the same processes, through install, upgrade and removal", daemons_run_on),
    (
        "slurmd that fails is started again, however often, and systemctl edit has the last word",
        started_again,
    ),
    ("the units renew, run hooks that reach systemd, and write metrics, each within its sandbox", units_work),
    ("a timer that was enabled runs through an upgrade, and ends with the package", a_timer_ends),
];

/// Each on a system of its own.
pub(super) fn run(table: &mut Table, root: &Path, packages: &Packages) {
    for (what, case) in CASES {
        super::take(table, &format!("sid, running: {what}"), || {
            case(&Booted::start(System::copy_of(root, Manager::Dpkg, packages)?)?)
        });
    }
}

fn the_first_hour(on: &Booted<'_>) -> Result<()> {
    for step in first_hour::steps() {
        let said = step.take(on).with_context(|| logs(on))?;
        ensure!(
            step.wanted != Wanted::Done || !said.contains("if it should be"),
            "an owner is doubtful: {said}"
        );
        let names_it = said.contains("this host's Slurm has no tls_s2n.so");
        ensure!(step.wanted != Wanted::Refused || names_it, "{said}");
    }
    Ok(())
}

fn logs(on: &Booted<'_>) -> String {
    let said = on.sh("systemctl --no-pager --lines=15 status slurmctld slurmd || :");
    said.unwrap_or_else(|failure| format!("{failure:#}"))
}

/// The document's own cluster, before any node is enrolled and anything is turned on.
fn a_cluster(on: &Booted<'_>) -> Result<()> {
    let steps = first_hour::steps();
    let has_key = |step: &first_hour::Step| step.commands.contains("auth-key init");
    let last = steps.iter().position(has_key).context("the document makes no key of auth/slurm")?;
    // The first one installs, which is done.
    for step in steps.iter().take(last + 1).skip(1) {
        step.take(on)?;
    }
    on.sh("systemctl start slurmctld slurmd").with_context(|| logs(on))?;
    wait_until("slurmd is idle", PATIENCE, || {
        let idle = on.outcome("sinfo --noheader --states=idle --format=%N")?;
        Ok(String::from_utf8_lossy(&idle.stdout).contains(crate::booted::NAME))
    })
    .with_context(|| logs(on))
}

fn processes(on: &Booted<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for unit in ["slurmctld", "slurmd"] {
        ensure!(on.property(unit, "ActiveState")? == "active", "{unit} does not run\n{}", logs(on));
        for name in ["MainPID", "ExecMainStartTimestampMonotonic", "NRestarts"] {
            found.push(on.property(unit, name)?);
        }
    }
    Ok(found)
}

fn daemons_run_on(on: &Booted<'_>) -> Result<()> {
    on.install(Build::Release, &ALL)?;
    a_cluster(on)?;
    let before = processes(on)?;
    on.install(Build::Later, &ALL)?;
    ensure!(processes(on)? == before, "an upgrade touched them");
    on.remove_all()?;
    ensure!(processes(on)? == before, "a removal touched them");
    ensure!(on.property("slurmd", "Restart")? == "no", "systemd still has the drop-in");
    on.install(Build::Release, &ALL)?;
    ensure!(processes(on)? == before, "an install touched them");
    ensure!(on.property("slurmd", "Restart")? == "on-failure", "systemd has not read the drop-in");
    ensure!(on.property("slurmd", "NeedDaemonReload")? == "no", "systemd has not read all of it");
    Ok(())
}

fn started_again(on: &Booted<'_>) -> Result<()> {
    on.install(Build::Release, &ALL)?;
    for unit in ["slurmd", "sackd"] {
        for (name, wanted) in
            [("Restart", "on-failure"), ("RestartUSec", "30s"), ("StartLimitIntervalUSec", "0")]
        {
            let is = on.property(unit, name)?;
            ensure!(is == wanted, "{unit}: {name} is {is}, not {wanted}");
        }
    }
    // As `systemctl edit` writes it, so that thirty seconds need not pass each time.
    let edited = "/etc/systemd/system/slurmd.service.d";
    on.sh(&format!(
        "mkdir {edited} && printf '[Service]\\nRestartSec=100ms\\n' > {edited}/override.conf && systemctl daemon-reload"
    ))?;
    // With such a slurm.conf it ends at once. systemd gives up after five times, unless it is told not to.
    on.sh("echo NoSuchKey=1 > /etc/slurm/slurm.conf")?;
    let _ = on.outcome("systemctl start --no-block slurmd")?;
    wait_until("slurmd is started for the seventh time", PATIENCE, || {
        Ok(on.property("slurmd", "NRestarts")?.parse::<u32>()? >= 6)
    })
    .with_context(|| logs(on))
}

/// With a pair that is due from its first minute, since it is dated back, and a hook that does what a renewal does with
/// `activate = true` where Slurm has TLS.
const DUE_AT_ONCE: &str = r#"cat > /etc/slurm/slurm-pki.toml <<END
[daemons.ctld]
validity = "30m"
renew_at = 0.1
[metrics]
textfile = "/var/lib/prometheus/node-exporter/slurm-pki.prom"
END
mkdir -p /etc/slurm/slurm-pki.d /var/lib/prometheus/node-exporter
cat > /etc/slurm/slurm-pki.d/restart <<END
#!/bin/sh
touch /usr/outside
[ "\$SLURM_PKI_EVENT" != renewed ] || systemctl restart slurmctld
END
chmod 0755 /etc/slurm/slurm-pki.d/restart
slurm-pki cert renew --force
rm /usr/outside
"#;

fn units_work(on: &Booted<'_>) -> Result<()> {
    on.install(Build::Release, &ALL)?;
    a_cluster(on)?;
    on.sh(DUE_AT_ONCE)?;
    let state = || -> Result<[String; 2]> {
        Ok([on.sh("readlink /etc/slurm/.slurm-pki/ctld/current")?, on.property("slurmctld", "MainPID")?])
    };
    let ([pair, pid], journal) =
        (state()?, "journalctl --no-pager -u slurm-pki-renew -u slurm-pki-metrics || :");
    on.sh("systemctl start slurm-pki-renew").with_context(|| on.sh(journal).unwrap_or_default())?;
    let [new_pair, new_pid] = state()?;
    ensure!(pair != new_pair, "nothing was renewed");
    ensure!(!on.sh("ls /usr")?.contains("outside"), "there is no sandbox: a hook could write to /usr");
    ensure!(pid != new_pid && new_pid != "0", "the hook did not reach systemd: slurmctld is still {pid}");
    on.sh("systemctl start slurm-pki-metrics").with_context(|| on.sh(journal).unwrap_or_default())?;
    let metrics = on.sh("cat /var/lib/prometheus/node-exporter/slurm-pki.prom")?;
    ensure!(metrics.contains("slurm_pki_last_run_timestamp_seconds "), "{metrics}");
    let unread = |line: &&str| line.starts_with("slurm_pki_part_readable{") && line.ends_with(" 0");
    ensure!(!metrics.lines().any(|line| unread(&line)), "a part could not be read: {metrics}");
    Ok(())
}

fn a_timer_ends(on: &Booted<'_>) -> Result<()> {
    on.install(Build::Release, &ALL)?;
    on.sh("systemctl enable --now slurm-pki-metrics.timer")?;
    let state = || on.property("slurm-pki-metrics.timer", "ActiveState");
    ensure!(state()? == "active", "the timer does not run");
    on.install(Build::Later, &ALL)?;
    ensure!(state()? == "active", "an upgrade stopped the timer");
    on.remove_all()?;
    ensure!(state()? == "inactive", "the timer of a program that is gone runs on");
    let links = on.sh("find /etc/systemd/system -name 'slurm-pki*'")?;
    ensure!(links.trim().is_empty(), "{links}");
    Ok(())
}
