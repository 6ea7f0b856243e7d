//! The cases, in the order in which they run, each group on a cluster of its own.

mod admin;
mod certgen;
mod certtoken;
mod crowd;
mod enrolment;
mod handshakes;
mod hosts;
mod keys;
mod loaders;
mod nodes_on_hosts;
mod nodes_seen;
mod reading;
mod refusals;
mod renewal;
mod resume;
mod rollover;
mod secrets;
mod sign_and_die;
mod single_use;
mod takeover;
mod tls_on_hosts;
mod told;
mod with_tls;

use anyhow::{Result, bail};

use crate::cluster::Cluster;
use crate::conf::Conf;
use crate::lab::Lab;
use crate::table::Table;

/// A case: what has to hold, and how it is shown.
type Case = (&'static str, fn(&mut Cluster<'_>) -> Result<()>);

/// For whoever works on the cases of the keys, of cloud nodes, of slurm.conf or of TLS: nothing else is run.
const ONLY: &str = "SLURM_SUITE_ONLY";

/// All groups.
pub(crate) fn run(lab: &Lab) -> Table {
    let mut table = Table::default();
    let plain = Conf::default();
    if let Some(only) = std::env::var_os(ONLY) {
        table.note(format!("{ONLY}={}: all other cases were left out", only.display()));
        some(&mut table, lab, &only.to_string_lossy());
        return table;
    }
    let basic = [
        enrolment::CASES,
        certtoken::CASES,
        single_use::OURS,
        refusals::CASES,
        certgen::CASES,
        handshakes::CASES,
        crowd::CASES,
        told::CASES,
    ];
    group(&mut table, lab, &plain, &basic.concat());
    group(&mut table, lab, &renewal::conf(), renewal::CASES);
    group(&mut table, lab, &Conf { single_use_tokens: true, ..plain }, single_use::SLURMS);
    group(&mut table, lab, &sign_and_die::conf(), sign_and_die::CASES);
    group(&mut table, lab, &takeover::conf(), takeover::CASES);
    group(&mut table, lab, &resume::conf(), resume::CASES);
    admin::run(&mut table, lab);
    reading::run(&mut table, lab);
    with_tls::run(&mut table, lab);
    loaders::run(&mut table, lab);
    keys::run(&mut table, lab);
    table.run(told::NAME, || told::by_this_slurm(lab));
    table.run(secrets::NAME, || secrets::nowhere_in_the_logs(lab));
    table
}

/// One kind of them, with what it stands on.
fn some(table: &mut Table, lab: &Lab, only: &str) {
    match only {
        "keys" => keys::run(table, lab),
        "resume" => {
            group(table, lab, &Conf::default(), enrolment::CASES);
            group(table, lab, &resume::conf(), resume::CASES);
        }
        "conf" => {
            group(table, lab, &Conf::default(), enrolment::CASES);
            admin::run(table, lab);
            reading::run(table, lab);
        }
        "reading" => reading::run(table, lab),
        "told" => {
            group(table, lab, &Conf::default(), &[enrolment::CASES, told::CASES].concat());
            table.run(told::NAME, || told::by_this_slurm(lab));
        }
        "tls" => {
            group(table, lab, &Conf::default(), enrolment::CASES);
            admin::run(table, lab);
            with_tls::run(table, lab);
        }
        "rollover" => {
            group(table, lab, &Conf::default(), enrolment::CASES);
            with_tls::rollover_alone(table, lab);
        }
        "tls-on-hosts" => hosts::group(table, lab, &tls_on_hosts::cases()),
        _ => {
            table.run("one of keys, resume, conf, reading, told, tls, rollover, tls-on-hosts", || {
                bail!("{ONLY}={only}")
            });
        }
    }
}

/// Starts a cluster and runs its cases; all of them fail when it does not start.
fn group(table: &mut Table, lab: &Lab, conf: &Conf, cases: &[Case]) {
    let mut cluster = Cluster::up(lab, conf);
    for (name, case) in cases {
        table.run(name, || match &mut cluster {
            Ok(cluster) => case(cluster),
            Err(failure) => bail!("no cluster: {failure:#}"),
        });
    }
}
