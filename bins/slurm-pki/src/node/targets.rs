//! The hosts of some nodes: where a command about nodes has to go.

use std::collections::{BTreeMap, BTreeSet};

use pki::name::NodeName;

use super::refused::Refused;
use crate::advice::Advise as _;
use crate::fleet::{Missed, Skips};
use crate::global::Global;
use crate::hostlist;
use crate::members::{Members, Role};

/// A host, and those of the nodes that it is.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As the site's tools know it: NodeHostname, or the name of a node that slurm.conf does not have.
    pub(super) host: String,
    /// Its nodes, in the order in which they were named.
    pub(super) nodes: Vec<NodeName>,
}

/// The hosts of these nodes, in the order of their names.
pub(super) fn of(members: &Members, names: &[NodeName]) -> Vec<Target> {
    let mut hosts: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
    let known: BTreeMap<&NodeName, &str> = members
        .all()
        .iter()
        .flat_map(|member| member.nodes.iter().map(|node| (&node.name, member.host.as_str())))
        .collect();
    for name in names {
        let host = known.get(name).copied().unwrap_or(name.as_str());
        hosts.entry(host.to_owned()).or_default().push(name.clone());
    }
    hosts.into_iter().map(|(host, nodes)| Target { host, nodes }).collect()
}

/// Of these hosts those whose nodes were all among the targets: of the others one may still miss something.
pub(super) fn whole(members: &Members, targets: &[Target], mut hosts: Vec<String>) -> Vec<String> {
    let has = |host: &str, node: &NodeName| {
        targets.iter().any(|target| target.host == host && target.nodes.contains(node))
    };
    hosts.retain(|host| {
        let mut its = members.all().iter().filter(|member| member.host == *host);
        its.all(|member| member.nodes.iter().all(|node| has(host, &node.name)))
    });
    hosts
}

/// Leaves out the hosts that `--skip` names, by their own names or by those of their nodes, and remembers them.
///
/// # Errors
/// When a word is no hostlist or names none of them, or the list of those left out cannot be written.
pub(super) fn without_skipped(
    global: &Global,
    targets: Vec<Target>,
    skip: &[String],
    skips: &mut Skips,
    missed: Missed,
) -> anyhow::Result<Vec<Target>> {
    let mut named = Vec::new();
    for word in skip {
        named.extend(hostlist::texts(word).usage()?);
    }
    let host_of = |name: String| {
        let mut its = targets.iter().filter(|one| one.nodes.iter().any(|node| node.as_str() == name));
        its.next().map_or(name, |one| one.host.clone())
    };
    let named: Vec<_> = named.into_iter().map(host_of).collect();
    let hosts = targets.iter().map(|one| one.host.clone()).collect();
    let left = skips.leave_out(global, hosts, &named, missed, site::clock::now())?;
    Ok(targets.into_iter().filter(|one| left.binary_search(&one.host).is_ok()).collect())
}

/// The hosts that have a node left which was not refused, with those nodes alone.
pub(super) fn without_refused(targets: Vec<Target>, refused: &Refused) -> Vec<Target> {
    let refused: BTreeSet<&NodeName> = refused.iter().map(|(name, _)| name).collect();
    let not_refused = |mut target: Target| {
        target.nodes.retain(|name| !refused.contains(name));
        (!target.nodes.is_empty()).then_some(target)
    };
    targets.into_iter().filter_map(not_refused).collect()
}

/// Whether a node is a host that runs sackd and no slurmd: slurm.conf does not have it, `[fleet] sackd` has.
pub(super) fn is_login(members: &Members, name: &NodeName) -> bool {
    members.node(name).is_none() && members.with(Role::Sackd).any(|member| member.host == name.as_str())
}
