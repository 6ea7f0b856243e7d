//! What the command exits with. Most commands have three codes; those that a monitor or a script asks a
//! question have codes of their own, for wrong usage and trouble too.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::advice::Advice;
use crate::cli::Cli;

/// What a command that did its work answers: 0, unless its exit code is the answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    /// It is done.
    pub(crate) const DONE: Self = Self(0);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// What a command exits with when it could not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codes {
    pub(crate) failed: u8,
    pub(crate) usage: u8,
}

/// 1, and EX_USAGE of sysexits(3).
const USUAL: Codes = Codes { failed: 1, usage: 64 };

/// Commands whose codes 1 and 64 could be taken for answers: a script asks `needs-renewal`, where 1 is "no",
/// and a monitor asks `check`, where 3 is Nagios' "unknown".
const OTHERS: [(&[&str], Codes); 4] = [
    (&["cert", "needs-renewal"], Codes { failed: 255, usage: 255 }),
    (&["check"], Codes { failed: 3, usage: 3 }),
    (&["conf", "check"], Codes { failed: 3, usage: 3 }),
    (&["vault", "check"], Codes { failed: 3, usage: 3 }),
];

impl Codes {
    /// The codes of the command that these arguments name, whether they are right otherwise or not.
    pub(crate) fn of(arguments: impl IntoIterator<Item = OsString>) -> Self {
        let named = named(arguments);
        let found = OTHERS.iter().find(|(path, _)| named.starts_with(path));
        found.map_or(USUAL, |(_, codes)| *codes)
    }

    /// For a command line that means nothing.
    pub(crate) fn usage(self) -> ExitCode {
        ExitCode::from(self.usage)
    }

    /// For an error.
    pub(crate) fn of_error(self, error: &anyhow::Error) -> ExitCode {
        let usage =
            error.chain().filter_map(|cause| cause.downcast_ref::<Advice>()).any(|advice| advice.usage);
        ExitCode::from(if usage { self.usage } else { self.failed })
    }
}

/// The command and its subcommands, as far as they can be told.
fn named(arguments: impl IntoIterator<Item = OsString>) -> Vec<&'static str> {
    let known = Cli::command().ignore_errors(true);
    let Ok(matches) = known.try_get_matches_from(arguments) else { return Vec::new() };
    let mut names = Vec::new();
    let mut below = matches.subcommand();
    while let Some((name, matches)) = below {
        let all = OTHERS.iter().flat_map(|(path, _)| path.iter().copied());
        // A word that is in none of them stands for itself: `jwt jwks check` is not `check`.
        names.push(all.into_iter().find(|known| *known == name).unwrap_or_default());
        below = matches.subcommand();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(line: &str) -> Codes {
        Codes::of(line.split(' ').map(OsString::from))
    }

    #[test]
    fn a_question_s_codes_hold_for_a_wrong_command_line_too() {
        let question = Codes { failed: 255, usage: 255 };
        for line in [
            "slurm-pki cert needs-renewal",
            "slurm-pki cert needs-renewal ctld --config /x",
            "slurm-pki --config cert --quiet cert needs-renewal nonsense",
            "slurm-pki cert needs-renewal --no-such-option",
        ] {
            assert_eq!(codes(line), question, "{line}");
        }
    }

    #[test]
    fn all_other_commands_have_the_usual_codes() {
        for line in [
            "slurm-pki",
            "slurm-pki cert issue needs-renewal",
            "slurm-pki jwt jwks check",
            "slurm-pki --nonsense",
            "slurm-pki nonsense",
        ] {
            assert_eq!(codes(line), USUAL, "{line}");
        }
    }
}
