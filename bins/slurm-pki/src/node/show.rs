//! `node show`: everything about one node.

use clap::Args;
use pki::standing::Standing;
use pki::time::UnixTime;
use site::ledger::Ledger;

use super::enrolment::Enrolment;
use super::view::{RecordView, View, last_certificates};
use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist;
use crate::moment;
use crate::report;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  slurm-pki node show n7
  slurm-pki node show n7 --json")]
pub(crate) struct Show {
    /// The node's name
    #[arg(value_name = "NODE")]
    node: String,
}

impl Show {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(std::slice::from_ref(&self.node)).advise()?;
        let [name] = names.as_slice() else {
            return Err(Advice::new("node show is about one node", "for several use node list").into());
        };
        let last = last_certificates(&Ledger::of(&admin.controller), &names)?.remove(name);
        let view = match enrolment.store.standing(name).advise()? {
            Standing::Recorded(held) => View::recorded(&enrolment, name, held, last),
            Standing::Listed(_) => View::listed(name, last),
            Standing::Unknown => {
                let what = format!("no such node: {name}");
                return Err(Advice::new(what, format!("enrol it with: slurm-pki node add {name}")).into());
            }
        };
        if global.json {
            return report::json("slurm-pki.node.show.v1", &view);
        }
        print(&view, enrolment.now);
        Ok(())
    }
}

fn print(view: &View, now: UnixTime) {
    report::line(&format!("node         {}", view.name));
    report::line(&format!("state        {}", view.state.word()));
    report::line(&format!("can enrol    {}", yes(view.enrols)));
    report::line(&format!("can renew    {}", yes(view.binds)));
    if view.foreign {
        report::line("token        made by others: whoever sees it can get certificates too; see node token");
    }
    if view.waiting {
        report::line("secret       waits to be bundled");
    }
    match &view.last_certificate {
        Some(entry) => {
            report::line(&format!("certificate  serial {}", entry.serial));
            report::line(&format!("  issued     {}", moment::shown(entry.time, now)));
            report::line(&format!("  until      {}", moment::shown(entry.not_after, now)));
        }
        None => report::line("certificate  none yet"),
    }
    for record in &view.records {
        print_record(record, now);
    }
}

fn print_record(record: &RecordView, now: UnixTime) {
    let rights = match (record.enrols, record.binds) {
        (true, true) => "enrols and binds",
        (true, false) => "enrols",
        (false, true) => "binds",
        (false, false) => "ended",
    };
    report::line(&format!("record       {} ({rights})", record.id));
    if record.foreign {
        report::line("  token      made by others");
    }
    if record.single_use {
        report::line("  token      for a single use");
    }
    let times = [
        ("created", Some(record.created)),
        ("token ends", record.enrols_until),
        ("first used", record.used),
        ("bound", record.bound),
        ("withdrawn", record.withdrawn),
    ];
    for (what, time) in times {
        if let Some(time) = time {
            report::line(&format!("  {what:<10} {}", moment::shown(time, now)));
        }
    }
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}
