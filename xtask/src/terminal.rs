//! The one place that writes to the terminal. A reader that went away (`| head`) is no failure of ours.

use std::io::{self, Write};

/// One line of what was asked for.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The reason why something failed, with the program's name in front.
pub(crate) fn error(what: &str) {
    complaint(&format!("xtask: error: {what}"));
}

/// One line beside the answer, on stderr.
pub(crate) fn complaint(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
