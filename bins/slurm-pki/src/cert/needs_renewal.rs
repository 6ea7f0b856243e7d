//! `slurm-pki cert needs-renewal`: a question for scripts, answered by the exit code.

use clap::Args;
use pki::time::UnixTime;
use serde::Serialize;
use site::clock;
use site::config::Daemon;

use super::facts::{DaemonFacts, State, Trusted};
use super::issue::Which;
use super::target::Target;
use crate::admin::Admin;
use crate::advice::Advice;
use crate::exit::Exit;
use crate::global::Global;
use crate::moment;
use crate::report;

/// Say by the exit code whether a daemon's pair on this host is to be renewed
#[derive(Args, Debug)]
#[command(
    after_help = "Without a name it asks for every daemon that has a pair here or a section in the config. What each of \
    them is like goes to stdout; --quiet leaves that out.\n\n\
    Exit codes:\n  \
    0    yes: one is due, expired, broken, or not issued by the present CA\n  \
    1    no\n  \
    2    a pair is missing (and none of the others is to be renewed)\n  \
    255  it cannot be told, or the command line is wrong\n\n\
    Examples:\n  \
    slurm-pki cert needs-renewal ctld && slurm-pki cert renew --only ctld\n  \
    slurm-pki cert needs-renewal --quiet; echo $?"
)]
pub(super) struct NeedsRenewal {
    /// Whose pairs
    #[arg(value_name = "DAEMON")]
    daemons: Vec<Which>,
}

const YES: Exit = Exit(0);
const NO: Exit = Exit(1);
const MISSING: Exit = Exit(2);

#[derive(Serialize)]
struct Answer<'a> {
    daemon: &'static str,
    needs_renewal: bool,
    state: State,
    why: Option<&'a str>,
    due: Option<UnixTime>,
}

impl NeedsRenewal {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let admin = Admin::load(global)?;
        let now = clock::now();
        let all = self.facts(&admin, now)?;
        if let Some(unknown) = all.iter().find(|facts| facts.state == State::Unknown) {
            let why = unknown.why.clone().unwrap_or_default();
            return Err(Advice::new(why, "run it as root, or as the owner of the file").into());
        }
        say(global, &all, now)?;
        Ok(answer(&all))
    }

    fn facts(&self, admin: &Admin, now: UnixTime) -> anyhow::Result<Vec<DaemonFacts>> {
        let trusted = Trusted::of(admin);
        // "No" for a certificate that no peer may accept would be wrong, and nobody would hear of it.
        if let Some(problem) = trusted.problem() {
            return Err(Advice::new(problem, "slurm-pki ca show says what is wrong with the CA").into());
        }
        if self.daemons.is_empty() {
            return DaemonFacts::of_this_host(admin, now);
        }
        let mut named = Vec::new();
        for daemon in self.daemons.iter().map(|which| Daemon::from(*which)) {
            for target in Target::here(admin, daemon)? {
                named.push(DaemonFacts::of(daemon, &target.config, &trusted, now)?);
            }
        }
        Ok(named)
    }
}

fn answer(all: &[DaemonFacts]) -> Exit {
    let missing = |facts: &DaemonFacts| facts.state == State::Missing;
    if all.iter().any(|facts| facts.state.needs_renewal()) {
        YES
    } else if all.is_empty() || all.iter().any(missing) {
        MISSING
    } else {
        NO
    }
}

fn say(global: &Global, all: &[DaemonFacts], now: UnixTime) -> anyhow::Result<()> {
    if global.json {
        let answers: Vec<_> = all.iter().map(Answer::of).collect();
        return report::json("slurm-pki.cert.needs-renewal.v1", &answers);
    }
    if global.quiet {
        return Ok(());
    }
    if all.is_empty() {
        report::line("no daemon has a pair here, nor a section in the config: slurm-pki cert issue");
    }
    for facts in all {
        report::line(&line(facts, now));
    }
    Ok(())
}

impl<'a> Answer<'a> {
    fn of(facts: &'a DaemonFacts) -> Self {
        Self {
            daemon: facts.program,
            needs_renewal: facts.state.needs_renewal(),
            state: facts.state,
            why: facts.why.as_deref(),
            due: facts.due,
        }
    }
}

fn line(facts: &DaemonFacts, now: UnixTime) -> String {
    let (program, word) = (facts.program, facts.state.word());
    let why = facts.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match facts.due {
        _ if facts.state == State::Missing => format!("{program}: missing{why}"),
        _ if facts.state.needs_renewal() => format!("{program}: yes, {word}{why}"),
        Some(due) => format!("{program}: no, it is to be renewed {}{why}", moment::relative(due, now)),
        None => format!("{program}: no{why}"),
    }
}
