//! The step `rust-version`: the workspace's `rust-version` is no lower than that of any package that is built.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::terminal;
use crate::workspace::{self, Workspace};

/// A Rust release, such as 1.91.0.
type Version = [u32; 3];

/// Asks cargo for every package that is built for this machine, tests included, and compares.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &workspace::host()?]);
    let packages = packages(&serde_json::from_str(&workspace::answer(&mut cargo)?)?)?;
    let verdict = compare(&packages)?;
    terminal::line(&verdict);
    Ok(())
}

/// What matters here of one package.
#[derive(Debug)]
struct Package {
    name: String,
    ours: bool,
    rust_version: Option<Version>,
}

/// The packages of the resolved tree; those for other platforms are listed by cargo too, but not resolved.
fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let list = |pointer: &str| {
        let list = metadata.pointer(pointer).and_then(Value::as_array);
        list.with_context(|| format!("cargo metadata has no {pointer}"))
    };
    let (members, nodes) = (list("/workspace_members")?, list("/resolve/nodes")?);
    let resolved = |id: Option<&Value>| nodes.iter().any(|node| node.get("id") == id);
    let built = list("/packages")?.iter().filter(|package| resolved(package.get("id")));
    built.map(|package| read(package, members)).collect()
}

fn read(package: &Value, members: &[Value]) -> Result<Package> {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    let name = format!("{} {}", text("name").unwrap_or("?"), text("version").unwrap_or("?"));
    let rust_version = text("rust_version").map(parse).transpose().with_context(|| name.clone())?;
    let ours = package.get("id").is_some_and(|id| members.contains(id));
    Ok(Package { name, ours, rust_version })
}

fn compare(packages: &[Package]) -> Result<String> {
    for package in packages.iter().filter(|package| package.ours) {
        ensure!(package.rust_version.is_some(), "{} states no rust-version", package.name);
    }
    let ours = packages.iter().filter(|package| package.ours).filter_map(|package| package.rust_version);
    let ours = ours.min().context("the workspace has no packages")?;
    let above: Vec<String> =
        packages.iter().filter(|package| package.rust_version > Some(ours)).map(shown).collect();
    ensure!(above.is_empty(), "the workspace states Rust {}, but: {}", release(ours), above.join(", "));
    let highest = packages.iter().filter(|package| !package.ours).max_by_key(|package| package.rust_version);
    Ok(format!("stated: Rust {}; highest needed: {}", release(ours), highest.map_or_else(String::new, shown)))
}

fn shown(package: &Package) -> String {
    format!(
        "{} needs Rust {}",
        package.name,
        package.rust_version.map_or_else(|| "of any age".into(), release)
    )
}

fn release([major, minor, patch]: Version) -> String {
    format!("{major}.{minor}.{patch}")
}

/// `1.91` or `1.91.1`: cargo takes no other form here.
fn parse(text: &str) -> Result<Version> {
    let mut numbers = text.split('.').map(str::parse::<u32>);
    let mut next =
        || numbers.next().transpose().with_context(|| format!("rust-version {text} is no version"));
    let version = [next()?.unwrap_or(0), next()?.unwrap_or(0), next()?.unwrap_or(0)];
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, ours: bool, rust_version: Option<&str>) -> Package {
        Package { name: name.into(), ours, rust_version: rust_version.map(|text| parse(text).unwrap()) }
    }

    #[test]
    fn versions_are_compared_by_number_and_a_missing_patch_is_zero() {
        assert!(parse("1.100").unwrap() > parse("1.91.1").unwrap());
        assert_eq!(parse("1.91").unwrap(), parse("1.91.0").unwrap());
        assert!(parse("stable").is_err());
    }

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_named() {
        let tree = [package("pki 0.1.0", true, Some("1.85")), package("new 1.0.0", false, Some("1.91"))];
        let error = compare(&tree).unwrap_err().to_string();
        assert_eq!(error, "the workspace states Rust 1.85.0, but: new 1.0.0 needs Rust 1.91.0");
    }

    #[test]
    fn a_dependency_that_says_nothing_or_needs_the_same_is_fine() {
        let tree = [
            package("pki 0.1.0", true, Some("1.91")),
            package("same 1.0.0", false, Some("1.91.0")),
            package("quiet 1.0.0", false, None),
        ];
        assert_eq!(
            compare(&tree).unwrap(),
            "stated: Rust 1.91.0; highest needed: same 1.0.0 needs Rust 1.91.0"
        );
    }

    #[test]
    fn a_package_of_ours_without_a_rust_version_is_refused() {
        assert!(compare(&[package("pki 0.1.0", true, None)]).is_err());
    }

    #[test]
    fn packages_for_other_platforms_are_left_out() {
        let metadata = serde_json::json!({
            "workspace_members": ["ours"],
            "resolve": { "nodes": [{ "id": "ours" }] },
            "packages": [
                { "id": "ours", "name": "pki", "version": "0.1.0", "rust_version": "1.91" },
                { "id": "windows", "name": "windows", "version": "9.0.0", "rust_version": "1.99" },
            ],
        });
        let names: Vec<String> =
            packages(&metadata).unwrap().into_iter().map(|package| package.name).collect();
        assert_eq!(names, ["pki 0.1.0"]);
    }
}
