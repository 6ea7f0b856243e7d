//! The one place that writes to the terminal. A reader that went away is no failure of ours.

use std::io::{self, Write};

/// One line of the result.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// What is under way.
pub fn progress(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Why there is none.
pub fn error(what: &str) {
    let _ = writeln!(io::stderr(), "error: {what}");
}
