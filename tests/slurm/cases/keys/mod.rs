//! The cluster's keys: auth/slurm and JWT, on a cluster of hosts with slurmdbd, slurmrestd, its proxies and an OpenID
//! provider.

mod jwt;
mod proxies;
mod rotation;

use super::hosts;
use crate::lab::Lab;
use crate::table::Table;

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
    hosts::group(table, lab, &groups);
}
