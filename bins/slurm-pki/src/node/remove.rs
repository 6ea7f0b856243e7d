//! `node remove`: both rights end now.

use clap::Args;
use pki::name::NodeName;
use pki::record::RecordFile;
use pki::standing::Standing;
use pki::time::UnixTime;
use site::ledger::Ledger;

use super::add::count;
use super::enrolment::Enrolment;
use super::refused::Refused;
use super::view::last_certificates;
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::moment;
use crate::report;
use crate::vault::names;

#[derive(Args, Debug)]
#[command(after_help = "\
A removed node can neither enrol nor renew. Its file stays in the store, so that no token_list enrols it \
again; node add does. Slurm knows no revocation: a certificate that the node holds stays good until it ends.

Examples:
  slurm-pki node remove n7
  slurm-pki node remove 'rack2n[01-16]' --yes
  slurm-pki node remove n7 --dry-run               until when its certificate would last")]
pub(crate) struct Remove {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
}

impl Remove {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let until = valid_until(&admin, &names, enrolment.now)?;
        let consequence = match until {
            Some(until) => format!(
                "There is no revocation: certificates of theirs stay valid until {until} ({})",
                moment::relative(until, enrolment.now)
            ),
            None => "No certificate of theirs is valid now".into(),
        };
        if !global.dry_run {
            let question = format!("Remove {} ({})? {consequence}.", count(names.len()), fold(&names));
            report::confirm(global, &question)?;
        }
        let lock = enrolment.lock(global, &admin)?;

        let bar = report::progress(global, names.len(), "looking at nodes");
        let mut refused = Refused::default();
        let mut removed = Vec::new();
        for name in &names {
            bar.inc(1);
            match withdrawn(&enrolment, name) {
                Ok(Some(records)) => removed.push((name.clone(), records)),
                Ok(None) => refused.add(name, "no such node", "see node list"),
                Err(e) => refused.add_error(name, &e),
            }
        }
        bar.finish_and_clear();

        if let Some(lock) = &lock {
            // Records first: a secret that waits without a live record is nothing.
            enrolment.store.write_many(lock, &removed, || {}).advise()?;
            for (name, _) in &removed {
                if let Err(e) = enrolment.outgoing.remove(name) {
                    refused.add_error(name, &e);
                }
            }
        }
        let done: Vec<_> = removed.into_iter().map(|(name, _)| name).collect();
        if lock.is_some() {
            names::disallow(&admin, &enrolment.store, &done)?;
        }
        let verb = if global.dry_run { "would be removed" } else { "removed" };
        report::done(global, &format!("{} {verb}: {}", count(done.len()), fold(&done)));
        report::done(global, &consequence);
        refused.into_result(names.len(), "removed")
    }
}

/// The end of the last certificate among them that is still good.
fn valid_until(admin: &Admin, names: &[NodeName], now: UnixTime) -> anyhow::Result<Option<UnixTime>> {
    let last = last_certificates(&Ledger::of(&admin.controller), names)?;
    Ok(last.values().map(|entry| entry.not_after).filter(|until| *until > now).max())
}

/// A node's records, all withdrawn; `None` when nothing speaks of it. One that only token_list enrols
/// gets a file without records: its own records alone, none, then judge it.
fn withdrawn(enrolment: &Enrolment, name: &NodeName) -> Result<Option<RecordFile>, site::Error> {
    match enrolment.store.standing(name)? {
        Standing::Unknown => Ok(None),
        Standing::Listed(_) => Ok(Some(RecordFile::new(Vec::new()))),
        Standing::Recorded(_) => {
            let mut records = enrolment.records(name)?;
            for record in &mut records.records {
                record.withdrawn.get_or_insert(enrolment.now);
            }
            Ok(Some(records))
        }
    }
}
