//! Hosts that were left out because they are dead: remembered until they are reached again.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use pki::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::remembered::Remembered;
use crate::admin::Admin;
use crate::advice::Advice;
use crate::global::Global;
use crate::hostlist;
use crate::report;

/// A host that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    /// Since when.
    pub(crate) since: UnixTime,
    /// What it missed last.
    pub(crate) missed: String,
}

/// All of them, in `<state_dir>/fleet/skipped.json`.
#[derive(Clone, Debug)]
pub(crate) struct Skips {
    file: Remembered,
    hosts: BTreeMap<String, Skipped>,
}

impl Skips {
    /// Reads them; none when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not ours.
    pub(crate) fn load(admin: &Admin) -> anyhow::Result<Self> {
        let file = Remembered::named(admin, "skipped.json");
        let hint = "it lists hosts that were left out; remove it, and see that all hosts are up to date";
        Ok(Self { hosts: file.read(hint)?, file })
    }

    /// The hosts that are left out, by name.
    pub(crate) fn hosts(&self) -> &BTreeMap<String, Skipped> {
        &self.hosts
    }

    /// Leaves hosts out that `--skip` names (by the name of the host), and remembers what they miss. A name that is none of
    /// them is an error: a misspelt one would be waited for.
    ///
    /// # Errors
    /// Then, or when the list cannot be written.
    pub(crate) fn leave_out(
        &mut self,
        global: &Global,
        hosts: Vec<String>,
        skip: &[impl ToString],
        missed: &str,
        now: UnixTime,
    ) -> anyhow::Result<Vec<String>> {
        let skip: BTreeSet<String> = skip.iter().map(ToString::to_string).collect();
        if let Some(unknown) = skip.iter().find(|name| !hosts.contains(name)) {
            return Err(Advice::new(
                format!("--skip {unknown}: no such host has a part in this"),
                "name hosts as slurm.conf and [fleet] name them",
            )
            .into());
        }
        let (skipped, left): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| skip.contains(host));
        for host in &skipped {
            let since = self.hosts.get(host).map_or(now, |known| known.since);
            self.hosts.insert(host.clone(), Skipped { since, missed: missed.to_owned() });
        }
        if !skipped.is_empty() {
            self.write(global)?;
            let names = hostlist::fold_texts(skipped.iter().map(String::as_str));
            let verb = if global.dry_run { "would be left out" } else { "left out" };
            report::done(global, &format!("{verb}, and remembered: {names}; slurm-pki status lists them"));
        }
        Ok(left)
    }

    /// Forgets hosts that were reached, with all that they had missed.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub(crate) fn reached(&mut self, global: &Global, hosts: &[String]) -> anyhow::Result<()> {
        let (before, hosts) = (self.hosts.len(), HashSet::<_>::from_iter(hosts));
        self.hosts.retain(|host, _| !hosts.contains(host));
        if self.hosts.len() == before { Ok(()) } else { self.write(global) }
    }

    fn write(&self, global: &Global) -> anyhow::Result<()> {
        if global.dry_run { Ok(()) } else { self.file.write(&self.hosts) }
    }
}
