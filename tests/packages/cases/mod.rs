//! The cases, each on a fresh system.

mod install;
mod remove;
mod running;
mod units;
mod upgrade;
mod users;

use std::path::Path;

use anyhow::Result;
use suite::table::Table;

use crate::el;
use crate::manager::Manager;
use crate::packages::Packages;
use crate::stage::Roots;
use crate::system::System;

/// A case: what has to hold, and how it is shown.
type Case = (&'static str, fn(&System<'_>) -> Result<()>);

/// For whoever works on some cases: a part of their names; nothing else is run.
const ONLY: &str = "PACKAGE_SUITE_ONLY";

/// All of them on each system.
pub(crate) fn run(packages: &Packages, roots: &Roots) -> Result<Table> {
    let everywhere = [install::CASES, users::CASES, upgrade::CASES, remove::CASES, units::CASES].concat();
    let dpkgs = [upgrade::DPKGS, remove::DPKGS].concat();
    let mut table = Table::default();
    let debian = [everywhere.as_slice(), users::DIRECTORY, &dpkgs].concat();
    group(&mut table, "Debian 12", &debian, || System::copy_of(&roots.bookworm, Manager::Dpkg, packages));
    let with_slurm = [everywhere.as_slice(), users::DEBIANS, units::SLURMS, &dpkgs].concat();
    group(&mut table, "sid, Slurm", &with_slurm, || System::copy_of(&roots.sid, Manager::Dpkg, packages));
    let el = [everywhere.as_slice(), users::DIRECTORY, remove::RPMS].concat();
    group(&mut table, "rpm", &el, || fresh_el(&roots.el, packages));
    running::run(&mut table, &roots.sid, packages);
    if let Ok(only) = std::env::var(ONLY) {
        table.note(format!("{ONLY}: cases without {only} in their names were left out"));
    }
    table.note("rpm: Debian 11 with the rpm of EL 9 and a package that provides what EL 9's do; EL itself was not at hand");
    Ok(table)
}

fn fresh_el<'a>(root: &Path, packages: &'a Packages) -> Result<System<'a>> {
    let system = System::copy_of(root, Manager::Rpm, packages)?;
    el::prepare(&system)?;
    Ok(system)
}

/// Runs a case, unless others were asked for.
fn take(table: &mut Table, name: &str, case: impl FnOnce() -> Result<()>) {
    if std::env::var(ONLY).is_ok_and(|only| !name.contains(&only)) {
        return;
    }
    table.run(name, case);
}

fn group<'a>(table: &mut Table, name: &str, cases: &[Case], fresh: impl Fn() -> Result<System<'a>>) {
    for (what, case) in cases {
        take(table, &format!("{name}: {what}"), || case(&fresh()?));
    }
}
