//! CA and records in a Vault, by a stand-in on the loopback, beside the same programs with everything in files.

use std::time::Duration;

use support::site::Site;
use vault_stand_in::Fault;

use crate::meter::Meter;
use crate::scale::Scale;
use crate::scene::{NODE, our_site, seven};
use crate::table::{Cell, Table};

/// How long the stand-in waits before each answer.
const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(20)];

/// The two that ask.
const ASK: [&str; 2] = ["validate_node_token", "sign_csr"];

pub(crate) fn measured(scale: Scale) -> Table {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let files = our_site(memory.path(), None);
    let vaults = DELAYS.map(|delay| vault_site(memory.path(), delay));
    let meters = |site: &Site| {
        let asking = seven(site).into_iter().filter(|call| ASK.contains(&call.name.as_str()));
        asking.map(|call| (call.name.clone(), Meter::of(&call))).collect::<Vec<_>>()
    };
    let mut local = meters(&files);
    let mut remote: Vec<_> = vaults.iter().map(meters).collect();
    for _ in 0..scale.few {
        let all = local.iter_mut().chain(remote.iter_mut().flatten());
        all.for_each(|(_, meter)| meter.run());
    }
    let row = |delay: Duration, (name, vault): &(String, Meter), (_, files): &(String, Meter)| {
        let (vault, files) = (vault.wall(), files.wall());
        vec![
            Cell::text(format!("{name}, {} ms", delay.as_millis())),
            Cell::millis(vault.min()),
            Cell::millis(vault.median()),
            Cell::millis(vault.max()),
            Cell::millis(files.median()),
            Cell::millis(vault.median() - files.median()),
        ]
    };
    let rows = DELAYS.iter().zip(&remote).flat_map(|(&delay, meters)| {
        meters.iter().zip(&local).map(move |(vault, files)| row(delay, vault, files))
    });
    Table {
        name: "vault",
        caption: format!(
            "A stand-in for Vault on the loopback that waits so long before each answer, {} runs of each; ms.",
            scale.few
        ),
        columns: vec!["program, each answer after", "min", "median", "longest", "in files", "more"],
        rows: rows.collect(),
    }
}

/// CA and records in a Vault of its own; everything else as in our site.
fn vault_site(memory: &std::path::Path, delay: Duration) -> Site {
    let mut site = Site::in_vault();
    site.enrol(NODE);
    site.set("node", "key_dir", memory.join("keys").to_str().unwrap());
    site.write_config();
    if !delay.is_zero() {
        site.vault().server.fail("", Fault::Slow(delay), u32::MAX);
    }
    site
}
