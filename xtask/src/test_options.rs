//! The options of `cargo xtask test`.

use std::ffi::OsString;

use crate::steps;

/// What was asked of `cargo xtask test`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct TestOptions {
    /// Steps to run; empty means all.
    pub(crate) only: Vec<String>,
    /// A skipped step counts as failed.
    pub(crate) no_skips: bool,
    /// Name the steps and stop.
    pub(crate) list: bool,
}

impl TestOptions {
    /// Reads the arguments after `test`; the error is what to tell the user.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
        while let Some(argument) = rest.next() {
            match argument.as_ref() {
                "--no-skips" => options.no_skips = true,
                "--list" => options.list = true,
                "--only" => {
                    let name = rest.next().ok_or("--only needs the name of a step")?;
                    options.only.push(known_step(&name)?);
                }
                other => return Err(format!("test has no option {other}")),
            }
        }
        Ok(options)
    }
}

fn known_step(name: &str) -> Result<String, String> {
    let known = steps::STEPS.iter().any(|step| step.name == name);
    if known { Ok(name.to_owned()) } else { Err(format!("no such step: {name} (see --list)")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<TestOptions, String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        TestOptions::parse(&arguments)
    }

    #[test]
    fn without_arguments_every_step_is_meant() {
        assert_eq!(parse(&[]), Ok(TestOptions::default()));
    }

    #[test]
    fn only_may_be_repeated() {
        let only = parse(&["--only", "fmt", "--only", "clippy"]).unwrap().only;
        assert_eq!(only, ["fmt", "clippy"]);
    }

    #[test]
    fn an_unknown_step_is_refused_by_name() {
        assert_eq!(parse(&["--only", "fnt"]).unwrap_err(), "no such step: fnt (see --list)");
    }

    #[test]
    fn only_without_a_step_and_an_unknown_option_are_refused() {
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--all"]).is_err());
    }
}
