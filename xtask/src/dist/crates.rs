//! The crates that are in the programs, as `cargo tree` resolves them: without what only tests and build scripts use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::architecture::Architecture;
use crate::programs::{ADMIN, SIGNER};
use crate::workspace::{self, Workspace};

/// The packages that the programs come from: the seven, and the other two.
pub(crate) const ROOTS: [&str; 3] = ["scripts", ADMIN, SIGNER];

/// Name and version.
pub(crate) type Id = (String, String);

/// One crate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Crate {
    /// Of this workspace.
    pub(crate) ours: bool,
    /// An expression of SPDX.
    pub(crate) licence: String,
    pub(crate) repository: String,
    /// Those that it is built on.
    pub(crate) on: BTreeSet<Id>,
}

/// All crates in the programs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Crates(pub(crate) BTreeMap<Id, Crate>);

impl Crates {
    /// Asks cargo.
    pub(crate) fn of(workspace: &Workspace) -> Result<Self> {
        let mut cargo = workspace.cargo();
        cargo.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "depth"]);
        // A space after the depth; names, then what may hold spaces.
        cargo.args(["--format", " {p}|{l}|{r}"]);
        for root in ROOTS {
            cargo.args(["--package", root]);
        }
        for architecture in Architecture::ALL {
            cargo.args(["--target", architecture.triple()]);
        }
        Self::parse(&workspace::answer(&mut cargo)?)
    }

    fn parse(tree: &str) -> Result<Self> {
        let mut crates = BTreeMap::<Id, Crate>::new();
        // From a root down to the crate of the line before.
        let mut way: Vec<Id> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let (depth, id, found) = crate_of(line).with_context(|| format!("cargo tree says: {line}"))?;
            if depth > way.len() {
                bail!("cargo tree skips a depth: {line}");
            }
            way.truncate(depth);
            if let Some(above) = way.last().and_then(|above| crates.get_mut(above)) {
                above.on.insert(id.clone());
            }
            // A crate that comes again may come without those below it.
            crates.entry(id.clone()).or_insert(found);
            way.push(id);
        }
        if crates.is_empty() { bail!("cargo tree names no crate") } else { Ok(Self(crates)) }
    }

    /// Where the sources of each lie on this machine.
    pub(crate) fn folders(&self, workspace: &Workspace) -> Result<BTreeMap<Id, PathBuf>> {
        let mut cargo = workspace.cargo();
        cargo.args(["metadata", "--locked", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&workspace::answer(&mut cargo)?)?;
        let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
        let all = packages.iter().filter_map(|package| {
            let text = |key: &str| package.get(key).and_then(Value::as_str);
            let manifest = PathBuf::from(text("manifest_path")?);
            Some(((text("name")?.to_owned(), text("version")?.to_owned()), manifest.parent()?.to_owned()))
        });
        Ok(all.filter(|(id, _)| self.0.contains_key(id)).collect())
    }
}

/// `3 der v0.8.3|Apache-2.0 OR MIT|https://… (*)`: depth, name, version, where it is when it is ours, licence, repository.
fn crate_of(line: &str) -> Option<(usize, Id, Crate)> {
    let (depth, rest) = line.split_once(' ')?;
    let mut fields = rest.split('|');
    let mut words = fields.next()?.split(' ');
    let id = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
    let found = Crate {
        ours: words.next().is_some_and(|place| place.starts_with("(/")),
        // The older way to write a choice.
        licence: fields.next()?.replace('/', " OR "),
        repository: fields.next()?.trim_end_matches("(*)").trim().to_owned(),
        on: BTreeSet::new(),
    };
    Some((depth.parse().ok()?, id, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
0 scripts v0.1.0 (/src/bins/scripts)|Apache-2.0 OR MIT|
1 pki v0.1.0 (/src/lib/pki)|Apache-2.0 OR MIT|
2 der v0.8.3|MIT/Apache-2.0|https://example.org/der
1 zeroize v1.9.1|Apache-2.0 OR MIT|https://example.org/zeroize

0 slurm-pki v0.1.0 (/src/bins/slurm-pki)|Apache-2.0 OR MIT|
1 pki v0.1.0 (/src/lib/pki)|Apache-2.0 OR MIT| (*)
";

    fn id(name: &str, version: &str) -> Id {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn each_crate_is_there_once_with_those_that_it_is_built_on() {
        let Crates(crates) = Crates::parse(TREE).unwrap();
        assert_eq!(crates.len(), 5);
        let on = |name: &str| {
            crates[&id(name, "0.1.0")].on.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(on("scripts"), ["pki", "zeroize"]);
        assert_eq!(on("pki"), ["der"]);
        assert_eq!(on("slurm-pki"), ["pki"]);
    }

    #[test]
    fn ours_are_told_from_others_and_licences_are_written_as_spdx_does() {
        let Crates(crates) = Crates::parse(TREE).unwrap();
        assert!(crates[&id("pki", "0.1.0")].ours);
        let der = &crates[&id("der", "0.8.3")];
        assert!(!der.ours);
        assert_eq!(
            (der.licence.as_str(), der.repository.as_str()),
            ("MIT OR Apache-2.0", "https://example.org/der")
        );
    }

    #[test]
    fn a_tree_that_is_none_is_an_error() {
        assert!(Crates::parse("").is_err());
        assert!(Crates::parse("pki v0.1.0\n").is_err());
        assert!(Crates::parse("1 pki v0.1.0|MIT|\n").is_err());
    }
}
