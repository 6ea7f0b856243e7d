//! The one place that writes to the terminal.

/// One line of what was asked for.
#[expect(clippy::print_stdout, reason = "this is the module that prints")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// The reason why something failed, with the program's name in front.
pub(crate) fn error(what: &str) {
    complaint(&format!("xtask: error: {what}"));
}

/// One line beside the answer, on stderr.
#[expect(clippy::print_stderr, reason = "this is the module that prints")]
pub(crate) fn complaint(text: &str) {
    eprintln!("{text}");
}
