//! The cluster's keys: auth/slurm and JWT, on a cluster of hosts with slurmdbd, slurmrestd, its proxies and an OpenID
//! provider.

mod hosts;
mod jwt;
mod proxies;
mod rotation;

use anyhow::{Result, bail};

use self::hosts::Hosts;
use crate::lab::Lab;
use crate::table::Table;

/// A case on such a cluster; what it returns is printed below the table.
type Case = (&'static str, fn(&mut Hosts<'_>) -> Result<Vec<String>>);

/// What they run besides Slurm's commands. Debian's packages in the root have all of it.
const NEEDED: [&str; 8] = [
    "/usr/sbin/slurmdbd",
    "/usr/sbin/slurmrestd",
    "/usr/sbin/mariadbd",
    "/usr/sbin/nginx",
    "/usr/sbin/apache2",
    "/usr/bin/node",
    "/usr/bin/curl",
    "/usr/bin/openssl",
];

/// All of them, where the root has what they need.
pub(super) fn run(table: &mut Table, lab: &Lab) {
    let groups = [jwt::CASES, proxies::CASES, rotation::CASES].concat();
    let missing: Vec<_> = NEEDED.into_iter().filter(|program| !lab.has_program(program)).collect();
    if !missing.is_empty() {
        table.note(format!("not run, since here is no {}:", missing.join(", ")));
        groups.iter().for_each(|(name, _)| table.note(format!("  {name}")));
        return;
    }
    group(table, lab, &groups);
}

fn group(table: &mut Table, lab: &Lab, cases: &[Case]) {
    let mut hosts = Hosts::up(lab);
    for (name, case) in cases {
        let mut notes = Vec::new();
        table.run(name, || match &mut hosts {
            Ok(hosts) => case(hosts).map(|says| notes = says),
            Err(failure) => bail!("no cluster: {failure:#}"),
        });
        notes.into_iter().for_each(|note| table.note(note));
    }
}
