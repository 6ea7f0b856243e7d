//! `slurm-pki demo`: a whole certmgr and certgen exchange in a scratch folder, each of the seven programs
//! run as Slurm runs it, every certificate then used in a TLS handshake.

mod client;
mod exchange;
mod refusals;
mod scratch;
mod shown;

use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use pki::name::NodeName;
use serde::Serialize;

use crate::advice::{Advice, Advise as _};
use crate::checks::{Check, Checks};
use crate::global::Global;
use crate::{hostlist, report, slurm_run};
use exchange::Exchange;
use scratch::Scratch;

/// Nodes that are served at the same time. Slurm's own waits are most of each program's time.
const AT_ONCE: usize = 8;

/// What `demo` is told.
#[derive(Args, Debug)]
#[command(after_help = "Works for any user, needs no Slurm and no config, and touches nothing outside its \
    folder.\n\nExamples:\n  \
    slurm-pki demo                                    eight nodes\n  \
    slurm-pki demo --nodes 'rack[1-2]n[01-16]'        as many as you like\n  \
    slurm-pki demo --keep /tmp/site                   leave the scratch site there\n  \
    slurm-pki demo --json | jq .data.passed")]
pub(crate) struct Demo {
    /// Names of the nodes that play along
    #[arg(long, value_name = "HOSTLIST", default_value = "n[1-8]")]
    nodes: String,
    /// Leave the scratch site in this new folder (mode 0700; it has private keys in it)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    passed: bool,
    nodes: usize,
    kept: Option<&'a PathBuf>,
    checks: &'a [Check],
}

impl Demo {
    /// Plays the exchange for every node, then the refusals, then one client command.
    ///
    /// # Errors
    /// When the site cannot be made, or one check failed.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let nodes = hostlist::nodes(std::slice::from_ref(&self.nodes)).advise()?;
        let first = nodes
            .first()
            .ok_or_else(|| Advice::new("no node is named", "give a hostlist: --nodes n[1-8]"))?;
        if global.dry_run {
            report::line(&format!(
                "would play certmgr and certgen for {} nodes in a scratch folder",
                nodes.len()
            ));
            return Ok(());
        }
        slurm_run::close_what_was_inherited();
        let begun = Instant::now();
        let other = other_than(first, &nodes)?;
        let mut enrolled = nodes.clone();
        if !enrolled.contains(&other) {
            enrolled.push(other.clone());
        }
        let mut checks = Checks::default();
        let site = Scratch::make(self.keep.as_deref(), &enrolled, &mut checks)?;
        checks.append(play(global, &site, &nodes, &other));
        if let Some(path) = &self.keep {
            site.leave("README", shown::readme(site.path(), first).as_bytes())?;
            report::done(global, &format!("kept in {}: see exchange/README there", path.display()));
        }
        if global.json {
            let passed = checks.failed() == 0;
            let kept = self.keep.as_ref();
            let outcome = Outcome { passed, nodes: nodes.len(), kept, checks: checks.all() };
            report::json("slurm-pki.demo.v1", &outcome)?;
        } else {
            shown::show(&checks, &nodes, begun.elapsed());
        }
        verdict(&checks)
    }
}

fn play(global: &Global, site: &Scratch, nodes: &[NodeName], other: &NodeName) -> Checks {
    let bar = report::progress(global, nodes.len(), "nodes");
    let mut checks = side_by_side(site, nodes, &bar);
    bar.finish_and_clear();
    // What fails from here on stands in the checks.
    if let Some(first) = nodes.first() {
        let _ = refusals::run(site, &mut checks, first, other);
    }
    let _ = client::run(site, &mut checks);
    checks
}

/// Several nodes at once, as slurmctld serves them; the checks come in the order of the nodes.
fn side_by_side(site: &Scratch, nodes: &[NodeName], bar: &ProgressBar) -> Checks {
    let exchange = |nodes: &[NodeName]| {
        let mut checks = Checks::default();
        for node in nodes {
            let _ = Exchange::new(site, &mut checks, node).run();
            bar.inc(1);
        }
        checks
    };
    let exchange = &exchange;
    thread::scope(|scope| {
        let share = nodes.len().div_ceil(AT_ONCE).max(1);
        let workers: Vec<_> = nodes.chunks(share).map(|nodes| scope.spawn(move || exchange(nodes))).collect();
        let mut checks = Checks::default();
        for worker in workers {
            checks.append(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        checks
    })
}

/// Another enrolled node, in whose name the first one asks: the second, or one that is there for this.
fn other_than(first: &NodeName, nodes: &[NodeName]) -> anyhow::Result<NodeName> {
    if let Some(second) = nodes.get(1) {
        return Ok(second.clone());
    }
    let name: &[u8] = if first.as_str() == "other" { b"another" } else { b"other" };
    NodeName::parse(name).advise()
}

fn verdict(checks: &Checks) -> anyhow::Result<()> {
    match checks.failed() {
        0 => Ok(()),
        failed => Err(Advice::new(
            format!("{failed} of {} checks failed", checks.all().len()),
            "each failed step stands there with the program's own words",
        )
        .into()),
    }
}
