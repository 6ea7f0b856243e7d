//! Certificates that live for one minute, renewed by `slurm-pki cert renew` alone for twenty minutes, on a TLS server in
//! the place of slurmctld, slurmdbd and slurmrestd each, while clients connect without a pause: no handshake may fail.
//!
//! The minutes are simulated: what nobody waits for is skipped, see [`clock`]. The timer's pause between two runs takes no
//! time; while a program is at work the clock goes at its real pace, as it would for certificates of one minute anywhere.
//! slurm-pki, the servers, the clients and the timer have that clock in common.
//!
//! What stands for what: a server here is a program of its own that reads its pair at its start, as the daemons do
//! (slurm-contract.md 3.5). Its listening socket is held by a supervisor over restarts, as systemd's socket activation
//! does, so that a client waits for the new server where a client of Slurm's would try again. Slurm itself is the matter
//! of tests/slurm.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code: a broken premise stops the test, and numbers are shown"
)]

mod client;
mod clock;
mod server;
mod site;
mod supervisor;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::{Arguments, Trial};

use crate::client::{Client, Seen};
use crate::clock::Clock;
use crate::site::{DAEMONS, Site};
use crate::supervisor::Supervisor;

/// How long it goes on, simulated.
const LENGTH: Duration = Duration::from_secs(20 * 60);

/// Between two runs of `cert renew`: the timer's pause.
const PAUSE: Duration = Duration::from_secs(5);

/// So many handshakes each daemon is seen to do after each run, however fast the machine is.
const LOOKS: u64 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["a-server", cert, key, stop] => server::serve(Path::new(cert), Path::new(key), Path::new(stop)),
        ["twenty-minutes"] => {
            twenty_minutes();
            ExitCode::SUCCESS
        }
        _ => {
            let trials = vec![Trial::test(
                "one_minute_certificates_are_renewed_for_twenty_minutes_and_no_handshake_fails",
                || {
                    by_a_simulated_clock();
                    Ok(())
                },
            )];
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

/// Runs [`twenty_minutes`] in a process of its own, by a clock that all its children share.
fn by_a_simulated_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = Clock::set(clock::simulate(&mut command), folder.path().join("clock"));
    let status = command.arg("twenty-minutes").status().unwrap();
    assert!(status.success(), "{status}");
}

fn twenty_minutes() {
    let mut clock = Clock::here();
    let site = Site::new();
    let over = &AtomicBool::new(false);
    let (begin, really) = (SystemTime::now(), Instant::now());
    let passed = || begin.elapsed().unwrap_or_default();
    let supervisors = DAEMONS.map(|daemon| Supervisor::start(&site, daemon));
    let clients = supervisors.each_ref().map(|supervisor| Client::of(&site, supervisor.port));
    let (seen, runs) = std::thread::scope(|scope| {
        let _end = EndWith(over);
        let clients = &clients;
        let seen = clients.each_ref().map(|client| scope.spawn(move || client.connect_until(over)));
        let runs: Vec<_> = supervisors
            .into_iter()
            .map(|supervisor| scope.spawn(move || supervisor.obey_until(over)))
            .collect();
        let mut renewals = 0_u64;
        while passed() < LENGTH {
            site.renew();
            renewals += 1;
            clients.iter().for_each(|client| client.wait_for(LOOKS));
            clock.skip(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        let restarts: Vec<u32> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        let seen: Vec<Seen> = seen.into_iter().map(|client| client.join().unwrap()).collect();
        (seen, (renewals, restarts))
    });
    let minutes = passed().as_secs_f64() / 60.0;
    let wall = really.elapsed().as_secs();
    println!("{minutes:.1} simulated minutes in {wall} s, {} runs of cert renew", runs.0);
    for ((daemon, seen), restarts) in DAEMONS.iter().zip(&seen).zip(&runs.1) {
        println!(
            "{daemon}: {} handshakes, {} failed; {} certificates, {restarts} restarts; longest wait for a handshake {} ms",
            seen.handshakes,
            seen.failures.len(),
            seen.serials.len(),
            seen.longest.as_millis(),
        );
    }
    for (daemon, seen) in DAEMONS.iter().zip(&seen) {
        let first: Vec<_> = seen.failures.iter().take(5).collect();
        assert!(first.is_empty(), "{daemon}: {first:?}");
        assert!(
            seen.serials.len() > 20,
            "{daemon}: {} certificates in {minutes} minutes",
            seen.serials.len()
        );
        assert!(seen.handshakes >= LOOKS * runs.0, "{daemon}: {} handshakes", seen.handshakes);
    }
}

/// The others end with this one, however it ends.
struct EndWith<'a>(&'a AtomicBool);

impl Drop for EndWith<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
