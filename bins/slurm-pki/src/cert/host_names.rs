//! Which host names stand in a daemon's certificate.

use pki::explain::shown;
use pki::x509::X509;
use site::config::Daemon;
use site::host;

use super::target::{Place, Target, is_static};
use crate::admin::Admin;
use crate::advice::Advice;
use crate::members::{self, is_localhost};
use crate::slurm_conf::SlurmConf;

/// Longest host name (RFC 1035).
const MAX_NAME: usize = 253;

/// The names of the hosts that a daemon runs on, as the config files and this host know them, and those
/// given by hand. (Slurm's TLS checks no host names; people and their tools do.)
///
/// # Errors
/// When a given name is no host name, or slurmdbd.conf cannot be read.
pub(crate) fn host_names(admin: &Admin, daemon: Daemon, given: &[String]) -> anyhow::Result<Vec<String>> {
    let mut names = Names::default();
    match daemon {
        Daemon::Ctld => admin.slurm.iter().flat_map(SlurmConf::controllers).for_each(|name| names.add(name)),
        Daemon::Dbd => database_hosts(admin)?.iter().for_each(|name| names.add(name)),
        Daemon::Restd | Daemon::Sackd | Daemon::Slurmd => {}
    }
    // Where slurmdbd's host is known, it need not be this one.
    if daemon != Daemon::Dbd || names.0.is_empty() {
        for name in [host::full(), host::short()] {
            names.add(&String::from_utf8_lossy(&name));
        }
    }
    for name in given {
        if !is_host_name(name) {
            return Err(Advice::new(
                format!("{} is not a host name", shown(name.as_bytes())),
                "give names as in DNS, not addresses: certificates of slurm-pki carry names only",
            )
            .into());
        }
        names.add(name);
    }
    if names.0.is_empty() {
        return Err(Advice::new(
            format!("no host name is known for {daemon}"),
            "name its host with --host NAME",
        )
        .into());
    }
    Ok(names.0)
}

/// The names for a new certificate in an old one's place: those of the hosts, and what the old one carries beside them, which
/// somebody asked for with `--host`.
///
/// # Errors
/// When slurmdbd.conf cannot be read.
pub(crate) fn renewed_names(
    admin: &Admin,
    target: &Target,
    old: Option<&X509>,
) -> anyhow::Result<Vec<String>> {
    let mut names = Names::default();
    match (&target.place, target.daemon) {
        _ if is_static(target.daemon) => {
            target.nodes.iter().for_each(|node| names.add(node.as_str()));
            names.add(&target.place.host());
        }
        (Place::Here, daemon) => host_names(admin, daemon, &[])?.iter().for_each(|name| names.add(name)),
        (Place::On(host), Daemon::Restd) => names.add(host),
        (Place::On(host), daemon) => {
            host_names(admin, daemon, &[])?.iter().for_each(|name| names.add(name));
            names.add(host);
        }
    }
    let carried = old.and_then(|leaf| leaf.facts().dns.as_deref()).unwrap_or_default();
    carried.iter().for_each(|name| names.add(name));
    if names.0.is_empty() {
        return Err(Advice::new(
            format!("no host name is known for {target}"),
            "name hosts by name, not by address, in slurm.conf and [fleet]",
        )
        .into());
    }
    Ok(names.0)
}

/// The hosts of slurmdbd; "localhost" there is this one, by its own names.
fn database_hosts(admin: &Admin) -> anyhow::Result<Vec<String>> {
    let named = members::database_hosts(admin.slurm.as_ref())?;
    let own = [host::full(), host::short()].map(|name| String::from_utf8_lossy(&name).into_owned());
    let here = named.iter().any(|name| is_localhost(name));
    let mut hosts: Vec<String> = named.into_iter().filter(|name| !is_localhost(name)).collect();
    if here {
        hosts.extend(own);
    }
    Ok(hosts)
}

/// Names without the same one in another case; addresses are left out.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn add(&mut self, name: &str) {
        let known = self.0.iter().any(|other| other.eq_ignore_ascii_case(name));
        if is_host_name(name) && !known {
            self.0.push(name.to_owned());
        }
    }
}

/// Labels of letters, digits, `-` and `_`, and no address.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
    };
    let is_address = name.parse::<std::net::Ipv4Addr>().is_ok();
    name.len() <= MAX_NAME && !is_address && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_and_addresses_are_not() {
        for good in ["h1", "h1.example.org", "H_1", "1a"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", ".", "h1.", "-h", "a..b", "10.0.0.1", "fe80::1", "h 1", "h\n", &"a".repeat(64)] {
            assert!(!is_host_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn one_name_stands_once_whatever_its_case() {
        let mut names = Names::default();
        ["h1", "H1", "h1.example", "10.0.0.1"].into_iter().for_each(|name| names.add(name));
        assert_eq!(names.0, ["h1", "h1.example"]);
    }
}
