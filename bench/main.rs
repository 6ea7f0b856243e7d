//! What each of the seven costs as a whole process: beside a program that does nothing, and beside the shell
//! script that it replaces. `cargo xtask bench` builds all of them and runs this.
//!
//! Nothing passes or fails by the clock. In every round each program runs once, so that a busy moment of the
//! machine meets them all; the table shows medians, minima and ratios.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken premise stops the measurement")]

mod options;
mod run;
mod scene;
mod table;

use std::process::ExitCode;

use crate::options::Options;
use crate::run::Costs;
use crate::scene::Scene;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => {
            let mut scene = Scene::new();
            let costs = Costs::measured(&mut scene, options.rounds);
            table::print(&costs, options.rounds);
            ExitCode::SUCCESS
        }
        Err(what) => table::misused(&what),
    }
}
