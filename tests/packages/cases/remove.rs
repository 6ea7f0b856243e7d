//! Packages that go, and what stays.

use anyhow::{Result, ensure};

use super::Case;
use super::upgrade::ENABLED;
use crate::packages::{ALL, Build};
use crate::site::{self, CONFIG};
use crate::snapshot::Snapshot;
use crate::system::System;

pub(super) const CASES: &[Case] = &[
    ("removed, programs, units and enabled timers go, and keys, records and the ledger stay", the_site_stays),
    ("installed again, they go on where they were", go_on_where_they_were),
];

/// Two ways to go.
pub(super) const DPKGS: &[Case] = &[
    ("removed, the config stays", the_config_stays),
    ("purged, the config goes, and keys, records and the ledger stay and are named", purged_keys_stay),
    ("purged where no site was made, nothing stays but the user", nothing_stays),
];

/// rpm keeps what was edited under another name.
pub(super) const RPMS: &[Case] = &[
    ("erased, an edited config is kept as .rpmsave", an_edited_config_is_saved),
    (
        "erased where no site was made, nothing stays but the user and Slurm's folder",
        nothing_but_slurms_folder_stays,
    ),
];

/// Keys, records, the ledger: all but config.
fn keys(system: &System<'_>) -> Result<Snapshot> {
    let all = Snapshot::of(system, &site::FOLDERS)?;
    Ok(all.without(|path| path == "/etc/slurm" || path.starts_with(CONFIG)))
}

fn with_a_site(system: &System<'_>) -> Result<Snapshot> {
    system.install(Build::Release, &ALL)?;
    site::set_up(system)?;
    system.sh("systemctl enable slurm-pki-renew.timer")?;
    let keys = keys(system)?;
    ensure!(keys.len() > 10, "a site of {} files", keys.len());
    Ok(keys)
}

fn the_site_stays(system: &System<'_>) -> Result<()> {
    let before = with_a_site(system)?;
    system.remove_all()?;
    before.same_as(&keys(system)?)?;
    for gone in ["/usr/libexec/slurm-pki", "/usr/sbin/slurm-pki", "/usr/share/slurm-pki"] {
        ensure!(!system.has(gone), "{gone} is still there");
    }
    let units = system.sh("find /usr/lib/systemd /etc/systemd -name '*slurm-pki*'")?;
    ensure!(units.trim().is_empty() && !system.has(ENABLED), "{units}");
    ensure!(system.user("slurm")?.is_some(), "the owner of the files is gone");
    Ok(())
}

fn go_on_where_they_were(system: &System<'_>) -> Result<()> {
    let before = with_a_site(system)?;
    system.remove_all()?;
    system.install(Build::Release, &ALL)?;
    before.same_as(&keys(system)?)?;
    let again = system.sh("slurm-pki init")?;
    ensure!(again.contains("exists") || again.contains("there"), "{again}");
    site::works(system)
}

fn the_config_stays(system: &System<'_>) -> Result<()> {
    with_a_site(system)?;
    let edited = system.text(CONFIG)?;
    system.remove_all()?;
    ensure!(system.text(CONFIG)? == edited, "the config is another one");
    ensure!(system.has("/etc/logrotate.d/slurm-pki"), "the ledger is not rotated any more");
    Ok(())
}

fn purged_keys_stay(system: &System<'_>) -> Result<()> {
    let before = with_a_site(system)?;
    let said = system.purge_all()?;
    ensure!(!system.has(CONFIG) && !system.has("/etc/logrotate.d/slurm-pki"), "config is still there");
    before.same_as(&keys(system)?)?;
    for folder in ["/var/lib/slurm-pki", "/etc/slurm/certmgr", "/etc/slurm/.slurm-pki"] {
        ensure!(said.contains(&format!("left in place: {folder},")), "{folder} is not named in\n{said}");
        ensure!(system.has(folder), "{folder} is gone");
    }
    Ok(())
}

fn an_edited_config_is_saved(system: &System<'_>) -> Result<()> {
    with_a_site(system)?;
    let edited = system.text(CONFIG)?;
    system.remove_all()?;
    ensure!(system.text(&format!("{CONFIG}.rpmsave"))? == edited, "the edited config is gone");
    Ok(())
}

/// What package managers and users' tools write for themselves.
const THEIRS: [&str; 13] = [
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/root/.rpmdb",
    "/var/log",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/.pwd.lock",
    "/run",
    "/tmp",
];

fn whole_system(system: &System<'_>) -> Result<Snapshot> {
    let all = Snapshot::outlines(system, &["/etc", "/usr", "/var", "/root", "/run"])?;
    Ok(all.without(|path| THEIRS.iter().any(|theirs| path.starts_with(theirs))))
}

fn nothing_stays(system: &System<'_>) -> Result<()> {
    let before = whole_system(system)?;
    system.install(Build::Release, &ALL)?;
    system.purge_all()?;
    before.same_as(&whole_system(system)?)
}

/// rpm's packages leave /etc/slurm to Slurm's, which give it an owner and a mode.
fn nothing_but_slurms_folder_stays(system: &System<'_>) -> Result<()> {
    system.sh("mkdir -p /etc/slurm")?;
    let before = whole_system(system)?;
    system.install(Build::Release, &ALL)?;
    system.remove_all()?;
    before.same_as(&whole_system(system)?)
}
