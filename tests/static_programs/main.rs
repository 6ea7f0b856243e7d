//! What is promised of the seven as `cargo xtask build` makes them: each carries all it needs, looks nobody
//! up, opens the few files that it must, and runs where there is nothing else at all.
//!
//! A debug build promises none of this: there, and where a test needs root, it is shown as ignored, by name.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod chroot;
mod exchange;
mod linkage;
mod opened;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use support::programs;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_built = !programs::program("keygen").parent().unwrap().ends_with("debug");
    let is_root = rustix::process::geteuid().is_root();
    let built = [
        trial("nothing_in_them_looks_a_user_or_a_host_up", linkage::looks_nobody_up),
        trial("they_ask_for_no_loader_and_no_library", linkage::is_static),
        trial("each_is_small", linkage::is_small),
        trial("each_opens_the_files_it_must_and_no_other", opened::nothing_else),
    ];
    let built = built.into_iter().map(|trial| {
        let trial = if is_built { trial } else { trial.with_kind("needs cargo xtask build") };
        trial.with_ignored_flag(!is_built)
    });
    let alone = [
        trial("each_runs_in_an_empty_root_with_its_own_files_alone", chroot::is_enough),
        trial("without_a_config_they_find_everything_on_the_default_paths", chroot::needs_no_config),
    ];
    let alone = alone.into_iter().map(|trial| {
        trial.with_kind("needs root and cargo xtask build").with_ignored_flag(!is_built || !is_root)
    });
    libtest_mimic::run(&arguments, built.chain(alone).collect()).exit_code()
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
