//! `slurm-pki cert list`.

use clap::Args;
use pki::time::UnixTime;
use site::clock;

use super::facts::{DaemonFacts, State};
use crate::admin::Admin;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Each daemon's pair on this host: where it is, until when, when it is to be renewed
#[derive(Args, Debug)]
#[command(after_help = "Listed are the daemons that have a pair here, or a section in the config.\n\n\
    States: ok; due (to be renewed now); expired; missing; broken (certificate and key do not load together); \
    untrusted (not issued by the present CA: no way to ca_cert); foreign (works, and others made the files); \
    unknown (you may not read it).\n\n\
    Examples:\n  \
    slurm-pki cert list\n  \
    slurm-pki cert list --json | jq -r '.data[] | select(.state != \"ok\") | .program'")]
pub(super) struct List {}

impl List {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let now = clock::now();
        let all = DaemonFacts::of_this_host(&admin, now)?;
        if global.json {
            return report::json("slurm-pki.cert.list.v1", &all);
        }
        let rows = all.iter().map(|facts| row(facts, now)).collect();
        report::table(&["DAEMON", "FILE", "UNTIL", "DUE", "ISSUER", "STATE"], rows);
        for facts in &all {
            if let Some(why) = &facts.why {
                report::warning(&format!("{}: {}: {why}", facts.program, facts.state.word()));
            }
        }
        Ok(())
    }
}

fn row(facts: &DaemonFacts, now: UnixTime) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    vec![
        facts.program.to_owned(),
        facts.cert.display().to_string(),
        or_none(facts.leaf.as_ref().map(|leaf| moment::shown(leaf.not_after, now))),
        or_none(facts.due.map(|due| moment::relative(due, now))),
        or_none(facts.leaf.as_ref().map(|leaf| leaf.issuer.clone())),
        state(facts),
    ]
}

fn state(facts: &DaemonFacts) -> String {
    let word = facts.state.word();
    if facts.foreign && facts.state != State::Foreign { format!("{word}, foreign") } else { word.to_owned() }
}
