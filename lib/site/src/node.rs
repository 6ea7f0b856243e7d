//! A node's own files: which name it goes by, and its secret.

use pki::explain::shown;
use pki::name::NodeName;
use pki::token::{MAX_TOKEN, NodeSecret};

use crate::config::NodeConfig;
use crate::error::Error;
use crate::file::{self, Keep};
use crate::host;

/// A node as its files know it.
#[derive(Debug)]
pub struct Node {
    /// The name under which the token file was found: what the request says.
    pub name: NodeName,
    /// S.
    pub secret: NodeSecret,
}

impl Node {
    /// Finds the node that Slurm's argument means.
    ///
    /// A legal NodeName is used as it is, unless it is this host's name, whose other form (FQDN or
    /// short) may have the token file. Anything else (sackd renews under the name `\x01`: slurm-contract.md
    /// 3.5) becomes the host's name, the full form first, then the short one.
    ///
    /// # Errors
    /// When no token file is there, or it cannot be used.
    pub fn find(given: &[u8], config: &NodeConfig) -> Result<Self, Error> {
        Self::find_on(&host::full(), given, config)
    }

    /// The names that Slurm's argument may mean on this host, in the order in which [`find`](Self::find)
    /// looks for their token files.
    #[must_use]
    pub fn names_here(given: &[u8]) -> Vec<NodeName> {
        candidates(given, &host::full())
    }

    fn find_on(host: &[u8], given: &[u8], config: &NodeConfig) -> Result<Self, Error> {
        let names = candidates(given, host);
        for name in &names {
            let path = config.token_file.path(name);
            if let Some(text) = file::read_if_there(&path, Keep::Secret, MAX_TOKEN + 64)? {
                let secret = NodeSecret::from_token_file(text.expose()).map_err(Error::contents(&path))?;
                return Ok(Self { name: name.clone(), secret });
            }
        }
        Err(no_token(given, &names, config))
    }
}

fn candidates(given: &[u8], host: &[u8]) -> Vec<NodeName> {
    let short = host::short_of(host);
    let forms: Vec<&[u8]> = match NodeName::parse(given) {
        Err(_) => vec![host, short],
        Ok(_) if given == host || given == short => vec![given, host, short],
        // The kernel knows only the short form, and Slurm gives the long one.
        Ok(_) if host == short && host::short_of(given) == host => vec![given, host],
        Ok(_) => vec![given],
    };
    let mut names = Vec::new();
    for name in forms.into_iter().filter_map(|form| NodeName::parse(form).ok()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn no_token(given: &[u8], names: &[NodeName], config: &NodeConfig) -> Error {
    let Some(name) = names.first() else {
        return Error::Missing {
            what: format!("{} is not a node name, and neither is this host's name", shown(given)),
            hint: "give the host a name with hostnamectl, or start the daemon with a NodeName (-N)".into(),
        };
    };
    let looked: Vec<_> =
        names.iter().map(|name| crate::error::shown_path(&config.token_file.path(name))).collect();
    Error::Missing {
        what: format!("no token file for node {name}: looked for {}", looked.join(", ")),
        hint: format!(
            "on the controller: slurm-pki node add {name} (or node token), then node push {name} (or node bundle)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[u8], host: &str) -> Vec<String> {
        candidates(given, host.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_node_name_that_is_not_this_host_stands_alone() {
        assert_eq!(names(b"n7", "n1.example"), ["n7"]);
        assert_eq!(names(b"n7.example", "n1.example"), ["n7.example"]);
    }

    #[test]
    fn this_hosts_name_may_have_its_file_under_the_other_form() {
        assert_eq!(names(b"n1", "n1.example"), ["n1", "n1.example"]);
        assert_eq!(names(b"n1.example", "n1.example"), ["n1.example", "n1"]);
        assert_eq!(names(b"n1.example", "n1"), ["n1.example", "n1"]);
        assert_eq!(names(b"n1", "n1"), ["n1"]);
    }

    #[test]
    fn what_is_no_node_name_becomes_the_hosts_name() {
        assert_eq!(names(b"\x01", "n1.example"), ["n1.example", "n1"]);
        assert_eq!(names(b"", "n1"), ["n1"]);
        assert_eq!(names(b"--help", "n1"), ["n1"]);
        assert!(names(b"", "10.0.0.1").iter().all(|name| name == "10"));
    }
}
