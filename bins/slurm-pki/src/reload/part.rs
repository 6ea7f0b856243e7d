//! A daemon, where it is, and the files that it is to load.

use std::fmt;
use std::path::PathBuf;

use pki::name::NodeName;

use crate::members::{Member, Members, Role};

/// A daemon of the cluster. Its text is how a person, and the state of a caller, names it: `slurmd n1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    /// What it is.
    pub(crate) role: Role,
    /// The host that it runs on, as the site's tools know it.
    pub(crate) host: String,
    /// A slurmd's node: several of them may share a host.
    pub(crate) node: Option<NodeName>,
}

impl Who {
    /// The name of its program.
    pub(super) fn program(&self) -> &'static str {
        match self.role {
            Role::Ctld => "slurmctld",
            Role::Dbd => "slurmdbd",
            Role::Restd => "slurmrestd",
            Role::Sackd => "sackd",
            Role::Slurmd => "slurmd",
            Role::Also => "clients",
        }
    }

    /// What hostlists have: a node's name, or the host's.
    pub(crate) fn name(&self) -> &str {
        self.node.as_ref().map_or(self.host.as_str(), NodeName::as_str)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program(), self.name())
    }
}

/// A file as it has to lie on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lies {
    /// Where.
    pub(crate) path: PathBuf,
    /// SHA-256 of its bytes, lower-case hex ([`crate::fleet::digest`]).
    pub(crate) digest: String,
}

/// A daemon that is to have loaded files.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The daemon.
    pub(crate) who: Who,
    /// What it reads at its start.
    pub(crate) files: Vec<Lies>,
}

/// Every daemon of these kinds; `files` says what each reads.
pub(crate) fn all(
    members: &Members,
    roles: &[Role],
    files: impl Fn(Role, &Member) -> Vec<Lies>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for role in roles {
        for member in members.with(*role) {
            let part = |node| {
                let who = Who { role: *role, host: member.host.clone(), node };
                Part { who, files: files(*role, member) }
            };
            match role {
                Role::Slurmd => parts.extend(member.nodes.iter().map(|node| part(Some(node.name.clone())))),
                _ => parts.push(part(None)),
            }
        }
    }
    parts
}
