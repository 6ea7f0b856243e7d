//! What a real slurmctld and a real client command pay, with our programs, with shell scripts, and with programs that do
//! nothing but answer: `slurm-suite bench`. Nothing passes or fails by the clock.
//!
//! All sides get the same tokens and requests, which are made beforehand, from one process that stands for all nodes: so the
//! time is the controller's. What each side issues is looked at all the same.

mod boot;
mod client;
mod crowd;
mod figures;
mod processor;
mod refusals;
mod side;
mod table;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub(crate) use self::crowd::compile;

use self::crowd::Crowd;
use self::side::Side;
use self::table::Table;
use crate::cluster::Cluster;
use crate::lab::Lab;
use crate::site;
use crate::terminal;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// That boot at once.
    nodes: usize,
    /// Clients that come again while the signer refuses: a small cluster, a larger one, a large one.
    clients: [usize; 3],
    /// How long they do.
    seconds: u32,
    /// Pairs of keygen and certgen, in so many turns.
    rounds: [u32; 2],
}

impl Scale {
    /// For figures that are to be shown.
    pub(crate) const WHOLE: Self =
        Self { nodes: 500, clients: [500, 2000, 10_000], seconds: 12, rounds: [5, 20] };

    /// To see that all of it can be measured.
    pub(crate) const QUICK: Self = Self { nodes: 40, clients: [40, 60, 80], seconds: 3, rounds: [2, 3] };
}

/// All tables, as one JSON document.
pub(crate) fn run(lab: &Lab, probe: &Path, scale: Scale) -> Result<Value> {
    let built = probe.parent().context("the probe lies in a folder")?;
    crowd::install(lab, built)?;
    side::on_the_disk(lab, built)?;
    let crowd = prepared(lab, scale.nodes)?;
    let (mut boots, mut refusals) = (boot::table(scale.nodes), refusals::table(scale.seconds));
    for side in Side::ALL {
        let cluster = Cluster::up(lab, &side.conf(scale.nodes))?;
        terminal::progress(&format!("{}: {} nodes boot", side.name(), scale.nodes));
        boots.rows.push(boot::measured(&cluster, side, &crowd)?);
        side.refuse_from_now(lab)?;
        let quiet = refusals::quiet(lab)?;
        for clients in scale.clients {
            terminal::progress(&format!("{}: {clients} clients are refused", side.name()));
            refusals.rows.push(refusals::measured(&cluster, side, &crowd, clients, scale.seconds, quiet)?);
        }
    }
    terminal::progress("client commands");
    let tables = [boots, refusals, client::measured(lab, scale.rounds)?];
    Ok(json!({ "tables": tables.iter().map(Table::json).collect::<Vec<_>>() }))
}

/// A site on which all nodes are enrolled, for us and for the scripts; their tokens and requests.
fn prepared(lab: &Lab, nodes: usize) -> Result<Crowd> {
    let cluster = Cluster::up(lab, &Side::Ours.conf(nodes))?;
    cluster.slurm_pki(&["init", "--cluster", "suite", "--state-dir", "/var/lib/slurm-pki"])?;
    site::enrol(&cluster, &format!("c[1-{nodes}]"), &[])?;
    side::lay_out_scripts(lab, nodes)?;
    Crowd::lay_out(lab, nodes)
}
