//! A later version on top.

use anyhow::{Result, ensure};

use super::Case;
use crate::packages::{ALL, Build, CLIENT};
use crate::site::{self, CONFIG};
use crate::snapshot::Snapshot;
use crate::system::System;

pub(super) const CASES: &[Case] =
    &[("an upgrade keeps an edited config, keys, records, the ledger and enabled timers", keeps_the_site)];

/// dpkg asks about config, and can be told what to answer.
pub(super) const DPKGS: &[Case] =
    &[("a newer config is laid beside an edited one, which stays", a_newer_config_is_laid_beside)];

/// What `systemctl enable` makes.
pub(super) const ENABLED: &str = "/etc/systemd/system/timers.target.wants/slurm-pki-renew.timer";

fn keeps_the_site(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    site::set_up(system)?;
    system.sh("systemctl enable slurm-pki-renew.timer")?;
    ensure!(system.has(ENABLED), "the timer is not enabled");
    let before = Snapshot::of(system, &site::FOLDERS)?;
    ensure!(before.len() > 10, "a site of {} files", before.len());
    let former = system.version(CLIENT)?;
    system.install(Build::Later, &ALL)?;
    ensure!(system.version(CLIENT)? != former, "the version is still {former:?}");
    before.same_as(&Snapshot::of(system, &site::FOLDERS)?)?;
    ensure!(system.has(ENABLED), "the timer is no longer enabled");
    site::works(system)
}

/// The same package with one more line in its config and a version that is later still.
fn a_newer_config_is_laid_beside(system: &System<'_>) -> Result<()> {
    system.install(Build::Release, &ALL)?;
    site::set_up(system)?;
    let edited = system.text(CONFIG)?;
    let file = system.file(Build::Later, CLIENT)?;
    system.sh(&format!("dpkg-deb --raw-extract {file} /tmp/newer"))?;
    system.sh("sed -i 's/^Version: .*/&.1/' /tmp/newer/DEBIAN/control")?;
    system.sh(&format!("echo '# newer' >> /tmp/newer{CONFIG}"))?;
    system.sh("dpkg-deb --build /tmp/newer /tmp/newer.deb && dpkg --remove slurm-pki-node slurm-pki-controller slurm-pki")?;
    system.sh("dpkg --force-confdef --force-confold --install /tmp/newer.deb")?;
    ensure!(system.text(CONFIG)? == edited, "the edited config was replaced");
    let beside = system.text(&format!("{CONFIG}.dpkg-dist"))?;
    ensure!(beside.ends_with("# newer\n"), "no newer config beside it");
    Ok(())
}
