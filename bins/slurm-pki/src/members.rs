//! The hosts of the cluster, and which of Slurm's daemons each of them runs: from slurm.conf, slurmdbd.conf and
//! `[fleet]`.

use std::collections::BTreeMap;

use pki::name::NodeName;
use site::config::FleetConfig;
use site::host;

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::hostlist;
use crate::node_line::{self, NodeLine};
use crate::slurm_conf::SlurmConf;

/// Longest host name or address that a tool is given.
const MAX_HOST: usize = 253;

/// What a host has a part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// slurmctld, the primary or one that stands by.
    Ctld,
    /// slurmdbd.
    Dbd,
    /// slurmrestd.
    Restd,
    /// sackd: login nodes.
    Sackd,
    /// slurmd.
    Slurmd,
    /// Slurm's commands alone.
    Also,
}

/// A host.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name, as the site's tools know it.
    pub(crate) host: String,
    /// What it runs.
    pub(crate) roles: Vec<Role>,
    /// The nodes that it is: more than one where several slurmd share a host.
    pub(crate) nodes: Vec<NodeLine>,
}

impl Member {
    /// A cloud node may be away for months, and asks for its own certificate when it comes.
    pub(crate) fn comes_and_goes(&self) -> bool {
        self.roles.iter().all(|role| *role == Role::Slurmd)
            && !self.nodes.is_empty()
            && self.nodes.iter().all(|node| node.comes_and_goes)
    }
}

/// All of them, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(Vec<Member>);

impl Members {
    /// From the site's files. Without slurm.conf: only what `[fleet]` names.
    ///
    /// # Errors
    /// When a file or a hostlist cannot be read, or a name is none that a tool may be given.
    pub(crate) fn of(admin: &Admin) -> anyhow::Result<Self> {
        let fleet = FleetConfig::read(&admin.config).advise()?;
        let mut found = Found::default();
        if let Some(slurm) = &admin.slurm {
            slurm.controllers().iter().try_for_each(|host| found.add(host, Role::Ctld))?;
            for node in node_line::all(slurm)? {
                found.add_node(node)?;
            }
        }
        match &fleet.dbd {
            Some(list) => found.add_list(list, Role::Dbd)?,
            None => database_hosts(admin.slurm.as_ref())?
                .iter()
                .try_for_each(|host| found.add(host, Role::Dbd))?,
        }
        for (list, role) in
            [(&fleet.sackd, Role::Sackd), (&fleet.restd, Role::Restd), (&fleet.also, Role::Also)]
        {
            list.iter().try_for_each(|list| found.add_list(list, role))?;
        }
        Ok(Self(found.0.into_values().collect()))
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Member] {
        &self.0
    }

    /// Those with a part.
    pub(crate) fn with(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(move |member| member.roles.contains(&role))
    }

    /// The host that a name means: one of that name, or that of a node. What is neither stays as it is.
    pub(crate) fn host_of(&self, name: &str) -> String {
        let is_host = self.0.iter().any(|member| member.host == name);
        let node = if is_host { None } else { self.node_named(name) };
        node.map_or(name, |node| &node.host).to_owned()
    }

    /// A node by a name that may be none of a node.
    pub(crate) fn node_named(&self, name: &str) -> Option<&NodeLine> {
        self.node(&NodeName::parse(name.as_bytes()).ok()?)
    }

    /// A node by its NodeName.
    pub(crate) fn node(&self, name: &NodeName) -> Option<&NodeLine> {
        self.0.iter().flat_map(|member| &member.nodes).find(|node| node.name == *name)
    }
}

/// Whether a name is this host's: its full or short name, or localhost.
pub(crate) fn is_this_host(name: &str) -> bool {
    let own = [host::full(), host::short()].map(|own| String::from_utf8_lossy(&own).into_owned());
    own.iter().any(|own| own.eq_ignore_ascii_case(name)) || is_localhost(name)
}

/// The hosts of slurmdbd: slurmdbd.conf lies beside slurm.conf on slurmdbd's host, elsewhere slurm.conf names it.
///
/// # Errors
/// When slurmdbd.conf is there and cannot be read.
pub(crate) fn database_hosts(slurm: Option<&SlurmConf>) -> anyhow::Result<Vec<String>> {
    let Some(slurm) = slurm else { return Ok(Vec::new()) };
    let dbd = SlurmConf::load_from(&slurm.path().with_file_name("slurmdbd.conf"))?;
    let keys = ["AccountingStorageHost", "AccountingStorageBackupHost"];
    let in_dbd = ["DbdHost", "DbdBackupHost"].into_iter().filter_map(|key| dbd.as_ref()?.get(key));
    let named = in_dbd.chain(keys.into_iter().filter_map(|key| slurm.get(key)));
    Ok(named.map(str::to_owned).collect())
}

/// slurmdbd.conf's and slurm.conf's word for the host that reads it.
pub(crate) fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

#[derive(Default)]
struct Found(BTreeMap<String, Member>);

impl Found {
    fn add_list(&mut self, list: &str, role: Role) -> anyhow::Result<()> {
        hostlist::texts(list).advise()?.iter().try_for_each(|host| self.add(host, role))
    }

    fn add(&mut self, host: &str, role: Role) -> anyhow::Result<()> {
        let member = self.member(host)?;
        if !member.roles.contains(&role) {
            member.roles.push(role);
        }
        Ok(())
    }

    fn add_node(&mut self, node: NodeLine) -> anyhow::Result<()> {
        self.add(&node.host, Role::Slurmd)?;
        self.member(&node.host.clone())?.nodes.push(node);
        Ok(())
    }

    /// A host goes by one name: this one by its own, whatever localhost or its short name means elsewhere.
    fn member(&mut self, host: &str) -> anyhow::Result<&mut Member> {
        let host = if is_localhost(host) {
            String::from_utf8_lossy(&host::short()).into_owned()
        } else {
            host.to_owned()
        };
        if !is_host(&host) {
            return Err(Advice::new(
                format!("{host:?} is no host name"),
                "mend it in slurm.conf, slurmdbd.conf or [fleet]",
            )
            .into());
        }
        let new = || Member { host: host.clone(), roles: Vec::new(), nodes: Vec::new() };
        Ok(self.0.entry(host.clone()).or_insert_with(new))
    }
}

/// A name or an address. It becomes an argument of the site's tools: never an option, a list or a group there.
pub(crate) fn is_host(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    let first = text.bytes().next().unwrap_or_default();
    (1..=MAX_HOST).contains(&text.len())
        && text.bytes().all(inside)
        && (first.is_ascii_alphanumeric() || matches!(first, b'_' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_never_an_option_or_a_list_of_a_tool() {
        for good in ["h1", "h1.example.org", "10.0.0.1", "fe80::1", "_x"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "-w", "@all", "h[1-2]", "h1,h2", "h 1", "h\n", "h;x", &"h".repeat(254)] {
            assert!(!is_host(bad), "{bad:?}");
        }
    }
}
