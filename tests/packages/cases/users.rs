//! slurmctld's user: made where there is none, and otherwise left as he is.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};

use super::Case;
use crate::manager::Manager;
use crate::packages::{ALL, Build};
use crate::site;
use crate::system::System;

pub(super) const CASES: &[Case] = &[
    ("a user slurm is made where there is none, and cannot log in", one_is_made),
    ("a user slurm with uid 12345 stays as he is, and what is made is his", the_sites_own_stays),
    ("a group slurm without a user is taken", the_group_is_taken),
    ("with another SlurmUser no user slurm is made, and what is made is his", another_slurm_user),
];

/// Where users come from elsewhere than /etc.
pub(super) const DIRECTORY: &[Case] = &[(
    "a user slurm that only a directory knows is found, and none is made beside him",
    known_to_a_directory,
)];

/// Where Debian's Slurm is installed.
pub(super) const DEBIANS: &[Case] = &[("the user of Debian's Slurm stays as he is", debians_stays)];

/// Debian's Slurm brought one in one of the systems.
fn without_one(system: &System<'_>) -> Result<()> {
    system.sh("userdel slurm 2>/dev/null; groupdel slurm 2>/dev/null; :")?;
    ensure!(system.user("slurm")?.is_none(), "there is a user slurm");
    Ok(())
}

fn one_is_made(system: &System<'_>) -> Result<()> {
    without_one(system)?;
    system.install(Build::Release, &ALL)?;
    let made = system.user("slurm")?.context("no user was made")?;
    ensure!(
        made.ends_with(":/nonexistent:/usr/sbin/nologin") || made.ends_with(":/nonexistent:/sbin/nologin"),
        "{made}"
    );
    let uid: u32 = made.split(':').nth(2).context("no uid")?.parse()?;
    let wanted = if system.manager == Manager::Dpkg { 64030..64031 } else { 1..1000 };
    ensure!(wanted.contains(&uid), "uid {uid}");
    let password = system.sh("getent shadow slurm")?;
    ensure!(password.starts_with("slurm:!"), "a password may be given");
    rotates(system)
}

/// logrotate knows the user that it is to become.
fn rotates(system: &System<'_>) -> Result<()> {
    if system.has("/usr/sbin/logrotate") {
        system.write("/tmp/state", "logrotate state -- version 2\n")?;
        let said = system.sh("logrotate --debug --state /tmp/state /etc/logrotate.d/slurm-pki")?;
        ensure!(!said.contains("error"), "{said}");
    }
    Ok(())
}

fn the_sites_own_stays(system: &System<'_>) -> Result<()> {
    without_one(system)?;
    system.sh(
        "groupadd -g 12346 hpc && useradd -u 12345 -g hpc -d /home/slurm -s /bin/bash -c Cluster slurm",
    )?;
    let before = system.sh("cat /etc/passwd /etc/group /etc/shadow")?;
    system.install(Build::Release, &ALL)?;
    let after = system.sh("cat /etc/passwd /etc/group /etc/shadow")?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    site::slurm_conf(system, "slurm")?;
    system.sh("slurm-pki init")?;
    let found = system.path("/var/lib/slurm-pki").metadata()?;
    ensure!((found.uid(), found.gid()) == (12345, 12346), "{}:{}", found.uid(), found.gid());
    Ok(())
}

fn the_group_is_taken(system: &System<'_>) -> Result<()> {
    without_one(system)?;
    system.sh("groupadd -g 4321 slurm")?;
    system.install(Build::Release, &ALL)?;
    let made = system.user("slurm")?.context("no user was made")?;
    ensure!(made.split(':').nth(3) == Some("4321"), "{made}");
    Ok(())
}

fn another_slurm_user(system: &System<'_>) -> Result<()> {
    without_one(system)?;
    system.sh("useradd -r -u 777 hpcadmin; mkdir -p /etc/slurm")?;
    site::slurm_conf(system, "hpcadmin")?;
    let said = system.install(Build::Release, &ALL)?;
    ensure!(said.contains("SlurmUser in /etc/logrotate.d/slurm-pki"), "{said}");
    ensure!(system.user("slurm")?.is_none(), "a user slurm was made");
    system.sh("slurm-pki init")?;
    let found = system.path("/var/lib/slurm-pki/ca").metadata()?;
    ensure!(found.uid() == 777, "{}", found.uid());
    Ok(())
}

fn known_to_a_directory(system: &System<'_>) -> Result<()> {
    without_one(system)?;
    system.sh(
        "sed -i 's/^passwd:.*/passwd: files extrausers/' /etc/nsswitch.conf && mkdir -p /var/lib/extrausers",
    )?;
    system
        .write("/var/lib/extrausers/passwd", "slurm:x:23456:23456:Slurm:/nonexistent:/usr/sbin/nologin\n")?;
    let known = system.user("slurm")?.context("the directory is not asked")?;
    let before = system.text("/etc/passwd")?;
    system.install(Build::Release, &ALL)?;
    ensure!(system.text("/etc/passwd")? == before, "a user was made beside {known}");
    ensure!(system.user("slurm")?.as_ref() == Some(&known), "another slurm is found");
    Ok(())
}

fn debians_stays(system: &System<'_>) -> Result<()> {
    let before = system.user("slurm")?.context("Debian's Slurm brought no user")?;
    let files = system.sh("cat /etc/passwd /etc/group")?;
    system.install(Build::Release, &ALL)?;
    ensure!(system.user("slurm")?.as_ref() == Some(&before), "another user than {before}");
    ensure!(system.sh("cat /etc/passwd /etc/group")? == files, "a user or group came");
    Ok(())
}
