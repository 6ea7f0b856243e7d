//! Daemons brought to load files that changed, in an order in which a file that is bad after all costs one node and not the
//! cluster, and the proof that each of them did.
//!
//! The order: one slurmd, by its own reload, and a step there; controllers that stand by and slurmdbd, which load nothing
//! but at a restart; the slurmctld at work, which has every slurmd start anew too; sackd; and what is left of the nodes.
//! The proof: each started after the files had come to its host, by that host's own clock, and the files that lie there are
//! the ones that were brought; on nodes a step runs besides.
//!
//! Nothing is kept here. Whoever has started anew already is seen by that, so the same call goes on where another ended.

mod commands;
mod controller;
mod host;
mod nodes;
mod outcome;
mod part;
mod run;
mod step;
mod turn;

use std::time::Duration;

use pki::time::UnixTime;
use site::clock;

use self::commands::Commands;
use self::host::Seen;
use self::run::Run;
use crate::activation::gate;
use crate::admin::Admin;
use crate::fleet::Fleet;
use crate::global::Global;

pub(crate) use self::outcome::{Outcome, Reason};
pub(crate) use self::part::{Lies, Part, Who, all};

/// What is asked of nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// How long nodes whose CPUs are all taken are waited for until a step runs there: all together.
    pub(crate) step: Duration,
    /// Whether such a node needs none: that it started anew and answers is enough.
    pub(crate) accept_busy: bool,
    /// So many slurmd are tried, one after the other, until one goes first; if none does, the files are to blame. More than
    /// one where a node may be somebody's who wants all of this to fail.
    pub(crate) first_tries: usize,
    /// Whether a controller or slurmdbd that does not run is started: on the way back from a file that they died of. Else
    /// somebody may have stopped it, and means it.
    pub(crate) start_dead: bool,
}

/// What everything here works with.
struct Scene<'a> {
    global: &'a Global,
    /// The first SlurmctldHost.
    primary: Option<String>,
    fleet: Fleet,
    commands: Commands,
    /// Whose a daemon's process may be.
    owners: Vec<u32>,
    wish: Wish,
    now: UnixTime,
}

/// A daemon, and what its host says of it before anything is done.
struct Task<'a> {
    part: &'a Part,
    seen: Seen,
}

/// Brings each daemon to load its files, unless it shows that it has. With `--dry-run`: says what it would do.
///
/// # Errors
/// When it cannot be told how the daemons stand, or the gate is closed: then nothing was reloaded.
pub(crate) fn reload(global: &Global, admin: &Admin, parts: &[Part], wish: Wish) -> anyhow::Result<Outcome> {
    let scene = Scene {
        global,
        primary: admin.slurm.as_ref().and_then(|slurm| slurm.controllers().first().cloned()),
        fleet: Fleet::of(admin)?,
        commands: Commands::of(admin)?,
        owners: admin.slurm_user().map(|owner| owner.uid).into_iter().chain([0]).collect(),
        wish,
        now: clock::now(),
    };
    let mut run = Run::of(&scene, parts)?;
    if run.is_due() {
        if global.dry_run {
            run.say_what_would_be_done();
            return Ok(run.into_outcome());
        }
        gate::pass(global, admin, false, scene.now)?;
    }
    run.all();
    Ok(run.into_outcome())
}
