//! The roots, and the way into the namespaces.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use suite::apart;
use suite::root::{Recipe, SLURM};

use crate::packages::Packages;

/// First argument of the inner suite.
const INSIDE: &str = "inside";

/// The first process in the namespaces. It stays, and collects what others leave behind.
const STAGE: &str = "mount -t proc proc /proc && ip link set lo up && \"$@\"";

/// Debian 12 with systemd, which is not running, and without Slurm. Users from elsewhere than /etc come through extrausers.
const BOOKWORM: Recipe =
    Recipe { suite: "bookworm", packages: &["systemd", "logrotate", "libnss-extrausers"], number: 1 };

/// The rpm of EL 9, 4.16, is Debian 11's as well.
const BULLSEYE: Recipe =
    Recipe { suite: "bullseye", packages: &["rpm", "systemd", "logrotate", "libnss-extrausers"], number: 1 };

/// Where systems are copied from; nothing is ever written to them.
#[derive(Debug)]
pub(crate) struct Roots {
    /// Debian 12.
    pub(crate) bookworm: PathBuf,
    /// Debian sid with Slurm.
    pub(crate) sid: PathBuf,
    /// As near to EL 9 as Debian comes.
    pub(crate) el: PathBuf,
}

impl Roots {
    /// Builds those that are missing.
    pub(crate) fn ready() -> Result<Self> {
        Ok(Self { bookworm: BOOKWORM.ready()?, sid: SLURM.ready()?, el: BULLSEYE.ready()? })
    }
}

/// Whether this is the inner suite.
pub(crate) fn is_inside(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| first == INSIDE)
}

/// Reads what [`enter`] wrote.
pub(crate) fn parse(arguments: &[OsString]) -> Result<(Packages, Roots)> {
    let mut paths = arguments.iter().skip(1).map(PathBuf::from);
    let mut next = || paths.next().context("the inner suite is started by the outer one only");
    let packages = Packages { release: next()?, later: next()? };
    Ok((packages, Roots { bookworm: next()?, sid: next()?, el: next()? }))
}

/// Runs the suite once more, inside.
pub(crate) fn enter(packages: &Packages, roots: &Roots) -> Result<ExitCode> {
    let this = std::env::current_exe()?;
    let paths = [&packages.release, &packages.later, &roots.bookworm, &roots.sid, &roots.el];
    let script = ["sh", "-c", STAGE, "sh"].map(OsString::from);
    let inner = [this.into(), INSIDE.into()].into_iter().chain(paths.map(Into::into));
    apart::run(script.into_iter().chain(inner))
}
