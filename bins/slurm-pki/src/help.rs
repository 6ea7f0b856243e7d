//! What every command's help and completions have alike, so that no command has to say it.

use clap::{Arg, Command, ValueHint};

use crate::manual::text::{Section, has};

/// What a command exits with that says nothing else.
const USUAL: &str = "Exit codes: 0 done, 1 failed, 64 wrong usage.";

/// The same for one that only holds others.
const OF_ALL: &str =
    "Exit codes: 0 done, 1 failed, 64 wrong usage, unless the help of a command says otherwise.";

/// What stands for a file, a folder and so on in the usage of any command.
const HINTS: [(&str, ValueHint); 10] = [
    ("FILE", ValueHint::FilePath),
    ("KEYFILE", ValueHint::FilePath),
    ("FILE|NODE", ValueHint::FilePath),
    ("DIR", ValueHint::DirPath),
    ("USER", ValueHint::Username),
    ("URL", ValueHint::Url),
    ("HOSTLIST", ValueHint::Hostname),
    ("NODE", ValueHint::Hostname),
    ("SERIAL|NODE", ValueHint::Hostname),
    ("PATH", ValueHint::FilePath),
];

/// A command and those below it, with exit codes and hints.
pub(crate) fn completed(command: Command) -> Command {
    let usual = if command.has_subcommands() { OF_ALL } else { USUAL };
    let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = if has(&said, Section::ExitStatus) {
        command
    } else {
        command.after_help(with_exit_codes(&said, usual))
    };
    command.mut_args(hinted).mut_subcommands(completed)
}

/// Before the examples, which come last.
fn with_exit_codes(said: &str, codes: &str) -> String {
    match said.split_once("Examples:\n") {
        Some((before, examples)) => format!("{before}{codes}\n\nExamples:\n{examples}"),
        None if said.is_empty() => codes.to_owned(),
        None => format!("{said}\n\n{codes}"),
    }
}

fn hinted(argument: Arg) -> Arg {
    // A switch has a name for a value too, which stands nowhere.
    let takes_one = argument.get_action().takes_values();
    let names = argument.get_value_names().filter(|_| takes_one).unwrap_or_default();
    let hint = HINTS.iter().find(|(known, _)| names.iter().any(|name| name == known));
    match hint {
        Some((_, hint)) => argument.value_hint(*hint),
        None => argument,
    }
}
