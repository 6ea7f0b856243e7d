//! What a dynamic program needs of the system it runs on, as its own headers say.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A version of the GNU C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc(u32, u32, u32);

/// The oldest that the programs run on: that of EL 8.
pub(crate) const OLDEST: Glibc = Glibc(2, 28, 0);

/// Its parts, as programs ask for them.
const LIBRARY: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// What one program asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Needs {
    /// The newest version of the C library that a symbol of it has; none when it is static.
    pub(crate) glibc: Option<Glibc>,
    /// Libraries that are no part of the C library.
    pub(crate) others: Vec<String>,
}

impl Needs {
    /// Reads a program's headers.
    pub(crate) fn of(program: &Path) -> Result<Self> {
        let mut readelf = Command::new("readelf");
        readelf.env("LC_ALL", "C").args(["-W", "--dynamic", "--version-info"]).arg(program);
        Self::parse(&workspace::answer(&mut readelf)?).with_context(|| program.display().to_string())
    }

    fn parse(headers: &str) -> Result<Self> {
        let libraries = headers.lines().filter(|line| line.contains("(NEEDED)")).filter_map(bracketed);
        let others = libraries.filter(|library| !LIBRARY.contains(library)).map(str::to_owned).collect();
        let named = headers.lines().filter_map(|line| line.split_once("Name: GLIBC_"));
        let versions = named.map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
        let versions: Result<Vec<Glibc>> = versions.map(Glibc::parse).collect();
        Ok(Self { glibc: versions?.into_iter().max(), others })
    }

    /// An error that says why the program does not run on every system that is promised.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(library) = self.others.first() {
            bail!("it needs {library}, which is no part of the C library");
        }
        match self.glibc {
            None => bail!("it names no version of the C library, so nothing is known of it"),
            Some(newest) if newest > OLDEST => bail!("it needs glibc {newest}, and {OLDEST} is promised"),
            Some(_) => Ok(()),
        }
    }
}

impl Glibc {
    /// `2.28` or `2.2.5`. Anything else, GLIBC_PRIVATE above all, belongs to one build of the library.
    fn parse(text: &str) -> Result<Self> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[major, minor]) => Ok(Self(major, minor, 0)),
            Ok(&[major, minor, patch]) => Ok(Self(major, minor, patch)),
            _ => bail!("GLIBC_{text} is no version of the C library"),
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.glibc {
            Some(newest) => write!(f, "needs glibc {newest}"),
            None => f.write_str("needs no library"),
        }?;
        self.others.iter().try_for_each(|library| write!(f, ", {library}"))
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}")?;
        if *patch > 0 { write!(f, ".{patch}") } else { Ok(()) }
    }
}

fn bracketed(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('[')?;
    rest.split_once(']').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x0000000000000001 (NEEDED)             Shared library: [ld-linux-x86-64.so.2]
Version needs section '.gnu.version_r' contains 2 entries:
  000000: Version: 1  File: libc.so.6  Cnt: 3
  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 4
  0x0020:   Name: GLIBC_2.28  Flags: none  Version: 3
  0x0030:   Name: GLIBC_2.2.5  Flags: none  Version: 2
";

    #[test]
    fn versions_are_compared_as_numbers() {
        let needs = Needs::parse(HEADERS).unwrap();
        assert_eq!(needs.glibc, Some(OLDEST));
        assert_eq!(needs.glibc.unwrap().to_string(), "2.28");
        assert!(needs.check().is_ok());
    }

    #[test]
    fn a_newer_symbol_is_refused_and_named() {
        let headers = format!("{HEADERS}  0x0040:   Name: GLIBC_2.34  Flags: none  Version: 5\n");
        let error = Needs::parse(&headers).unwrap().check().unwrap_err().to_string();
        assert_eq!(error, "it needs glibc 2.34, and 2.28 is promised");
    }

    #[test]
    fn another_library_is_refused_and_named() {
        let headers = format!("{HEADERS} 0x1 (NEEDED)   Shared library: [libgcc_s.so.1]\n");
        let needs = Needs::parse(&headers).unwrap();
        assert_eq!(needs.others, ["libgcc_s.so.1"]);
        assert!(needs.check().unwrap_err().to_string().contains("libgcc_s.so.1"));
    }

    #[test]
    fn private_symbols_and_a_program_without_versions_are_refused() {
        assert!(Needs::parse("  0x0:   Name: GLIBC_PRIVATE  Flags: none\n").is_err());
        assert!(Needs::parse("There is no dynamic section in this file.\n").unwrap().check().is_err());
    }

    #[test]
    fn this_very_program_is_read() {
        let needs = Needs::of(&std::env::current_exe().unwrap()).unwrap();
        assert!(needs.glibc.is_some());
    }
}
