//! Nodes that are not there to be given anything, and files that nodes are made from: each may come back with a list that the
//! others no longer share.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use site::config::KeysConfig;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::members::{Member, Members, Role};
use crate::node::scontrol;
use crate::shown_node::States;

/// States of a node that nothing can be brought to (scontrol(1)).
const AWAY: [&str; 6] =
    ["FUTURE", "DYNAMIC_FUTURE", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP", "REBOOT_ISSUED"];

/// States of a node that is there now, and will start from its image sooner or later.
const COMES_AND_GOES: [&str; 2] = ["CLOUD", "REBOOT_REQUESTED"];

/// States of a node that does not answer.
const DOWN: [&str; 4] = ["DOWN", "NOT_RESPONDING", "UNKNOWN", "ERROR"];

/// How `--skip` names what ResumeProgram brings.
pub(super) const RESUME_PROGRAM: &str = "ResumeProgram";

/// Something that may miss a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Away {
    /// A node's name, an image as `[keys]` names it, or "ResumeProgram".
    pub(super) name: String,
    /// Why it may miss it.
    pub(super) why: String,
}

/// All of it, and who cannot be reached at all.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// What somebody has to look after before the old key leaves.
    pub(super) all: Vec<Away>,
    /// Nodes that nothing can be brought to now.
    nodes: BTreeSet<String>,
    /// Nodes among all that are there all the same: they are given every list.
    there: BTreeSet<String>,
}

impl Absent {
    /// Asks slurmctld, and reads the config.
    ///
    /// # Errors
    /// When it does not tell.
    pub(super) fn of(admin: &Admin, members: &Members) -> anyhow::Result<Self> {
        let has_nodes = members.with(Role::Slurmd).next().is_some();
        let states = if has_nodes { states()? } else { BTreeMap::new() };
        let mut absent = Self::default();
        for node in members.all().iter().flat_map(|member| &member.nodes) {
            let state = states.get(node.name.as_str()).cloned().unwrap_or_default();
            let unknown = node.comes_and_goes && state.is_empty();
            if state.has_any(&AWAY) || unknown {
                absent.nodes.insert(node.name.to_string());
            }
            if state.has_any(&AWAY) || state.has_any(&COMES_AND_GOES) || node.comes_and_goes {
                if !state.has_any(&AWAY) && !state.has_any(&DOWN) && !state.is_empty() {
                    absent.there.insert(node.name.to_string());
                }
                let why = if state.is_empty() { "cloud or future node".into() } else { state.joined() };
                absent.all.push(Away { name: node.name.to_string(), why });
            }
        }
        let known = |name: &str| members.all().iter().any(|member| has_node(member, name));
        for (name, state) in states.iter().filter(|(name, _)| !known(name)) {
            let why = format!("{}, and not in slurm.conf: nothing is brought there", state.joined());
            absent.all.push(Away { name: name.clone(), why });
        }
        absent.all.extend(sources(admin)?);
        Ok(absent)
    }

    /// Whether this node is away.
    pub(super) fn has(&self, node: &str) -> bool {
        self.nodes.contains(node)
    }

    /// Whether this node may miss a list at its next start, and is there now.
    pub(super) fn is_there(&self, node: &str) -> bool {
        self.there.contains(node)
    }

    /// Whether a host has nothing but nodes that are away.
    pub(super) fn is_all_of(&self, member: &Member) -> bool {
        let alone = member.roles.iter().all(|role| matches!(role, Role::Slurmd | Role::Also));
        alone && !member.nodes.is_empty() && member.nodes.iter().all(|node| self.has(node.name.as_str()))
    }

    /// What nobody has named yet.
    pub(super) fn unnamed(&self, named: &[String]) -> Vec<Away> {
        self.all.iter().filter(|away| !named.contains(&away.name)).cloned().collect()
    }
}

/// Whether a host is this node.
pub(super) fn has_node(member: &Member, name: &str) -> bool {
    member.nodes.iter().any(|node| node.name.as_str() == name)
}

/// What nodes are made from.
fn sources(admin: &Admin) -> anyhow::Result<Vec<Away>> {
    let image = |name: &String| Away { name: name.clone(), why: "image named by images in [keys]".into() };
    let mut all: Vec<Away> = KeysConfig::read(&admin.config).advise()?.images.iter().map(image).collect();
    let resume = admin.slurm.as_ref().and_then(|slurm| slurm.get("ResumeProgram"));
    if let Some(program) = resume.filter(|program| !program.is_empty()) {
        all.push(Away { name: RESUME_PROGRAM.into(), why: format!("{program} may bring nodes their key") });
    }
    Ok(all)
}

fn states() -> anyhow::Result<BTreeMap<String, States>> {
    Ok(scontrol::shown_nodes()?.into_iter().map(|node| (node.name, node.state)).collect())
}
