//! Hosts that were left out because they are dead: remembered, with each thing that they missed, until something makes up
//! for it.

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

/// What a host can miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Missed {
    /// The CA certificates of a change of CA.
    CaCert,
    /// Its node's token, with all else of `node push`.
    Token,
    /// A restart that makes it ask for a certificate.
    Reissue,
    /// New pairs of its daemons.
    Renewal,
    /// A list of auth/slurm keys.
    Keys,
    /// Nothing but a question: it was not seen to be ready for something, or well.
    Look,
}

/// Since when a host misses what.
pub(crate) type Skipped = BTreeMap<Missed, UnixTime>;

impl Missed {
    /// As a person reads it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::CaCert => "the CA certificates of a change of CA",
            Self::Token => "node push",
            Self::Reissue => "node reissue",
            Self::Renewal => "a renewal of its daemons' certificates",
            Self::Keys => "a list of auth/slurm keys",
            Self::Look => "a look at it",
        }
    }
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

    /// The hosts that miss this, by name.
    pub(crate) fn missing(&self, what: Missed) -> Vec<String> {
        let missing = self.hosts.iter().filter(|(_, skipped)| skipped.contains_key(&what));
        missing.map(|(host, _)| host.clone()).collect()
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
        missed: Missed,
        now: UnixTime,
    ) -> anyhow::Result<Vec<String>> {
        self.leave_out_names(global, hosts, skip, |host| Some(host.to_owned()), missed, now)
    }

    /// The same for names that are not all of hosts. `host` says who is remembered: whoever is never reached under its name
    /// would never be forgotten.
    ///
    /// # Errors
    /// As [`Self::leave_out`].
    pub(crate) fn leave_out_names(
        &mut self,
        global: &Global,
        names: Vec<String>,
        skip: &[impl ToString],
        host: impl Fn(&str) -> Option<String>,
        missed: Missed,
        now: UnixTime,
    ) -> anyhow::Result<Vec<String>> {
        let skip: BTreeSet<String> = skip.iter().map(ToString::to_string).collect();
        let known: HashSet<&str> = names.iter().map(String::as_str).collect();
        if let Some(unknown) = skip.iter().find(|name| !known.contains(name.as_str())) {
            return Err(Advice::new(
                format!("--skip {unknown}: no such host has a part in this"),
                "name hosts as slurm.conf and [fleet] name them",
            )
            .into());
        }
        let (skipped, left): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| skip.contains(name));
        let (remembered, others): (Vec<_>, Vec<_>) =
            skipped.into_iter().map(|name| (host(&name), name)).partition(|(host, _)| host.is_some());
        let verb = if global.dry_run { "would be left out" } else { "left out" };
        if !others.is_empty() {
            let names = hostlist::fold_texts(others.iter().map(|(_, name)| name.as_str()));
            report::done(global, &format!("{verb}: {names}"));
        }
        let hosts: BTreeSet<String> = remembered.into_iter().filter_map(|(host, _)| host).collect();
        if !hosts.is_empty() {
            self.change(global, |known| {
                for host in &hosts {
                    known.entry(host.clone()).or_default().entry(missed).or_insert(now);
                }
                true
            })?;
            let names = hostlist::fold_texts(hosts.iter().map(String::as_str));
            report::done(global, &format!("{verb}, and remembered: {names}; slurm-pki status lists them"));
        }
        Ok(left)
    }

    /// Forgets what hosts had missed that were reached and got this, and that nobody had looked at them. What else they miss
    /// stays: a host that has the new keys may lack the new CA certificate.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub(crate) fn reached(
        &mut self,
        global: &Global,
        hosts: &[String],
        got: &[Missed],
    ) -> anyhow::Result<()> {
        let hosts = HashSet::<_>::from_iter(hosts);
        let is_over = |missed: &Missed| *missed == Missed::Look || got.contains(missed);
        let changes =
            |(host, skipped): (&String, &Skipped)| hosts.contains(host) && skipped.keys().any(is_over);
        if !self.hosts.iter().any(changes) {
            return Ok(());
        }
        self.change(global, |known| {
            let any = known.iter().any(changes);
            for (_, skipped) in known.iter_mut().filter(|(host, _)| hosts.contains(host)) {
                skipped.retain(|missed, _| !is_over(missed));
            }
            known.retain(|_, skipped| !skipped.is_empty());
            any
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
        let leave_out = |skips: &mut Skips, host: &str, missed, now| {
            skips.leave_out(&global, all(), &[host], missed, now).unwrap();
        };
        leave_out(&mut Skips::load(&admin).unwrap(), "n1", Missed::Token, now);
        let (mut push, mut renewal) = (Skips::load(&admin).unwrap(), Skips::load(&admin).unwrap());
        leave_out(&mut renewal, "n3", Missed::Renewal, now);
        push.reached(&global, &["n1".to_owned(), "n2".to_owned()], &[Missed::Token]).unwrap();
        let known = Skips::load(&admin).unwrap();
        assert_eq!(known.hosts().keys().collect::<Vec<_>>(), ["n3"]);
        leave_out(&mut push, "n2", Missed::Token, UnixTime(9));
        leave_out(&mut push, "n3", Missed::Renewal, UnixTime(9));
        let known = Skips::load(&admin).unwrap();
        assert_eq!(known.hosts().keys().collect::<Vec<_>>(), ["n2", "n3"]);
        assert_eq!(known.hosts()["n3"], Skipped::from([(Missed::Renewal, now)]), "since the first time");
    }

    #[test]
    fn what_a_host_missed_is_forgotten_when_it_gets_that_and_not_when_it_gets_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let (admin, global) = (admin(folder.path()), Global { quiet: true, ..Global::default() });
        let n1 = ["n1".to_owned()];
        for (time, missed) in [(3, Missed::CaCert), (5, Missed::Keys), (6, Missed::Look)] {
            let mut skips = Skips::load(&admin).unwrap();
            skips.leave_out(&global, n1.to_vec(), &["n1"], missed, UnixTime(time)).unwrap();
        }
        Skips::load(&admin).unwrap().reached(&global, &n1, &[Missed::Keys]).unwrap();
        let left = Skips::load(&admin).unwrap();
        assert_eq!(left.hosts()["n1"], Skipped::from([(Missed::CaCert, UnixTime(3))]));
        assert_eq!((left.missing(Missed::CaCert), left.missing(Missed::Keys).len()), (n1.to_vec(), 0));
        Skips::load(&admin).unwrap().reached(&global, &n1, &[Missed::Token, Missed::CaCert]).unwrap();
        assert!(Skips::load(&admin).unwrap().hosts().is_empty());
    }
}
