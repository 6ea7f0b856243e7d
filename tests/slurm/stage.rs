//! The way into the namespaces.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use suite::apart;

use crate::bench::Scale;
use crate::install::Install;

/// Lays out the root; see there.
const STAGE: &str = include_str!("stage.sh");

/// First argument of the inner suite.
const INSIDE: &str = "inside";

/// Names a tls_s2n.so that was built for this Slurm, since Debian's packages are without.
const TLS_PLUGIN: &str = "SLURM_TLS_S2N";

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// The suite.
    Cases,
    /// Measurements.
    Bench(Scale),
}

impl Work {
    /// From what the suite was called with.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self> {
        let words: Vec<_> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
        match words.as_slice() {
            [] => Ok(Self::Cases),
            ["bench"] => Ok(Self::Bench(Scale::WHOLE)),
            ["bench", "quick"] => Ok(Self::Bench(Scale::QUICK)),
            _ => bail!("arguments: none, bench, or bench quick"),
        }
    }
}

/// What the inner suite has to know.
#[derive(Debug)]
pub(crate) struct Staged {
    /// What for.
    pub(crate) work: Work,
    /// The root in which Slurm runs.
    pub(crate) root: PathBuf,
    /// Where Slurm lies in it.
    pub(crate) prefix: PathBuf,
    /// Its plugins.
    pub(crate) plugins: PathBuf,
    /// The compiled probe, not yet in the root.
    pub(crate) probe: PathBuf,
}

/// Reads what [`enter`] wrote; nothing when this is the outer suite.
pub(crate) fn parse(arguments: &[OsString]) -> Option<Staged> {
    let [inside, root, prefix, plugins, probe, work @ ..] = arguments else { return None };
    let work = Work::parse(work).ok()?;
    let [root, prefix, plugins, probe] = [root, prefix, plugins, probe].map(PathBuf::from);
    (inside == INSIDE).then_some(Staged { work, root, prefix, plugins, probe })
}

/// Runs the suite once more, inside.
pub(crate) fn enter(install: &Install, probe: &Path, oidc: &Path) -> Result<ExitCode> {
    let folder = probe.parent().context("the probe lies in a folder")?;
    let (stage, root) = (folder.join("stage.sh"), folder.join("root"));
    fs::write(&stage, STAGE)?;
    fs::create_dir_all(&root)?;
    let (prefix, plugins) = (&install.prefix, &install.plugins);
    let mut words: Vec<OsString> = vec!["sh".into()];
    words.extend([&stage, &install.lower, &root, &programs()?, prefix, &packaging()].map(Into::into));
    words.extend([oidc, plugins, &tls_plugin()?, &std::env::current_exe()?].map(Into::into));
    words.push(INSIDE.into());
    words.extend([&root, prefix, plugins, probe].map(Into::into));
    // The same words again.
    words.extend(std::env::args_os().skip(1));
    apart::run(words)
}

/// What is installed beside the programs: the proxies' configurations.
fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

/// A plugin that this Slurm was packaged without; an empty name where none is given.
fn tls_plugin() -> Result<PathBuf> {
    let Some(named) = std::env::var_os(TLS_PLUGIN) else { return Ok(PathBuf::new()) };
    PathBuf::from(&named).canonicalize().with_context(|| format!("{TLS_PLUGIN}={}", named.display()))
}

/// Where `cargo xtask build` laid the programs.
fn programs() -> Result<PathBuf> {
    let named = std::env::var_os("SLURM_PKI_PROGRAMS").context("run it with: cargo xtask slurm")?;
    Ok(PathBuf::from(named).canonicalize()?)
}
