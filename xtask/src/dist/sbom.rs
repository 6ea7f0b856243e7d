//! What is in the programs, for scanners: a software bill of materials in the form of CycloneDX 1.6.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::crates::{Crate, Crates, Id, ROOTS};
use super::python::Python;
use super::release::Release;
use crate::static_target;
use crate::workspace::{self, Workspace, run};

/// The product, in its own list.
const PRODUCT: &str = "slurm-pki";

/// Writes it; for both kinds of machine, which have the same crates.
pub(crate) fn write(
    workspace: &Workspace,
    crates: &Crates,
    release: &Release,
    out: &Path,
) -> Result<PathBuf> {
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let sums = sums(&lock);
    let linked = [rust()?, c_library(release.architecture.triple())?];
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata(release)?,
        "components": crates.0.iter().map(|(id, found)| component(id, found, &sums)).chain(linked).collect::<Vec<_>>(),
        "dependencies": dependencies(crates),
    });
    let file = out.join(format!("slurm-pki-{}.cdx.json", release.version));
    fs::write(&file, format!("{bill:#}\n")).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Has the makers of the format look at it.
pub(crate) fn check(workspace: &Workspace, file: &Path) -> Result<()> {
    let judge = Python::with(workspace, "cyclonedx", "xtask/src/dist/judge_sbom.txt")?;
    let mut python = Command::new("python3");
    python.env("PATH", judge.path()?).arg(workspace.root.join("xtask/src/dist/judge_sbom.py"));
    run(python.arg(file))
}

fn metadata(release: &Release) -> Result<Value> {
    Ok(json!({
        "timestamp": release.dated("%Y-%m-%dT%H:%M:%SZ")?,
        "lifecycles": [{ "phase": "build" }],
        "tools": { "components": [{ "type": "application", "name": "cargo xtask dist", "version": release.version }] },
        "component": {
            "type": "application",
            "bom-ref": PRODUCT,
            "name": PRODUCT,
            "version": release.version,
            "licenses": [{ "expression": "Apache-2.0 OR MIT" }],
        },
    }))
}

fn component(id: &Id, found: &Crate, sums: &BTreeMap<Id, String>) -> Value {
    let (name, version) = id;
    let is_program = ROOTS.contains(&name.as_str());
    let mut component = Map::new();
    let mut say = |key: &str, value: Value| drop(component.insert(key.to_owned(), value));
    say("type", json!(if is_program { "application" } else { "library" }));
    say("bom-ref", json!(reference(id, found)));
    say("name", json!(name));
    say("version", json!(version));
    if !found.licence.is_empty() {
        say("licenses", json!([{ "expression": found.licence }]));
    }
    if !found.ours {
        say("purl", json!(reference(id, found)));
    }
    if let Some(sum) = sums.get(id) {
        say("hashes", json!([{ "alg": "SHA-256", "content": sum }]));
    }
    if !found.repository.is_empty() {
        say("externalReferences", json!([{ "type": "vcs", "url": found.repository }]));
    }
    component.into()
}

/// A package URL; ours have none, since nobody else can fetch them.
fn reference((name, version): &Id, found: &Crate) -> String {
    if found.ours { format!("{PRODUCT}/{name}@{version}") } else { format!("pkg:cargo/{name}@{version}") }
}

fn dependencies(crates: &Crates) -> Vec<Value> {
    let named = |id: &Id| crates.0.get(id).map(|found| reference(id, found));
    let roots: Vec<String> =
        crates.0.keys().filter(|(name, _)| ROOTS.contains(&name.as_str())).filter_map(named).collect();
    let product = json!({ "ref": PRODUCT, "dependsOn": roots });
    let all = crates.0.iter().map(|(id, found)| {
        let on: Vec<String> = found.on.iter().filter_map(named).collect();
        json!({ "ref": reference(id, found), "dependsOn": on })
    });
    std::iter::once(product).chain(all).collect()
}

/// Rust's own library is in every program.
fn rust() -> Result<Value> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = workspace::answer(Command::new(rustc).arg("-vV"))?;
    let version =
        said.lines().find_map(|line| line.strip_prefix("release: ")).context("rustc has no release")?;
    Ok(linked("rust-std", version, "MIT OR Apache-2.0", "Rust's standard library, in every program"))
}

/// The C library is in the static ones.
fn c_library(triple: &str) -> Result<Value> {
    let target = static_target::of(triple)?;
    if target != triple {
        let what = "The musl C library, which Rust brings, in the seven static programs; the other two take the system's";
        return Ok(linked("musl", &static_target::musl_version(&target)?, "MIT", what));
    }
    let said = workspace::answer(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let version = said.trim().strip_prefix("glibc ").context("the C library is not glibc")?;
    let what = "The GNU C library, in the seven static programs; the other two take the system's";
    Ok(linked("glibc", version, "LGPL-2.1-or-later", what))
}

fn linked(name: &str, version: &str, licence: &str, description: &str) -> Value {
    json!({
        "type": "library",
        "bom-ref": format!("pkg:generic/{name}@{version}"),
        "purl": format!("pkg:generic/{name}@{version}"),
        "name": name,
        "version": version,
        "description": description,
        "licenses": [{ "expression": licence }],
    })
}

/// The sums of the crates as they were fetched.
fn sums(lock: &str) -> BTreeMap<Id, String> {
    let value = |line: &str, key: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?;
        Some(value.to_owned())
    };
    let of = |package: &str| {
        let find = |key: &str| package.lines().find_map(|line| value(line, key));
        Some(((find("name")?, find("version")?), find("checksum")?))
    };
    lock.split("[[package]]").filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"der\"\nversion = \"0.8.3\"\nsource = \"x\"\nchecksum = \"ab\"\n\n\
                    [[package]]\nname = \"pki\"\nversion = \"0.1.0\"\n";
        let sums = sums(lock);
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[&("der".to_owned(), "0.8.3".to_owned())], "ab");
    }
}
