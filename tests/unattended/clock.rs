//! The simulated clock: the real one, and all the time that was skipped so far.
//!
//! libfaketime (LD_PRELOAD) gives it to every program here, and reads how far it is ahead from a file at each look, so that
//! there is one clock for all. Monotonic time, which deadlines are made of, is left alone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// ld.so fills in the folder of the machine: lib/x86_64-linux-gnu, lib64.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// What libfaketime reads: "+1234.5", seconds.
const FILE: &str = "FAKETIME_TIMESTAMP_FILE";

/// Runs a command, and all that it runs, by a clock of this kind.
pub(crate) fn simulate(command: &mut Command) -> &mut Command {
    command.env("LD_PRELOAD", LIBRARY).env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env_remove("FAKETIME")
}

/// In a process that [`simulate`] started: the hand on the clock.
#[derive(Debug)]
pub(crate) struct Clock {
    file: PathBuf,
    ahead: Duration,
}

impl Clock {
    /// Where the clock's file is to be.
    pub(crate) fn set(command: &mut Command, file: PathBuf) -> &mut Command {
        fs::write(&file, "+0").unwrap();
        command.env(FILE, file)
    }

    /// The clock of this process. It is seen to obey.
    pub(crate) fn here() -> Self {
        let mut clock = Self { file: std::env::var_os(FILE).unwrap().into(), ahead: Duration::ZERO };
        let (before, skipped) = (SystemTime::now(), Duration::from_secs(1000));
        clock.skip(skipped);
        let passed = before.elapsed().unwrap_or_default();
        assert!(passed >= skipped, "the clock does not obey: is libfaketime (package faketime) installed?");
        clock
    }

    /// Nothing happens for a while.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.ahead += time;
        let new = self.file.with_extension("new");
        fs::write(&new, format!("+{}", self.ahead.as_secs())).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }
}
