//! The cases, each on a fresh system.

mod install;
mod remove;
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
    table.note("rpm: Debian 11 with the rpm of EL 9 and a package that provides what EL 9's do; EL itself was not at hand");
    Ok(table)
}

fn fresh_el<'a>(root: &Path, packages: &'a Packages) -> Result<System<'a>> {
    let system = System::copy_of(root, Manager::Rpm, packages)?;
    el::prepare(&system)?;
    Ok(system)
}

fn group<'a>(table: &mut Table, name: &str, cases: &[Case], fresh: impl Fn() -> Result<System<'a>>) {
    for (what, case) in cases {
        table.run(&format!("{name}: {what}"), || case(&fresh()?));
    }
}
