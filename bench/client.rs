//! What a client command pays for its certificate: keygen and certgen, each run by Slurm's rules, with Slurm's own naps.

use std::time::Instant;

use support::programs::{program, reference};
use support::site::Site;
use support::slurm::Slurm;

use crate::figures::Figures;
use crate::scale::Scale;
use crate::table::{Cell, Table};

pub(crate) fn measured(scale: Scale) -> Table {
    let (ours, theirs) = (Site::new(), Site::foreign());
    let (ours, theirs) = (ours.slurm(), theirs.slurm());
    let pairs: Vec<[f64; 2]> =
        (0..scale.few).map(|_| [once(&ours, program), once(&theirs, reference)]).collect();
    let row = |name: &str, which: usize| {
        let times = Figures::of(pairs.iter().map(|pair| pair[which]));
        vec![
            Cell::text(name),
            Cell::millis(times.min()),
            Cell::millis(times.median()),
            Cell::millis(times.max()),
        ]
    };
    Table {
        name: "client",
        caption: format!(
            "Key and certificate of one client command, by the rules of Slurm's script runner (two scripts, and two naps of 10 ms or more), {} times; ms.",
            scale.few
        ),
        columns: vec!["with", "min", "median", "longest"],
        rows: vec![row("keygen, certgen", 0), row("the scripts", 1)],
    }
}

/// Seconds.
fn once(slurm: &Slurm, file: fn(&str) -> std::path::PathBuf) -> f64 {
    let begun = Instant::now();
    let key = slurm.run::<&str>(&file("keygen"), &[]).text();
    let _ = slurm.run(&file("certgen"), &[key.as_str()]).text();
    begun.elapsed().as_secs_f64()
}
