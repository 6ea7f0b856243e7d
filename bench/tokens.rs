//! Whether a token is judged as quickly among a million nodes as among a hundred.

use std::fs;
use std::process::Command;

use support::crowd::at_once;
use support::site::Site;
use tempfile::TempDir;

use crate::meter::Meter;
use crate::scale::Scale;
use crate::scene::{NODE, our_site, seven};
use crate::table::{Cell, Table};

pub(crate) fn measured(scale: Scale) -> Table {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let sites: Vec<Site> = scale.enrolled.iter().map(|&count| site_of(&memory, count)).collect();
    let call = |site: &Site| seven(site).into_iter().find(|call| call.name == "validate_node_token").unwrap();
    let mut meters: Vec<Meter> = sites.iter().map(|site| Meter::of(&call(site))).collect();
    for _ in 0..scale.rounds {
        meters.iter_mut().for_each(Meter::run);
    }
    let smallest = meters[0].wall().median();
    let row = |(&count, meter): (&usize, &Meter)| {
        let wall = meter.wall();
        vec![
            Cell::count(count),
            Cell::micros(wall.min()),
            Cell::micros(wall.median()),
            Cell::ratio(wall.median(), smallest),
            Cell::Number(meter.peak_kib().median(), 0),
        ]
    };
    Table {
        name: "tokens",
        caption: format!(
            "validate_node_token, {} runs of each in turns, the store in memory (tmpfs); µs.",
            scale.rounds
        ),
        columns: vec!["enrolled nodes", "min", "median", "÷ the smallest", "peak KiB"],
        rows: scale.enrolled.iter().zip(&meters).map(row).collect(),
    }
}

/// One node that asks, and others whose records are like its own.
fn site_of(memory: &TempDir, count: usize) -> Site {
    let mut site = our_site(memory.path(), None);
    let state = memory.path().join(format!("state-{count}"));
    assert!(Command::new("cp").arg("-a").arg(site.path("state")).arg(&state).status().unwrap().success());
    site.set("", "state_dir", state.to_str().unwrap());
    site.write_config();
    let (tokens, record) = (state.join("tokens"), site.read(&format!("state/tokens/{NODE}.json")));
    let others: Vec<usize> = (1..count).collect();
    at_once(4, &others, |n| fs::write(tokens.join(format!("other{n}.json")), &record).unwrap());
    site
}
