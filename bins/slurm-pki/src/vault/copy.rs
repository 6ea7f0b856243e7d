//! `slurm-pki vault copy`: the records from files into Vault, or from there back into files, for the day on which `store`
//! changes. Nodes keep their secrets: what lies here are digests and public keys.

use clap::{Args, ValueEnum};
use pki::name::NodeName;
use pki::record::RecordFile;
use signer::Records;
use site::config::{ControllerConfig, Place, VaultConfig};
use site::store::Store;

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::global::Global;
use crate::hostlist::fold;
use crate::report;

/// Copy all nodes' records into Vault, or back into files; nodes keep their secrets
#[derive(Args, Debug)]
#[command(
    after_help = "Nothing is taken away from where it comes from, and store in the config is not changed: copy, change \
    it, rehearse, and remove the old ones when all is well. Marks of used tokens are files either way. A node whose \
    records at the other end are different ones is named and left alone: with --force they are written over.\n\n\
    Between the copy and the change of store nobody should add, renew or remove nodes; what changed is found by a \
    second run.\n\n\
    Exit codes: 0 both ends are the same, 1 they are not, 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki vault copy --to vault --dry-run\n  \
    slurm-pki vault copy --to vault\n  \
    slurm-pki vault copy --to files --force       back, with what was enrolled in Vault meanwhile"
)]
pub(crate) struct Copy {
    /// Where the records go
    #[arg(long, value_name = "PLACE")]
    to: To,
    /// Write over records that differ
    #[arg(long)]
    force: bool,
}

/// Where records can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Vault or OpenBao, by [vault]
    Vault,
    /// The folder that the key tokens names
    Files,
}

/// What is to be done with each node.
#[derive(Default)]
struct Plan {
    same: Vec<NodeName>,
    new: Vec<(NodeName, RecordFile)>,
    different: Vec<(NodeName, RecordFile)>,
}

impl Copy {
    /// Runs the command.
    ///
    /// # Errors
    /// When a record cannot be read or written, or differs.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        admin.slurm_user_to_write_for()?;
        let (files, vault) = both(&admin)?;
        let (from, to) = if self.to == To::Vault { (&files, &vault) } else { (&vault, &files) };
        // The same lock for both directions: it is the files' own.
        let lock = if global.dry_run { None } else { Some(files.lock().advise()?) };
        let plan = Plan::of(global, from, to)?;
        let (left, mut work) = if self.force {
            (Vec::new(), plan.different)
        } else {
            (plan.different.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), Vec::new())
        };
        work.extend(plan.new);
        if let Some(lock) = &lock {
            let bar = report::progress(global, work.len(), "writing records");
            to.write_many(lock, &work, || bar.inc(1)).advise()?;
            bar.finish_and_clear();
        }
        let verb = if global.dry_run { "would be copied" } else { "copied" };
        let (copied, same) = (work.len(), plan.same.len());
        report::done(global, &format!("{copied} nodes {verb}, {same} were there already"));
        if left.is_empty() {
            return Ok(());
        }
        Err(Advice::new(
            format!("{} have other records there, and were left alone: {}", left.len(), fold(&left)),
            "see which are right (slurm-pki node show); --force writes over them",
        )
        .into())
    }
}

/// The two stores, whichever the config names.
fn both(admin: &Admin) -> anyhow::Result<(Store, Store)> {
    let config = VaultConfig::read(&admin.config).advise()?;
    if config.kv_plain {
        return Err(Advice::new(
            "kv_plain in [vault] says that tokens lie in Vault in clear, and only records are copied",
            "turn them into records: set kv_plain = false, and slurm-pki node import --from-vault, with store = \"local\" \
             into files here",
        )
        .into());
    }
    let local = ControllerConfig { store: Place::Local, ..admin.controller.clone() };
    let vault = Store::elsewhere(&admin.controller, Box::new(Records::of(config)));
    Ok((Store::of(&local), vault))
}

impl Plan {
    fn of(global: &Global, from: &Store, to: &Store) -> anyhow::Result<Self> {
        let names = from.names().advise()?;
        let bar = report::progress(global, names.len(), "reading records");
        let mut plan = Self::default();
        for name in names {
            bar.inc(1);
            let Some(records) = from.records(&name).advise()? else { continue };
            match to.records(&name).advise()? {
                None => plan.new.push((name, records)),
                Some(there) if there.to_json() == records.to_json() => plan.same.push(name),
                Some(_) => plan.different.push((name, records)),
            }
        }
        bar.finish_and_clear();
        Ok(plan)
    }
}
