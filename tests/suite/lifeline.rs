//! The inner suite ends when the outer one does.

use std::io::{self, Read};
use std::thread;

use crate::terminal;

/// stdin is a pipe that the outer suite never writes to: its end means that the outer suite is gone, by whatever signal.
/// Nobody would see the result any more, and the daemons must not stay behind.
pub fn hold() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        terminal::error("the suite was stopped");
        #[expect(clippy::exit, reason = "daemons and cases are to end at once, wherever they are")]
        std::process::exit(1);
    });
}
