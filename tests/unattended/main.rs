//! Certificates that live for one minute, renewed by `slurm-pki cert renew` alone for twenty minutes, on a TLS server in
//! the place of each daemon (slurmctld, slurmdbd, slurmrestd, and a slurmd and a sackd with static pairs), while clients
//! connect without a pause, every other time with a certificate of their own: no handshake may fail. Then a change of CA
//! under the same load.
//!
//! The minutes are simulated: what nobody waits for is skipped, see [`clock`]. The timer's pause between two runs takes no
//! time; while a program is at work the clock goes at its real pace, as it would for certificates of one minute anywhere.
//! slurm-pki, the servers, the clients and the timer have that clock in common.
//!
//! What stands for what: a server here is a program of its own that reads its pair and ca_cert at its start, as the daemons do
//! (slurm-contract.md 3.5). Its listening socket is held by a supervisor over restarts, as systemd's socket activation
//! does, so that a client waits for the new server where a client of Slurm's would try again. Slurm itself is the matter
//! of tests/slurm.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
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
const PAUSE: Duration = Duration::from_secs(10);

/// So many handshakes each daemon is seen to do after each run, however fast the machine is: every other one is mutual.
const LOOKS: u64 = 4;

/// Between the steps of a change of CA: whoever has a pair of a minute has a new one then.
const STEP: Duration = Duration::from_secs(80);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["a-server", cert, key, stop, ca_cert] => {
            server::serve(Path::new(cert), Path::new(key), Path::new(stop), Path::new(ca_cert))
        }
        ["twenty-minutes"] => {
            twenty_minutes();
            ExitCode::SUCCESS
        }
        ["a-change-of-ca"] => {
            a_change_of_ca();
            ExitCode::SUCCESS
        }
        _ => {
            let trials = [
                (
                    "one_minute_certificates_are_renewed_for_twenty_minutes_and_no_handshake_fails",
                    "twenty-minutes",
                ),
                ("a_change_of_ca_under_the_same_load_fails_no_handshake", "a-change-of-ca"),
            ];
            let trials = trials.map(|(name, word)| {
                Trial::test(name, || {
                    by_a_simulated_clock(word);
                    Ok(())
                })
            });
            // One after the other: a certificate of one minute knows no busy machine.
            let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
            libtest_mimic::run(&arguments, trials.into()).exit_code()
        }
    }
}

/// Runs one of them in a process of its own, by a clock that all its children share.
fn by_a_simulated_clock(word: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = Clock::set(clock::simulate(&mut command), folder.path().join("clock"));
    let status = command.arg(word).status().unwrap();
    assert!(status.success(), "{status}");
}

fn twenty_minutes() {
    let (clock, site) = (Clock::here(), Site::new());
    let clients: Vec<_> = DAEMONS.iter().map(|daemon| Client::lasting(&site, daemon)).collect();
    let seen = under_load(clock, &site, &clients, |load| load.go_on(LENGTH));
    for (daemon, seen) in DAEMONS.iter().zip(&seen) {
        assert!(seen.serials.len() > 20, "{daemon}: {} certificates", seen.serials.len());
    }
}

/// Each daemon has a client that knows the old root alone until just before that is dropped, and one that reads ca_cert each
/// time. Nobody restarts a daemon but the renewals.
fn a_change_of_ca() {
    let (clock, site) = (Clock::here(), Site::new());
    let clients: Vec<_> = DAEMONS
        .iter()
        .flat_map(|daemon| [Client::lasting(&site, daemon), Client::new(&site, daemon)])
        .collect();
    let seen = under_load(clock, &site, &clients, |load| {
        load.go_on(STEP);
        site.run(&["ca", "rollover", "begin", "--yes"]);
        load.go_on(STEP);
        site.run(&["ca", "rollover", "switch"]);
        load.go_on(STEP);
        clients.iter().for_each(Client::load);
        site.run(&["ca", "rollover", "finish", "--yes"]);
        load.go_on(STEP);
    });
    for seen in seen {
        assert_eq!(seen.issuers, ["CN=c1 Slurm CA", "CN=c1 Slurm CA G2"]);
    }
}

/// Renewals by the timer, while clients connect.
struct Load<'a> {
    site: &'a Site,
    clients: &'a [Client],
    clock: Clock,
    renewals: u64,
}

impl Load<'_> {
    /// For so long, simulated.
    fn go_on(&mut self, time: Duration) {
        let begin = SystemTime::now();
        while begin.elapsed().unwrap_or_default() < time {
            self.site.renew();
            self.renewals += 1;
            self.clients.iter().for_each(|client| client.wait_for(LOOKS));
            self.clock.skip(PAUSE);
        }
    }
}

/// Does something while every daemon's server runs and the clients connect; what they saw, none of them a failure.
fn under_load(clock: Clock, site: &Site, clients: &[Client], act: impl FnOnce(&mut Load<'_>)) -> Vec<Seen> {
    let over = &AtomicBool::new(false);
    let (begin, really) = (SystemTime::now(), Instant::now());
    let mut load = Load { site, clients, clock, renewals: 0 };
    // They and their servers end after the clients.
    let mut supervisors = DAEMONS.map(|daemon| Supervisor::start(site, daemon));
    let (seen, restarts): (Vec<Seen>, Vec<u32>) = std::thread::scope(|scope| {
        let _end = EndWith(over);
        let seen: Vec<_> =
            clients.iter().map(|client| scope.spawn(move || client.connect_until(over))).collect();
        let supervisors =
            supervisors.each_mut().map(|supervisor| scope.spawn(move || supervisor.obey_until(over)));
        act(&mut load);
        over.store(true, Ordering::Relaxed);
        let restarts = supervisors.into_iter().map(|one| one.join().unwrap()).collect();
        (seen.into_iter().map(|client| client.join().unwrap()).collect(), restarts)
    });
    let minutes = begin.elapsed().unwrap_or_default().as_secs_f64() / 60.0;
    let wall = really.elapsed().as_secs();
    println!("{minutes:.1} simulated minutes in {wall} s, {} runs of cert renew", load.renewals);
    println!("restarts of {DAEMONS:?}: {restarts:?}");
    for seen in &seen {
        println!("{seen}");
        let first: Vec<_> = seen.failures.iter().take(5).collect();
        assert!(first.is_empty(), "{}: {first:?}", seen.port);
        assert!(seen.handshakes >= LOOKS * load.renewals, "{seen}");
        assert_eq!(seen.with_own, seen.handshakes / 2, "{seen}");
    }
    seen
}

/// The others end with this one, however it ends.
struct EndWith<'a>(&'a AtomicBool);

impl Drop for EndWith<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
