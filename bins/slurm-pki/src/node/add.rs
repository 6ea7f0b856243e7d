//! `node add`: a new secret and its record for each node.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use pki::name::NodeName;
use pki::standing::Held;

use super::enrolment::{Enrolment, Given, Terms};
use super::list::listed_names;
use super::outgoing::record_of;
use super::refused::Refused;
use super::scontrol;
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::point::Point;
use crate::report;
use crate::vault::names;

#[derive(Args, Debug)]
#[command(after_help = "\
Each node gets a secret of its own. It waits in <state_dir>/outgoing until node push brings it there or node \
bundle lays it out, and then leaves the controller; the store keeps a record that can enrol nobody. Run again after an \
interruption: what is missing is completed, and secrets that wait already stay as they are.

Examples:
  slurm-pki node add n[001-128]                    128 nodes
  slurm-pki node add rack[1-2]n[01-16] gpu1        several words, several ranges
  slurm-pki node add --from-scontrol               every node of slurmctld that has no record yet
  scontrol show nodes --json | slurm-pki node add --from-scontrol -
  slurm-pki node add login1.example.org --login    a host that runs sackd, under the name it has
  slurm-pki node add cloud[1-9] --single-use --expires 1d")]
pub(crate) struct Add {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required_unless_present = "from_scontrol")]
    nodes: Vec<String>,
    /// The token ends an hour (replay_window) after the first certificate; for nodes that get a fresh secret at each boot
    #[arg(long, conflicts_with = "login")]
    single_use: bool,
    /// When the token ends: 30d, or a UTC time like 2026-12-01T00:00:00Z. Renewals go on
    #[arg(long, value_name = "SPAN|TIME", value_parser = Point::parse)]
    expires: Option<Point>,
    /// These hosts run sackd: their names must be what gethostname() says there
    #[arg(long)]
    login: bool,
    /// Nodes without a record from `scontrol show nodes --json`: a file, - for stdin, nothing to run it
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "", conflicts_with = "nodes")]
    from_scontrol: Option<OsString>,
}

/// What is to happen to one node.
enum Verdict {
    Give(Box<Given>),
    /// A former run did it, and the secret still waits.
    Waits,
    Refuse(&'static str, &'static str),
}

impl Add {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let mut refused = Refused::default();
        let names = self.names(&enrolment, &mut refused)?;
        let lock = enrolment.lock(global, &admin)?;
        let listed = listed_names(&admin)?;
        let terms = self.terms(&enrolment);

        let bar = report::progress(global, names.len(), "looking at nodes");
        let (mut given, mut waiting) = (Vec::new(), Vec::new());
        for name in &names {
            bar.inc(1);
            match judge(&enrolment, name, terms, &listed) {
                Ok(Verdict::Give(one)) => given.push(*one),
                Ok(Verdict::Waits) => waiting.push(name.clone()),
                Ok(Verdict::Refuse(why, hint)) => refused.add(name, why, hint),
                Err(e) => refused.add_error(name, &e),
            }
        }
        bar.finish_and_clear();

        let new: Vec<_> = given.iter().map(|one| one.name.clone()).collect();
        if let Some(lock) = &lock {
            names::allow(&admin, &[new.as_slice(), &waiting].concat())?;
            enrolment.hand_out(global, lock, given, terms)?;
        }
        self.say(global, &new, &waiting);
        refused.into_result(names.len(), "added")
    }

    fn names(&self, enrolment: &Enrolment, refused: &mut Refused) -> anyhow::Result<Vec<NodeName>> {
        let Some(source) = &self.from_scontrol else {
            return hostlist::nodes(&self.nodes).usage();
        };
        let mut names = Vec::new();
        for node in scontrol::nodes_of(Path::new(source))? {
            match hostlist::nodes(&[node.name]) {
                Ok(found) => names.extend(found),
                Err(e) => report::warning(&format!("left out: {e}")),
            }
        }
        // Removed nodes have a record too: slurmctld still knowing them does not enrol them again.
        names.retain(|name| match enrolment.store.records(name) {
            Ok(records) => records.is_none(),
            Err(e) => {
                refused.add_error(name, &e);
                false
            }
        });
        Ok(names)
    }

    fn terms(&self, enrolment: &Enrolment) -> Terms {
        Terms {
            single_use: self.single_use,
            enrols_until: self.expires.map(|point| point.ahead_of(enrolment.now)),
        }
    }

    fn say(&self, global: &Global, new: &[NodeName], waiting: &[NodeName]) {
        let verb = if global.dry_run { "would be added" } else { "added" };
        if !new.is_empty() || waiting.is_empty() {
            report::done(global, &format!("{} {verb}: {}", count(new.len()), fold(new)));
        }
        if !waiting.is_empty() {
            let names = fold(waiting);
            report::done(
                global,
                &format!("{} added before, secrets still waiting: {names}", count(waiting.len())),
            );
        }
        if self.login {
            report::done(
                global,
                "sackd asks under the name that gethostname() gives, often the FQDN: on each of these hosts \
                 `hostname` must print the name given here, or its first part",
            );
        }
        if !new.is_empty() && !global.dry_run {
            let login = if self.login { " --login" } else { "" };
            let names = fold(new);
            report::done(
                global,
                &format!(
                    "next: slurm-pki node push '{names}'{login}, or node bundle '{names}' --out DIR{login}"
                ),
            );
        }
    }
}

fn judge(
    enrolment: &Enrolment,
    name: &NodeName,
    terms: Terms,
    listed: &[NodeName],
) -> Result<Verdict, site::Error> {
    let Some(held) = enrolment.store.held(name)? else {
        if listed.binary_search(name).is_ok() {
            return Ok(Verdict::Refuse(
                "enrolled by a line of token_list, which a record would end at once",
                "node token gives it a secret of its own and keeps that line's token for the time between",
            ));
        }
        return give(enrolment, name);
    };
    if !enrolment.is_live(&held) {
        return give(enrolment, name);
    }
    if waits_on_these_terms(enrolment, name, terms, &held)? {
        return Ok(Verdict::Waits);
    }
    Ok(Verdict::Refuse("enrolled already", "give it a new secret with node token"))
}

fn give(enrolment: &Enrolment, name: &NodeName) -> Result<Verdict, site::Error> {
    let records = enrolment.records(name)?;
    Ok(Verdict::Give(Box::new(enrolment.secret_for(name.clone(), records)?)))
}

fn waits_on_these_terms(
    enrolment: &Enrolment,
    name: &NodeName,
    terms: Terms,
    held: &[Held],
) -> Result<bool, site::Error> {
    let Some(secret) = enrolment.outgoing.waiting(name)? else { return Ok(false) };
    let records: Vec<_> = held.iter().map(|one| one.record.clone()).collect();
    Ok(record_of(&secret, &records).is_some_and(|record| {
        record.withdrawn.is_none()
            && record.single_use == terms.single_use
            && record.enrols_until.is_some() == terms.enrols_until.is_some()
    }))
}

/// `1 node`, `128 nodes`.
pub(super) fn count(nodes: usize) -> String {
    if nodes == 1 { "1 node".into() } else { format!("{nodes} nodes") }
}
