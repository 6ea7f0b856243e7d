//! The options of `cargo xtask dist`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::architecture::Architecture;

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DistOptions {
    /// What the programs run on.
    pub(crate) architecture: Architecture,
    /// Programs that are built already; none are built then, and what only a release needs is left out.
    pub(crate) programs: Option<PathBuf>,
    /// Where everything goes instead of target/dist/packages.
    pub(crate) out: Option<PathBuf>,
    /// The packages' own number behind the version of the programs.
    pub(crate) revision: u32,
}

impl DistOptions {
    /// Reads what follows `dist`; an error says what is wrong with it.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let mut options = Self { architecture: Architecture::X86_64, programs: None, out: None, revision: 1 };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let mut value = || {
                let value = rest.next().filter(|value| !value.is_empty());
                value.ok_or_else(|| format!("{} wants a value", option.display()))
            };
            match option.to_str() {
                Some("--target") => options.architecture = architecture(value()?)?,
                Some("--programs") => options.programs = Some(value()?.into()),
                Some("--out") => options.out = Some(value()?.into()),
                Some("--revision") => options.revision = revision(value()?)?,
                _ => return Err(format!("dist does not know {}", option.display())),
            }
        }
        Ok(options)
    }
}

fn architecture(word: &OsStr) -> Result<Architecture, String> {
    let known = Architecture::ALL.into_iter().find(|architecture| word == architecture.name());
    known.ok_or_else(|| format!("{} is neither x86_64 nor aarch64", word.display()))
}

fn revision(word: &OsStr) -> Result<u32, String> {
    let number = word.to_str().and_then(|word| word.parse().ok()).filter(|&number| number > 0);
    number.ok_or_else(|| format!("{} is no number of a package, which begin with 1", word.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<DistOptions, String> {
        DistOptions::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn without_options_it_is_the_first_package_of_this_version_for_x86_64() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.architecture, options.revision), (Architecture::X86_64, 1));
        assert_eq!((options.programs, options.out), (None, None));
    }

    #[test]
    fn every_option_is_heard() {
        let options =
            parse(&["--target", "aarch64", "--programs", "p", "--out", "o", "--revision", "2"]).unwrap();
        assert_eq!((options.architecture, options.revision), (Architecture::Aarch64, 2));
        assert_eq!((options.programs, options.out), (Some("p".into()), Some("o".into())));
    }

    #[test]
    fn what_it_does_not_know_is_named() {
        assert_eq!(parse(&["--fast"]), Err("dist does not know --fast".into()));
        assert_eq!(parse(&["--out"]), Err("--out wants a value".into()));
        assert_eq!(parse(&["--target", "riscv64"]), Err("riscv64 is neither x86_64 nor aarch64".into()));
        assert!(parse(&["--revision", "0"]).is_err());
        assert!(parse(&["--revision", "1~rc1"]).is_err());
    }
}
