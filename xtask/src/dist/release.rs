//! What is released: the version, and the date that every file gets.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::architecture::Architecture;
use super::options::DistOptions;
use crate::workspace::{self, Workspace};

/// One release for one kind of machine.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// The programs' version.
    pub(crate) version: String,
    /// The packages' number behind it.
    pub(crate) revision: u32,
    /// Seconds since 1970: the same commit gives the same packages, byte for byte.
    pub(crate) date: i64,
    pub(crate) architecture: Architecture,
    /// Whoever publishes the packages, with an address.
    pub(crate) publisher: String,
}

impl Release {
    pub(crate) fn of(workspace: &Workspace, options: &DistOptions) -> Result<Self> {
        Ok(Self {
            version: version(workspace)?,
            revision: options.revision,
            date: date(workspace)?,
            architecture: options.architecture,
            publisher: publisher(),
        })
    }

    /// As packages name it.
    pub(crate) fn full_version(&self) -> String {
        format!("{}-{}", self.version, self.revision)
    }

    /// The date, in UTC and in English, in a form that `date` knows.
    pub(crate) fn dated(&self, form: &str) -> Result<String> {
        let mut date = Command::new("date");
        date.env("LC_ALL", "C").args(["--utc", &format!("--date=@{}", self.date), &format!("+{form}")]);
        Ok(workspace::answer(&mut date)?.trim_end().to_owned())
    }
}

/// The version of the admin command; the workspace has one for all.
fn version(workspace: &Workspace) -> Result<String> {
    let mut cargo = workspace.cargo();
    cargo.args(["metadata", "--locked", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&workspace::answer(&mut cargo)?)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    let ours = packages.iter().find(|package| package.get("name").is_some_and(|name| name == "slurm-pki"));
    let version = ours.and_then(|package| package.get("version")).and_then(Value::as_str);
    version.map(str::to_owned).context("cargo metadata knows no slurm-pki")
}

/// By the variables that Debian's own tools read.
fn publisher() -> String {
    let said = |name: &str, otherwise: &str| {
        std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
    };
    format!(
        "{} <{}>",
        said("DEBFULLNAME", "The slurm-pki maintainers"),
        said("DEBEMAIL", "slurm-pki@localhost")
    )
}

/// `SOURCE_DATE_EPOCH`, as reproducible-builds.org defines it, else the date of the commit.
fn date(workspace: &Workspace) -> Result<i64> {
    let given = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(given) => given,
        Err(_) => commit_date(workspace).context(
            "the packages are dated by the commit: outside a checkout set SOURCE_DATE_EPOCH to its seconds",
        )?,
    };
    given.trim().parse().with_context(|| format!("no number of seconds: {}", given.trim()))
}

fn commit_date(workspace: &Workspace) -> Result<String> {
    let mut git = Command::new("git");
    // Also where the checkout belongs to somebody else.
    git.arg("-c").arg(format!("safe.directory={}", workspace.root.display()));
    workspace::answer(git.current_dir(&workspace.root).args(["log", "-1", "--format=%ct"]))
}
