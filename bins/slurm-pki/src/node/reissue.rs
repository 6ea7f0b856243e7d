//! `node reissue`: slurmd asks for a new certificate. It asks only when it starts without `certmgr_state`, or when a
//! renewal is due (docs/slurm-contract.md 2).
//!
//! A refusal at the start is the end of slurmd: so only a node whose token enrols is touched, after the gate of every
//! restart ([`crate::activation::gate`]), one host before all others; and what slurmd had is put back where it gets nothing new.
//!
//! A host is not believed that it has a new certificate: the ledger must have it too, where whatever is issued has to stand
//! there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pki::name::NodeName;
use pki::standing::Standing;
use pki::time::UnixTime;
use serde::Serialize;
use site::clock;
use site::config::{Daemon, DaemonConfig};
use site::ledger::{Entry, Ledger};

use super::add::count;
use super::contents::Contents;
use super::enrolment::Enrolment;
use super::refused::Refused;
use super::targets::{self, Target};
use super::verify::{self, Bundle, Token, Verdict};
use crate::activation::{gate, signs};
use crate::admin::{Admin, caller};
use crate::advice::{Advice, Advise as _};
use crate::fleet::{Fleet, Job, Missed, Outcomes, Skips, quoted};
use crate::global::Global;
use crate::hostlist::{self, fold, fold_texts};
use crate::members::Members;
use crate::{interrupt, report};

/// Slurm's default for SlurmdSpoolDir (slurm.conf(5)).
const SPOOL: &str = "/var/spool/slurmd";

/// So much may the clocks of two controllers differ, in seconds: the other one may be the one that signs.
const CLOCKS_DIFFER: i64 = 60;

/// How slurmd is restarted where [daemons.slurmd] says nothing.
const RESTART: [&str; 3] = ["systemctl", "restart", "slurmd"];

#[derive(Args, Debug)]
#[command(after_help = "\
On each host certmgr_state in SlurmdSpoolDir is put aside and slurmd restarted, by [daemons.slurmd] command (%n in \
it is the node's name), else systemctl restart slurmd. Done means that slurmd wrote a new certmgr_state and that the \
ledger has the new certificate (a warning, where it need not: another sign_csr, or ledger_required = false); where slurmd \
wrote none within half of [fleet] timeout, the former one is put back and slurmd restarted once more. Jobs go on: a \
restart of slurmd leaves their steps alone.

Before that slurmctld's part is rehearsed here, scontrol must show no other node that answers and is late with its \
renewal, and each node must have a token that enrols and the CA bundle of this host. Then one host goes first, and the others follow in groups of [fleet] parallel; the first group with a \
failure is the last. Ctrl-C waits for the hosts whose slurmd is being restarted, and no others follow. A node whose token was for a single use gets a new one first: node token, then node push.

Exit codes: 0 all have a new certificate, 1 some have not, 64 wrong usage.

Examples:
  slurm-pki node reissue n7
  slurm-pki node reissue 'n[001-128]' --skip n9 --yes
  slurm-pki node reissue 'n[001-128]' --dry-run            which nodes could, and which could not")]
pub(crate) struct Reissue {
    /// Nodes, as in slurm.conf: n[001-128,200]
    #[arg(value_name = "HOSTLIST", required = true)]
    nodes: Vec<String>,
    /// Hosts to leave out, by node or host name: remembered until they are reached again
    #[arg(long, value_name = "HOSTLIST")]
    skip: Vec<String>,
}

/// What came of it, for `--json`.
#[derive(Serialize)]
struct View<'a> {
    reissued: Vec<&'a str>,
    failed: Vec<Failed<'a>>,
    not_tried: Vec<&'a str>,
    refused: Vec<Failed<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    node: &'a str,
    why: &'a str,
}

impl Reissue {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        must_use_certmgr(&admin)?;
        let enrolment = Enrolment::of(&admin)?;
        let names = hostlist::nodes(&self.nodes).usage()?;
        let (members, fleet) = (Members::of(&admin)?, Fleet::of(&admin)?);
        let restart = Restart::of(&admin, &fleet)?;
        let mut skips = Skips::load(&admin)?;
        let targets = targets::of(&members, &names);
        let targets = targets::without_skipped(global, targets, &self.skip, &mut skips, Missed::Reissue)?;

        let contents = Contents::of(&admin, caller())?;
        let program = verify::program(&admin)?;
        let (asked, verdicts) = verify::ask(global, &fleet, &enrolment, &targets, &contents, &program)?;
        asked.report();
        let refused = refused(&enrolment, &members, &verdicts)?;
        let targets = targets::without_refused(targets, &refused);
        let able: Vec<_> = targets.iter().flat_map(|target| target.nodes.clone()).collect();
        if global.dry_run || able.is_empty() {
            let text = format!("{} would ask for a new certificate: {}", count(able.len()), fold(&able));
            report::done(global, &text);
            return refused.into_result(names.len(), "ready for it");
        }
        let question = format!("Restart slurmd of {} (jobs go on): {}?", count(able.len()), fold(&able));
        report::confirm(global, &question)?;
        gate::pass_without(global, &admin, false, enrolment.now, &able)?;
        let ledger = ledger_to_ask(&admin);
        let outcomes = one_then_all(global, &fleet, &targets, &restart, ledger.as_ref());
        let whole = targets::whole(&members, &targets, outcomes.reached());
        skips.reached(global, &whole, &[Missed::Reissue])?;
        conclude(global, &targets, outcomes, refused, names.len())
    }
}

/// Where nodes have static pairs, slurmd asks nobody.
fn must_use_certmgr(admin: &Admin) -> anyhow::Result<()> {
    if admin.slurm.as_ref().is_some_and(|slurm| slurm.get("CertmgrType").is_some()) {
        return Ok(());
    }
    Err(Advice::new(
        "slurm.conf has no CertmgrType: slurmd asks nobody for a certificate",
        "see slurm-pki conf show; for pairs in files: slurm-pki node bundle --static",
    )
    .into())
}

/// The nodes that would get no certificate if they asked now.
fn refused(enrolment: &Enrolment, members: &Members, verdicts: &[Verdict]) -> anyhow::Result<Refused> {
    let mut refused = Refused::default();
    for verdict in verdicts {
        let name = NodeName::parse(verdict.node.as_bytes()).advise()?;
        let why = if targets::is_login(members, &name) {
            Some(("it runs sackd, which asks at every start", "there: systemctl restart sackd"))
        } else {
            why_not(verdict, &enrolment.store.standing(&name).advise()?, enrolment)
        };
        if let Some((why, hint)) = why {
            refused.add(&name, why, hint);
        }
    }
    Ok(refused)
}

/// Why a node would get no certificate when it asks, and what to do.
fn why_not(
    verdict: &Verdict,
    standing: &Standing,
    enrolment: &Enrolment,
) -> Option<(&'static str, &'static str)> {
    if !verdict.reached {
        return Some(("it was not reached", "see why, or leave it out with --skip"));
    }
    if verdict.bundle != Some(Bundle::Same) {
        return Some(("its CA bundle is not this host's", "slurm-pki node push NODE --ca-only"));
    }
    match verdict.token {
        Some(Token::Same | Token::Older) => {
            let enrolling = standing.still_enrolling(enrolment.now, &enrolment.windows);
            let enrols = match &verdict.record {
                // A line of the token list has no end.
                None => true,
                Some(its) => enrolling.iter().any(|id| id.as_str() == its),
            };
            let hint = "slurm-pki node token NODE, then slurm-pki node push NODE";
            (!enrols).then_some(("its token enrols no more", hint))
        }
        Some(Token::Missing) => {
            Some(("its token cannot be had there", "slurm-pki node verify NODE says why"))
        }
        _ => Some(("its token is not one that counts here", "slurm-pki node push NODE")),
    }
}

/// How slurmd is restarted, and where it keeps its certificate.
struct Restart {
    command: Vec<String>,
    spool: String,
    wait: Duration,
}

impl Restart {
    fn of(admin: &Admin, fleet: &Fleet) -> anyhow::Result<Self> {
        let config = DaemonConfig::read(&admin.config, &admin.controller, Daemon::Slurmd).advise()?;
        let usual = || RESTART.iter().map(|&word| word.to_owned()).collect();
        let command = if config.command.is_empty() { usual() } else { config.command };
        let spool = admin.slurm.as_ref().and_then(|slurm| slurm.get("SlurmdSpoolDir")).unwrap_or(SPOOL);
        // A second restart has to fit into what one host is given.
        let wait = (fleet.timeout() / 2).max(Duration::from_secs(1));
        Ok(Self { command, spool: spool.to_owned(), wait })
    }

    fn script(&self, target: &Target) -> String {
        let seconds = self.wait.as_secs() / u64::try_from(target.nodes.len()).unwrap_or(1).max(1);
        let mut script = format!("seconds={}\n{ASK_ANEW}", seconds.max(1));
        for node in &target.nodes {
            let short = target.host.split('.').next().unwrap_or_default();
            let spool = self.spool.replace("%n", node.as_str()).replace("%h", short);
            let state = PathBuf::from(spool).join("certmgr_state");
            let word = |word: &String| quoted(&word.replace("%n", node.as_str()));
            let words: Vec<_> = self.command.iter().map(word).collect();
            let state = quoted(&state.to_string_lossy());
            script.push_str(&format!("ask_anew {state} {}\n", words.join(" ")));
        }
        script
    }
}

/// `ask_anew STATE COMMAND…`. Slurmd writes its state as soon as it has loaded its new pair. What a killed run put aside
/// is the former state still.
///
/// A connection that is cut must not leave slurmd without either: the shell hears signals and goes on to its end, which the
/// waiting bounds. What it starts hears them as ever; so what that says goes to a file, or it would end by its first word to
/// a connection that is gone. A killed run's file has a name that a later delivery sweeps.
const ASK_ANEW: &str = r#"
trap : HUP INT PIPE TERM
came() {
    passed=0
    while [ ! -s "$1" ]; do
        [ "$passed" -lt "$seconds" ] || return 1
        sleep 1
        passed=$((passed + 1))
    done
}
told() {
    [ "$said" != /dev/null ] || return 0
    tail -n 3 "$said" || true
    rm -f "$said"
}
ask_anew() {
    state=$1
    shift
    if [ ! -d "${state%/*}" ]; then
        echo "there is no ${state%/*}: SlurmdSpoolDir is another there"
        exit 1
    fi
    said=$(mktemp /run/slurm-pki.XXXXXXXXXXXXXXXX 2>/dev/null) || said=/dev/null
    if [ -e "$state" ]; then mv -fT "$state" "$state.slurm-pki"; fi
    if "$@" >"$said" 2>&1 && came "$state"; then
        rm -f "$state.slurm-pki"
        [ "$said" = /dev/null ] || rm -f "$said"
        return
    fi
    if [ -e "$state.slurm-pki" ]; then
        mv -fT "$state.slurm-pki" "$state"
        if "$@" >>"$said" 2>&1; then
            told
            echo "slurmd got no new certificate and has its former one again: see its log"
        else
            told
            echo "slurmd got no new certificate, and does not start with its former one either: see its log"
        fi
    else
        told
        echo "slurmd got no certificate, and had none before: see its log"
    fi
    exit 1
}
"#;

/// One host shows that it works; then groups, until one fails or somebody interrupts: a host whose slurmd is being restarted
/// is waited for even then.
fn one_then_all(
    global: &Global,
    fleet: &Fleet,
    targets: &[Target],
    restart: &Restart,
    ledger: Option<&Ledger>,
) -> Outcomes {
    let job = |target: &Target| Job { host: target.host.clone(), script: restart.script(target) };
    let fleet = fleet.to_the_end();
    let run = |targets: &[Target]| {
        let begun = clock::now();
        let said = fleet.run(global, "hosts", targets.iter().map(job).collect());
        match ledger {
            Some(ledger) => believed(said, targets, ledger, begun),
            None => said,
        }
    };
    let (first, others) = targets.split_at(targets.len().min(1));
    let mut outcomes = if interrupt::came() { Outcomes::default() } else { run(first) };
    for group in others.chunks(fleet.parallel()) {
        if interrupt::came() || !outcomes.failed().is_empty() {
            break;
        }
        let hosts = fold_texts(group.iter().map(|target| target.host.as_str()));
        report::done(global, &format!("next: {hosts}"));
        outcomes = outcomes.and(run(group));
    }
    outcomes
}

/// What each host's word is held against. `None`, and a warning: a certificate that was issued need not stand there, so its
/// absence would say nothing.
fn ledger_to_ask(admin: &Admin) -> Option<Ledger> {
    let why = if !signs(admin) {
        "sign_csr_script in slurm.conf is another program than slurm-pki's, which keeps no ledger"
    } else if !admin.controller.ledger_required {
        "ledger_required is false in the config, so certificates may be issued without a line in it"
    } else {
        return Some(Ledger::of(&admin.controller));
    };
    report::warning(&format!(
        "the ledger is not asked whether nodes got new certificates, and each host's own word is all: {why}"
    ));
    None
}

/// Who says that it has a new certificate has one only where the ledger has it as well: sign_csr records before it answers.
fn believed(said: Outcomes, targets: &[Target], ledger: &Ledger, begun: UnixTime) -> Outcomes {
    let without = without_entry(targets, ledger, begun);
    said.judge(|host, _| {
        let without = without.as_ref().map_err(|e| format!("the ledger cannot be read: {e}"))?;
        let its = targets.iter().filter(|target| target.host == host).flat_map(|target| &target.nodes);
        let its: Vec<_> = its.filter(|node| without.contains(node.as_str())).cloned().collect();
        if its.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{host} says that slurmd has a new certificate, and the ledger has none for {}: see slurm-pki ledger list \
             --since 1h on the controller that signs; where no ledger has it, do not trust that host",
            fold(&its)
        ))
    })
}

/// The nodes that were issued nothing since. The ledger is read whole only where `last/` does not have it.
fn without_entry(
    targets: &[Target],
    ledger: &Ledger,
    begun: UnixTime,
) -> Result<BTreeSet<String>, site::Error> {
    let since = UnixTime(begun.0.saturating_sub(CLOCKS_DIFFER));
    let is_new = |entry: &Entry| entry.time >= since;
    let names = targets.iter().flat_map(|target| &target.nodes).map(|node| node.as_str().to_owned());
    let mut without: BTreeSet<String> =
        names.filter(|name| !ledger.last_known(name).is_some_and(|entry| is_new(&entry))).collect();
    if !without.is_empty() {
        for entry in ledger.entries(|entry| is_new(entry) && without.contains(&entry.node))? {
            without.remove(&entry.node);
        }
    }
    Ok(without)
}

fn conclude(
    global: &Global,
    targets: &[Target],
    outcomes: Outcomes,
    refused: Refused,
    all: usize,
) -> anyhow::Result<()> {
    let (mut done, mut failed, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for target in targets {
        match outcomes.of(&target.host) {
            Some(Ok(_)) => done.extend(&target.nodes),
            Some(Err(why)) => {
                failed.extend(target.nodes.iter().map(|node| Failed { node: node.as_str(), why }));
            }
            None => left.extend(&target.nodes),
        }
    }
    if global.json {
        let view = View {
            reissued: done.iter().map(|name| name.as_str()).collect(),
            failed,
            not_tried: left.iter().map(|name| name.as_str()).collect(),
            refused: refused.iter().map(|(name, why)| Failed { node: name.as_str(), why }).collect(),
        };
        report::json("slurm-pki.node.reissue.v1", &view)?;
    }
    if !done.is_empty() {
        report::done(global, &format!("{} have a new certificate: {}", count(done.len()), fold(done)));
    }
    // Nothing else than a failure or an interruption leaves any.
    let interrupted = !left.is_empty() && outcomes.failed().is_empty();
    if !left.is_empty() {
        let why = if interrupted { "an interruption" } else { "a failure" };
        report::warning(&format!("not tried after {why}: {}", fold(left)));
    }
    let reissued = outcomes.into_result("node reissue");
    refused.into_result(all, "touched")?;
    reissued?;
    if interrupted {
        return Err(Advice::new(
            "node reissue was interrupted",
            "run it again for those that were not tried",
        )
        .into());
    }
    Ok(())
}
