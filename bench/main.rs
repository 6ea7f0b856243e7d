//! What the programs cost, beside what they replace. `cargo xtask bench` builds all of them and runs this.
//!
//! Nothing passes or fails by the clock. Whatever is compared runs in turns, so that a busy moment of the machine
//! meets all of it; the tables show medians, minima and ratios.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken premise stops the measurement"
)]

mod client;
mod figures;
mod instructions;
mod ledger;
mod machine;
mod meter;
mod nodes;
mod options;
mod peers;
mod plot;
mod programs;
mod report;
mod scale;
mod scene;
mod section;
mod sign;
mod slurm;
mod storm;
mod table;
mod tokens;
mod vault;

use std::process::ExitCode;

use crate::machine::Machine;
use crate::options::Options;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(what) => return report::misused(&what),
    };
    let machine = Machine::seen();
    let (mut tables, mut programs) = (Vec::new(), None);
    for section in &options.sections {
        report::begins(section.name());
        let measured = section.measure(options.scale);
        report::shows(&measured.tables);
        tables.extend(measured.tables);
        programs = programs.or(measured.programs);
        // Each time: what comes after may break.
        report::keeps(&options, &machine, &tables, programs.as_ref());
    }
    report::ends(&machine, programs.as_ref());
    ExitCode::SUCCESS
}
