//! `node token`: a new secret beside the old one.

use clap::Args;
use pki::name::NodeName;
use pki::record::RecordFile;
use pki::standing::Standing;

use super::add::count;
use super::enrolment::{Enrolment, Given, Terms, new_record};
use super::refused::Refused;
use super::scontrol;
use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::global::Global;
use crate::hostlist::{self, fold};
use crate::moment;
use crate::point::Point;
use crate::report;
use crate::vault::names;

#[derive(Args, Debug)]
#[command(after_help = "\
The new secret waits to be bundled. The old one keeps both its rights until secret_grace after the first \
certificate that the new one binds, so nothing breaks before the bundle has arrived; --now ends it at once. \
A node that only token_list enrols keeps that token in the same way.

Examples:
  slurm-pki node token n7                          a new secret, the old one lasts as long as it is needed
  slurm-pki node token n7 --now                    the old one was seen by somebody
  slurm-pki node token cloud[1-9] --single-use --set-certtoken
                                                   and CertToken in slurmctld to match, in one step")]
pub(crate) struct Token {
    /// Nodes, as in slurm.conf: n[001-128,200] login1
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// Withdraw the old secrets at once
    #[arg(long)]
    now: bool,
    /// The new token ends an hour (replay_window) after the first certificate
    #[arg(long)]
    single_use: bool,
    /// When the new token ends: 30d, or a UTC time like 2026-12-01T00:00:00Z. Renewals go on
    #[arg(long, value_name = "SPAN|TIME", value_parser = Point::parse)]
    expires: Option<Point>,
    /// Also set CertToken in slurmctld: the token goes to scontrol's stdin
    #[arg(long)]
    set_certtoken: bool,
}

impl Token {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        if self.now && !global.dry_run {
            let names = fold(&names);
            report::confirm(global, &format!("End the present secrets of {names} at once?"))?;
        }
        let lock = enrolment.lock(global, &admin)?;

        let bar = report::progress(global, names.len(), "looking at nodes");
        let mut refused = Refused::default();
        let mut given = Vec::new();
        for name in &names {
            bar.inc(1);
            match successor(&enrolment, name, self.now) {
                Ok(Some(one)) => given.push(one),
                Ok(None) => refused.add(name, "not enrolled", "enrol it with node add"),
                Err(e) => refused.add_error(name, &e),
            }
        }
        bar.finish_and_clear();

        let new: Vec<_> = given.iter().map(|one| one.name.clone()).collect();
        if let Some(lock) = &lock {
            names::allow(&admin, &new)?;
            let terms = self.terms(&enrolment);
            let handed = enrolment.hand_out(global, lock, given, terms)?;
            if self.set_certtoken && !handed.is_empty() {
                scontrol::set_cert_tokens(&handed)?;
            }
        }
        self.say(global, &admin, &new);
        refused.into_result(names.len(), "given a new secret")
    }

    fn terms(&self, enrolment: &Enrolment) -> Terms {
        Terms {
            single_use: self.single_use,
            enrols_until: self.expires.map(|point| point.ahead_of(enrolment.now)),
        }
    }

    fn say(&self, global: &Global, admin: &Admin, new: &[NodeName]) {
        if new.is_empty() {
            return;
        }
        let verb = if global.dry_run { "would get a new secret" } else { "got a new secret" };
        let old = if self.now {
            "the old one ends now".to_owned()
        } else {
            let grace = moment::span(admin.controller.windows.grace);
            format!("the old one lasts until {grace} after the first certificate under the new one")
        };
        let names = fold(new);
        report::done(global, &format!("{} {verb}: {names}; {old}", count(new.len())));
        if self.set_certtoken {
            let verb = if global.dry_run { "would be set" } else { "is set" };
            report::done(
                global,
                &format!("CertToken {verb}: slurmctld now compares with it, and asks nobody else"),
            );
        }
        if !global.dry_run {
            report::done(
                global,
                &format!("next: slurm-pki node push '{names}', or node bundle '{names}' --out DIR"),
            );
        }
    }
}

/// A new secret beside the records that a node has; `None` when nothing speaks for it. With `now` the
/// old ones end.
pub(super) fn successor(
    enrolment: &Enrolment,
    name: &NodeName,
    now: bool,
) -> Result<Option<Given>, site::Error> {
    let mut records = match enrolment.store.standing(name)? {
        Standing::Unknown => return Ok(None),
        Standing::Recorded(held) if !enrolment.is_live(&held) => return Ok(None),
        Standing::Recorded(_) => enrolment.records(name)?,
        // Its own records alone will judge it from now on: what the list gave it goes along.
        Standing::Listed(lines) => {
            let records = lines.iter().map(|line| new_record(line, enrolment.now));
            RecordFile::new(records.collect::<Result<_, _>>()?)
        }
    };
    if now {
        for record in &mut records.records {
            record.withdrawn.get_or_insert(enrolment.now);
        }
    }
    enrolment.secret_for(name.clone(), records).map(Some)
}
