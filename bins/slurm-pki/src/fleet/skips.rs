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

/// What to do about a list that is not ours.
const HINT: &str = "it lists hosts that were left out; remove it, and see that all hosts are up to date";

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
        Ok(Self { hosts: file.read(HINT)?, file })
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
        let known: HashSet<&str> = hosts.iter().map(String::as_str).collect();
        if let Some(unknown) = skip.iter().find(|name| !known.contains(name.as_str())) {
            return Err(Advice::new(
                format!("--skip {unknown}: no such host has a part in this"),
                "name hosts as slurm.conf and [fleet] name them",
            )
            .into());
        }
        let (skipped, left): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| skip.contains(host));
        if !skipped.is_empty() {
            self.change(global, |hosts| {
                for host in &skipped {
                    let since = hosts.get(host).map_or(now, |known| known.since);
                    hosts.insert(host.clone(), Skipped { since, missed: missed.to_owned() });
                }
                true
            })?;
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
        let hosts = HashSet::<_>::from_iter(hosts);
        if !self.hosts.keys().any(|host| hosts.contains(host)) {
            return Ok(());
        }
        self.change(global, |known| {
            let before = known.len();
            known.retain(|host, _| !hosts.contains(host));
            known.len() != before
        })
    }

    /// Others may have changed the list while hosts were worked on, which takes minutes.
    fn change(
        &mut self,
        global: &Global,
        change: impl FnOnce(&mut BTreeMap<String, Skipped>) -> bool,
    ) -> anyhow::Result<()> {
        if global.dry_run {
            change(&mut self.hosts);
        } else {
            self.hosts = self.file.change(HINT, change)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use site::config::{ConfigFile, ControllerConfig};

    use super::*;

    fn admin(folder: &Path) -> Admin {
        let user = crate::admin::caller().uid;
        let text = format!("state_dir = \"{}\"\nslurm_user = \"{user}\"\n", folder.display());
        let config = ConfigFile::parse(&folder.join("c.toml"), text.as_bytes()).unwrap();
        let controller = ControllerConfig::read(&config).unwrap();
        Admin { config, controller, slurm: None }
    }

    #[test]
    fn what_another_command_remembers_in_the_meantime_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (admin, global) = (admin(folder.path()), Global { quiet: true, ..Global::default() });
        let all = || ["n1", "n2", "n3"].map(str::to_owned).to_vec();
        let now = UnixTime(7);
        Skips::load(&admin).unwrap().leave_out(&global, all(), &["n1"], "a push", now).unwrap();
        let (mut push, mut renewal) = (Skips::load(&admin).unwrap(), Skips::load(&admin).unwrap());
        renewal.leave_out(&global, all(), &["n3"], "a renewal", now).unwrap();
        push.reached(&global, &["n1".to_owned(), "n2".to_owned()]).unwrap();
        let known = Skips::load(&admin).unwrap();
        assert_eq!(known.hosts().keys().collect::<Vec<_>>(), ["n3"]);
        push.leave_out(&global, all(), &["n2"], "a push", UnixTime(9)).unwrap();
        push.leave_out(&global, all(), &["n3"], "a push", UnixTime(9)).unwrap();
        let known = Skips::load(&admin).unwrap();
        assert_eq!(known.hosts().keys().collect::<Vec<_>>(), ["n2", "n3"]);
        assert_eq!(
            known.hosts()["n3"],
            Skipped { since: now, missed: "a push".into() },
            "since the first time"
        );
    }
}
