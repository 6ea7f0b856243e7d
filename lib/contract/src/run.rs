//! The frame of all seven: arguments in, answer or error out, nothing else.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::conceal::conceal;
use crate::error::Error;
use crate::output::{self, Output};

/// Runs one of the seven. `answer` makes the answer from the arguments; exit status 0 when it was
/// printed, 1 for everything else, a panic included.
pub fn run(program: &'static str, answer: impl FnOnce(&Arguments) -> Result<Output, Error>) -> ExitCode {
    silence_panics(program);
    let (arguments, name_length) = Arguments::copy();
    conceal(name_length);
    // Unwinding, so that secrets on the way are wiped; the hook has said where it happened.
    let Ok(result) = panic::catch_unwind(AssertUnwindSafe(|| answer(&arguments))) else {
        return ExitCode::FAILURE;
    };
    match result.and_then(|output| print(&output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.lines(program));
            ExitCode::FAILURE
        }
    }
}

fn print(output: &Output) -> Result<(), Error> {
    output.print().map_err(|e| {
        Error::new(
            &format!("cannot write the answer: {e}"),
            "whoever started this program closed its output; under Slurm that is a timeout of 5 s",
        )
    })
}

/// A panic's text could hold a key or a token: only the place is said.
fn silence_panics(program: &'static str) {
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let error = Error::new(
            &format!("an error in the program itself, at {place}"),
            "please report it with this line; nothing was issued",
        );
        output::complain(&error.lines(program));
    }));
}
