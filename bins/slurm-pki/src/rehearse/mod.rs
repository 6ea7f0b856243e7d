//! `slurm-pki rehearse`: what slurmd and slurmctld would get from the programs now, with the live config,
//! CA and store, without leaving anything behind.

mod controller;
mod copy;
mod foreign;
mod node;
mod part;

use clap::Args;
use pki::name::NodeName;
use serde::Serialize;

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::checks::{Check, Checks, line, width};
use crate::global::Global;
use crate::programs::Programs;
use crate::{report, slurm_run};

pub(crate) use controller::is_here as is_controller;
pub(crate) use foreign::{foreign_here, same_file};
pub(crate) use node::{Here, find as find_node};

/// What `rehearse` is told.
#[derive(Args, Debug)]
#[command(
    after_help = "On a node (its token file is here) the node's programs run as the token file's owner; on \
    a controller (CA key or token store are here) the whole exchange runs as SlurmUser for the reserved node \
    slurm-pki-rehearsal. The programs get a copy of the config with a key folder and a ledger of its own, and \
    the certificate, one minute long where the CA is local, is thrown away. What the live system keeps is one \
    mark beside the rehearsal node's record. For SlurmUser's programs root passes its user and group on, but \
    no supplementary groups.\n\nExit codes: 0 slurmd would get its certificate, 1 it would not, or that could not be told, 64 wrong usage.\n\nExamples:\n  \
    slurm-pki rehearse              this host\n  \
    slurm-pki rehearse n1           on a host that runs slurmd under another NodeName\n  \
    slurm-pki rehearse --json"
)]
pub(crate) struct Rehearse {
    /// The node's NodeName; else this host's name
    #[arg(value_name = "NODE")]
    node: Option<String>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    passed: bool,
    node: Option<&'a str>,
    controller: bool,
    not_covered: &'a [String],
    checks: &'a [Check],
}

impl Rehearse {
    /// Rehearses whatever this host has a part in.
    ///
    /// # Errors
    /// When it has none, or a program failed.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let given = self.node.as_deref().map(|name| NodeName::parse(name.as_bytes())).transpose().advise()?;
        let here = node::find(&admin, given.as_ref())?;
        let controller = controller::is_here(&admin.controller);
        let programs = Programs::beside_this()?;
        let mut not_covered = not_covered(&here, controller)?;
        not_covered.extend(foreign::named_in(admin.slurm.as_ref(), &programs));
        if global.dry_run {
            plan(&here, controller, &not_covered);
            return Ok(());
        }
        slurm_run::close_what_was_inherited();
        let mut checks = Checks::default();
        let mut headings = Vec::new();
        if let Ok(here) = &here {
            headings.push((node::SLURMD, node::rehearse(&admin, here, &programs, &mut checks)?));
        }
        if controller {
            headings.push((controller::SLURMCTLD, controller::rehearse(&admin, &programs, &mut checks)?));
        }
        if global.json {
            let node = here.as_ref().ok().map(|here| here.name.as_str());
            let passed = checks.failed() == 0;
            let (checks, not_covered) = (checks.all(), not_covered.as_slice());
            report::json(
                "slurm-pki.rehearse.v1",
                &Outcome { passed, node, controller, not_covered, checks },
            )?;
        } else {
            show(&checks, &headings, &not_covered);
        }
        verdict(&checks)
    }
}

/// What came of it on this host, for a command that says it in its own way.
///
/// # Errors
/// When the programs are not here, or the copy of the config cannot be made.
pub(crate) fn on_this_host(admin: &Admin, here: Option<&Here>, controller: bool) -> anyhow::Result<Checks> {
    let programs = Programs::beside_this()?;
    slurm_run::close_what_was_inherited();
    let mut checks = Checks::default();
    if let Some(here) = here {
        node::rehearse(admin, here, &programs, &mut checks)?;
    }
    if controller {
        controller::rehearse(admin, &programs, &mut checks)?;
    }
    Ok(checks)
}

/// Slurmctld's part alone, before something is restarted; nothing where this host is no controller.
///
/// # Errors
/// When a node would get no certificate from it.
pub(crate) fn of_controller(admin: &Admin) -> anyhow::Result<()> {
    if !controller::is_here(&admin.controller) {
        return Ok(());
    }
    verdict(&on_this_host(admin, None, true)?)
}

/// What this host cannot tell.
///
/// # Errors
/// When it can tell nothing at all.
fn not_covered(here: &Result<Here, String>, controller: bool) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    match here {
        Err(why) if !controller => {
            return Err(Advice::new(
                format!(
                    "this host is neither node nor controller: {why}, and neither CA key nor token store"
                ),
                "run it on a node (name it if its NodeName is not the host's name), or on a controller as \
                 root; --config names another config",
            )
            .into());
        }
        Err(why) => lines.push(format!("a node's own programs: {why} on this host")),
        Ok(_) if !controller => {
            lines.push("validation and signing: run slurm-pki rehearse on a controller too".to_owned());
        }
        Ok(_) => {}
    }
    lines.push("the live key folder and ledger, and Slurm's own connection between the two".to_owned());
    Ok(lines)
}

fn plan(here: &Result<Here, String>, controller: bool, not_covered: &[String]) {
    if let Ok(here) = here {
        report::line(&format!("would run the programs of node {}", here.name));
    }
    if controller {
        report::line(&format!("would validate and sign for {}", pki::name::REHEARSAL));
    }
    not_covered.iter().for_each(|what| report::line(&format!("would not cover {what}")));
}

fn show(checks: &Checks, headings: &[(&'static str, String)], not_covered: &[String]) {
    let width = width(checks.all());
    for (part, heading) in headings {
        report::line(heading);
        checks.of_part(part).for_each(|check| line(check, width));
        report::line("");
    }
    not_covered.iter().for_each(|what| report::line(&format!("Not covered: {what}")));
}

fn verdict(checks: &Checks) -> anyhow::Result<()> {
    match checks.all().iter().find(|check| !check.passed) {
        None => Ok(()),
        Some(check) => Err(Advice::new(
            format!(
                "the rehearsal failed: {}: {}",
                check.what,
                check.detail.lines().next().unwrap_or_default()
            ),
            "slurmd would get no certificate; mend this before anything is restarted",
        )
        .into()),
    }
}
