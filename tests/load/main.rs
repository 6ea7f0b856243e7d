//! Many at once: 10,000 enrolments with 32 programs running side by side, on one controller and on two that
//! share a folder; a flood of refusals; a lock that somebody keeps.
//!
//! One after the other, because each of them fills the machine. Where one cannot run it is shown as ignored,
//! by its name.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code: a broken premise stops the test"
)]

mod controller;
mod crowd;
mod enrolment;
mod flood;
mod lock;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let is_root = rustix::process::geteuid().is_root();
    let trials = vec![
        trial("a_lock_that_somebody_keeps_is_an_error_and_nothing_is_issued", lock::kept),
        trial("ten_thousand_nodes_enrol_32_at_once_and_nothing_is_lost", enrolment::one_controller),
        trial("one_single_use_token_32_times_at_once_leaves_one_mark", enrolment::one_node_many_times),
        trial("two_controllers_on_one_folder_issue_ten_thousand_and_nothing_is_lost", || {
            enrolment::two_controllers();
        })
        .with_kind("needs root")
        .with_ignored_flag(!is_root),
        trial("a_flood_of_refusals_costs_good_requests_nothing", flood::run),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
