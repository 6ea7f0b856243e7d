//! `node list`: every node with its rights and its last certificate.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use pki::name::NodeName;
use pki::time::UnixTime;
use serde::Serialize;
use site::ledger::Ledger;

use super::census::Listed;
use super::enrolment::Enrolment;
use super::refused::Refused;
use super::view::{State, View, last_certificates};
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::moment;
use crate::report;

#[derive(Args, Debug)]
#[command(after_help = "\
States: enrolled (can enrol and renew), renews (its token enrols no more), listed (a line of token_list \
enrols it), removed. A foreign token was made by others: weaker, see node token.

Examples:
  slurm-pki node list                        every node
  slurm-pki node list 'n[001-128]' --fold    by state, as hostlists
  slurm-pki node list --unused               never got a certificate
  slurm-pki node list --foreign --json       whose tokens should be replaced")]
pub(crate) struct List {
    /// Only these nodes
    #[arg(value_name = "HOSTLIST")]
    nodes: Vec<String>,
    /// Only nodes that can enrol and renew
    #[arg(long, conflicts_with = "removed")]
    enrolled: bool,
    /// Only nodes that can do neither
    #[arg(long)]
    removed: bool,
    /// Only nodes whose secret waits to be bundled
    #[arg(long)]
    waiting: bool,
    /// Only nodes that never got a certificate under their present record
    #[arg(long)]
    unused: bool,
    /// Only nodes with a token that others made
    #[arg(long)]
    foreign: bool,
    /// One line per state, the nodes folded: n[001-128]
    #[arg(long)]
    fold: bool,
}

/// One line of `--fold`.
#[derive(Debug, Serialize)]
struct Folded {
    state: State,
    note: String,
    count: usize,
    nodes: String,
}

impl List {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let listed = listed_names(&admin)?;
        let names = self.names(&enrolment, &listed)?;
        let mut last = last_certificates(&Ledger::of(&admin.controller), &names)?;

        let bar = report::progress(global, names.len(), "reading records");
        let mut refused = Refused::default();
        let mut views = Vec::new();
        for name in &names {
            bar.inc(1);
            let certificate = last.remove(name);
            match enrolment.store.held(name) {
                Ok(Some(held)) => views.push(View::recorded(&enrolment, name, held, certificate)),
                Ok(None) if listed.binary_search(name).is_ok() => views.push(View::listed(name, certificate)),
                Ok(None) => refused.add(name, "no such node", "enrol it with node add"),
                Err(e) => refused.add_error(name, &e),
            }
        }
        bar.finish_and_clear();
        views.retain(|view| self.wants(view));
        self.print(global, &views, enrolment.now)?;
        refused.into_result(names.len(), "shown")
    }

    fn names(&self, enrolment: &Enrolment, listed: &[NodeName]) -> anyhow::Result<Vec<NodeName>> {
        let mut names = if self.nodes.is_empty() {
            let mut names = enrolment.store.names().advise()?;
            names.extend_from_slice(listed);
            names.sort();
            names.dedup();
            // The rehearsal's is no node of the cluster.
            names.retain(|name| !name.is_reserved());
            names
        } else {
            hostlist::nodes(&self.nodes).usage()?
        };
        hostlist::sort(&mut names);
        Ok(names)
    }

    fn wants(&self, view: &View) -> bool {
        (!self.enrolled || view.state == State::Enrolled)
            && (!self.removed || view.state == State::Removed)
            && (!self.waiting || view.waiting)
            && (!self.unused || view.used.is_none() && view.state != State::Removed)
            && (!self.foreign || view.foreign)
    }

    fn print(&self, global: &Global, views: &[View], now: UnixTime) -> anyhow::Result<()> {
        if self.fold {
            return print_folded(global, views);
        }
        if global.json {
            return report::json("slurm-pki.node.list.v1", &views);
        }
        let rows = views.iter().map(|view| row(view, now)).collect();
        report::table(&["NODE", "STATE", "TOKEN UNTIL", "FIRST USED", "CERTIFICATE UNTIL", "NOTE"], rows);
        Ok(())
    }
}

fn print_folded(global: &Global, views: &[View]) -> anyhow::Result<()> {
    let mut groups: BTreeMap<(State, String), Vec<NodeName>> = BTreeMap::new();
    for view in views {
        if let Ok(name) = NodeName::parse(view.name.as_bytes()) {
            groups.entry((view.state, note(view))).or_default().push(name);
        }
    }
    let folded: Vec<_> = groups
        .into_iter()
        .map(|((state, note), names)| Folded { state, note, count: names.len(), nodes: fold(&names) })
        .collect();
    if global.json {
        return report::json("slurm-pki.node.fold.v1", &folded);
    }
    let rows = folded.into_iter().map(|f| vec![f.state.word().into(), f.count.to_string(), f.nodes, f.note]);
    report::table(&["STATE", "COUNT", "NODES", "NOTE"], rows.collect());
    Ok(())
}

fn row(view: &View, now: UnixTime) -> Vec<String> {
    let until = match view.enrols_until {
        Some(until) => moment::shown(until, now),
        None if view.enrols => "no end".into(),
        None => "-".into(),
    };
    vec![
        view.name.clone(),
        view.state.word().to_owned(),
        until,
        view.used.map_or_else(|| "-".to_owned(), |used| moment::shown(used, now)),
        view.last_certificate.as_ref().map_or_else(|| "-".to_owned(), |e| moment::shown(e.not_after, now)),
        note(view),
    ]
}

fn note(view: &View) -> String {
    let notes = [
        (view.foreign, "foreign token (weaker)"),
        (view.single_use, "single use"),
        (view.waiting, "secret waits"),
    ];
    notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| *note).collect::<Vec<_>>().join(", ")
}

/// The names in token_list, sorted. Its bare tokens serve any other name; they are not nodes, but said.
pub(super) fn listed_names(admin: &Admin) -> anyhow::Result<Vec<NodeName>> {
    let Listed { names, bare } = Listed::of(admin)?;
    if bare > 0 {
        let list = admin.controller.token_list.as_deref().unwrap_or(Path::new("token_list")).display();
        report::warning(&format!(
            "{list} has {bare} bare tokens: each of them enrols any node without records"
        ));
    }
    Ok(names)
}
