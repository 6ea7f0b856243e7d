//! The daemons whose pairs slurm-pki keeps, on this host and on others.

use std::fmt;
use std::path::{Path, PathBuf};

use pki::name::NodeName;
use site::config::{Daemon, DaemonConfig};
use site::host;

use crate::admin::Admin;
use crate::advice::Advise as _;
use crate::daemon_files::DaemonFiles;
use crate::hostlist;
use crate::members::{Member, Members, Role, is_this_host};
use crate::slurm_conf::SlurmConf;

/// A daemon on a host whose pair slurm-pki keeps.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Whose pair.
    pub(crate) daemon: Daemon,
    /// Where.
    pub(crate) place: Place,
    /// Its section of the config, with the file names as they are on that host.
    pub(crate) config: DaemonConfig,
    /// The nodes that a static pair is for; empty for daemons whose certificates carry the program's name.
    pub(crate) nodes: Vec<NodeName>,
}

/// Where a daemon runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// On this host.
    Here,
    /// On another one, by the name that the site's tools know.
    On(String),
}

impl Place {
    fn of(host: &str) -> Self {
        if is_this_host(host) { Self::Here } else { Self::On(host.to_owned()) }
    }

    /// The host's name; this one goes by its short name.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Here => String::from_utf8_lossy(&host::short()).into_owned(),
            Self::On(host) => host.clone(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Here => self.daemon.fmt(f),
            Place::On(host) => write!(f, "{} on {host}", self.daemon),
        }
    }
}

impl Target {
    /// All of them, daemon by daemon, this host before the others: what has a pair here or a section in the config; the
    /// other controllers, and the hosts of slurmdbd and slurmrestd; nodes and login hosts with static pairs where the config
    /// has a section for those.
    ///
    /// # Errors
    /// When the config has no meaning.
    pub(crate) fn all(admin: &Admin, members: &Members) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for daemon in Daemon::ALL {
            all.extend(Self::of_daemon(admin, members, daemon)?);
        }
        Ok(all)
    }

    /// One daemon's pairs on this host, whether they are there or not: more than one where several slurmd have files of their
    /// own, none where slurm.conf has the nodes of a static pair on other hosts.
    ///
    /// # Errors
    /// When the config has no meaning.
    pub(crate) fn here(admin: &Admin, daemon: Daemon) -> anyhow::Result<Vec<Self>> {
        let config = config_of(admin, daemon)?;
        if !is_static(daemon) || (!config.configured && !has_place(&config.cert) && !config.cert.exists()) {
            return Ok(vec![Self { daemon, place: Place::Here, config, nodes: Vec::new() }]);
        }
        // What a slip in slurm.conf means is another command's to say.
        let members = Members::of(admin).unwrap_or_default();
        let mut all = Self::of_daemon(admin, &members, daemon)?;
        all.retain(|target| target.place == Place::Here);
        Ok(all)
    }

    /// The hosts on which the site's files have the daemon of a pair that lies here, where this host is none of them: the
    /// pair is a leftover, or for a daemon that nobody has told slurm.conf of.
    pub(crate) fn belongs_elsewhere(&self, members: &Members) -> Option<String> {
        (self.place == Place::Here).then(|| elsewhere(members, self.daemon)).flatten()
    }

    fn of_daemon(admin: &Admin, members: &Members, daemon: Daemon) -> anyhow::Result<Vec<Self>> {
        let config = config_of(admin, daemon)?;
        let hosts: Vec<&Member> = members.with(role(daemon)).collect();
        let is_here = |member: &&&Member| is_this_host(&member.host);
        let wanted = config.configured || daemon == Daemon::Ctld;
        let mut all = Vec::new();
        match hosts.iter().find(is_here) {
            Some(member) => {
                let here = Self::of_member(daemon, &config, member);
                all.extend(here.into_iter().filter(|target| wanted || target.is_there()));
            }
            // Without a node nobody knows what the files are called.
            None if is_static(daemon) && has_place(&config.cert) => {}
            None => {
                let here = Self { daemon, place: Place::Here, config: config.clone(), nodes: Vec::new() };
                all.extend(
                    Some(here).filter(|here| (config.configured && hosts.is_empty()) || here.is_there()),
                );
            }
        }
        if config.configured || !is_static(daemon) {
            let others = hosts.iter().filter(|member| !is_this_host(&member.host));
            all.extend(others.flat_map(|member| Self::of_member(daemon, &config, member)));
        }
        Ok(all)
    }

    /// One pair for a host; a pair for each node where `%n` in the file names tells them apart. What restarts one is told its
    /// name too.
    fn of_member(daemon: Daemon, config: &DaemonConfig, member: &Member) -> Vec<Self> {
        let target = |nodes: Vec<NodeName>| {
            let first = nodes.first().map_or(member.host.as_str(), NodeName::as_str);
            let short = member.host.split('.').next().unwrap_or_default();
            let config = DaemonConfig {
                cert: filled(&config.cert, first, short),
                key: filled(&config.key, first, short),
                command: config.command.iter().map(|word| word.replace("%n", first)).collect(),
                ..config.clone()
            };
            Self { daemon, place: Place::of(&member.host), config, nodes }
        };
        let nodes = || member.nodes.iter().map(|node| node.name.clone());
        match daemon {
            Daemon::Slurmd if has_place(&config.cert) => nodes().map(|node| target(vec![node])).collect(),
            Daemon::Slurmd => vec![target(nodes().collect())],
            _ => vec![target(Vec::new())],
        }
    }

    /// Whether anything is where its files belong on this host.
    fn is_there(&self) -> bool {
        DaemonFiles::of(self.daemon, &self.config).is_ok_and(|files| files.is_there())
    }
}

/// The hosts that run a daemon by the site's files, where some do and this one does not.
pub(crate) fn elsewhere(members: &Members, daemon: Daemon) -> Option<String> {
    let hosts: Vec<&str> = members.with(role(daemon)).map(|member| member.host.as_str()).collect();
    let some_elsewhere = !hosts.is_empty() && !hosts.iter().any(|host| is_this_host(host));
    some_elsewhere.then(|| hostlist::fold_texts(hosts))
}

/// Whether the daemon has a pair of files only where it does without certmgr.
pub(crate) fn is_static(daemon: Daemon) -> bool {
    matches!(daemon, Daemon::Slurmd | Daemon::Sackd)
}

/// The command that makes a pair of this host anew, whoever made the old one.
pub(crate) fn anew(daemon: Daemon) -> String {
    let short = daemon.short();
    match is_static(daemon) {
        true => format!("slurm-pki cert renew {short} --force"),
        false => format!("slurm-pki cert issue {short} --force"),
    }
}

fn role(daemon: Daemon) -> Role {
    match daemon {
        Daemon::Ctld => Role::Ctld,
        Daemon::Dbd => Role::Dbd,
        Daemon::Restd => Role::Restd,
        Daemon::Sackd => Role::Sackd,
        Daemon::Slurmd => Role::Slurmd,
    }
}

/// Its section; the files of a static pair without one are those that Slurm knows. A section that only says how slurmd is
/// restarted (node reissue), or how long a reload may take (auth-key), makes no pair for whoever asks certmgr: with one it would ask no more.
pub(crate) fn config_of(admin: &Admin, daemon: Daemon) -> anyhow::Result<DaemonConfig> {
    let mut config = DaemonConfig::read(&admin.config, &admin.controller, daemon).advise()?;
    if is_static(daemon) && config.only_restart && !slurm_wants_pairs(admin, daemon) {
        config.configured = false;
    }
    if is_static(daemon) && (!config.configured || config.only_restart) {
        (config.cert, config.key) = named_by_slurm(admin, daemon).unwrap_or((config.cert, config.key));
    }
    Ok(config)
}

/// Whether slurm.conf leaves the daemon no other way: TLS without certmgr, or the names of its files.
fn slurm_wants_pairs(admin: &Admin, daemon: Daemon) -> bool {
    let without_certmgr = |slurm: &SlurmConf| slurm.has_tls() && slurm.get("CertmgrType").is_none();
    admin.slurm.as_ref().is_some_and(without_certmgr) || named_by_slurm(admin, daemon).is_some()
}

/// Whether a node's name has a place in it.
fn has_place(path: &Path) -> bool {
    path.to_string_lossy().contains("%n")
}

/// The files that TLSParameters name for a daemon with a static pair.
fn named_by_slurm(admin: &Admin, daemon: Daemon) -> Option<(PathBuf, PathBuf)> {
    let parameters = admin.slurm.as_ref()?.get("TLSParameters")?;
    let named = |key: &str| {
        let key = format!("{}_{key}=", daemon.short());
        let path = PathBuf::from(parameters.split(',').find_map(|parameter| parameter.strip_prefix(&key))?);
        path.is_absolute().then_some(path)
    };
    Some((named("cert_file")?, named("cert_key_file")?))
}

/// `%n` and `%h` as slurmd fills them in (slurm-contract.md 3.1).
fn filled(path: &Path, node: &str, short: &str) -> PathBuf {
    let Some(text) = path.to_str() else { return path.to_owned() };
    text.replace("%n", node).replace("%h", short).into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use site::config::{ConfigFile, ControllerConfig};

    use super::*;

    fn slurmds(slurm: &str, section: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slurm.conf");
        fs::write(&path, slurm).unwrap();
        let section = format!("[daemons.slurmd]\n{section}");
        let config = ConfigFile::parse(&folder.path().join("c.toml"), section.as_bytes()).unwrap();
        let controller = ControllerConfig::read(&config).unwrap();
        let admin = Admin { config, controller, slurm: SlurmConf::load_from(&path).unwrap() };
        let targets = Target::of_daemon(&admin, &Members::of(&admin).unwrap(), Daemon::Slurmd).unwrap();
        let shown = |target: &Target| {
            let (cert, command) = (target.config.cert.display(), target.config.command.join(" "));
            format!("{} {cert} {command}", target.place.host())
        };
        targets.iter().map(shown).collect()
    }

    #[test]
    fn each_slurmd_of_a_host_has_its_own_files_and_command_where_the_config_tells_them_apart() {
        let two = "NodeName=n[1-2] NodeHostname=h9\n";
        let apart = "cert = \"/e/%n.pem\"\nkey = \"/e/%n.key\"\ncommand = [\"systemctl\", \"restart\", \"slurmd@%n\"]\n";
        let own = [
            "h9 /e/n1.pem systemctl restart slurmd@n1".to_owned(),
            "h9 /e/n2.pem systemctl restart slurmd@n2".to_owned(),
        ];
        assert_eq!(slurmds(two, apart), own);
        let shared = "cert = \"/e/%h.pem\"\nkey = \"/e/%h.key\"\ncommand = [\"rc-service\", \"slurmd\", \"restart\"]\n";
        assert_eq!(slurmds(two, shared), ["h9 /e/h9.pem rc-service slurmd restart"]);
    }

    #[test]
    fn a_section_that_only_says_how_slurmd_is_restarted_makes_no_pairs_for_nodes_that_ask_certmgr() {
        let restart = "command = [\"rc-service\", \"slurmd\", \"restart\"]\nwait = \"3s\"\n";
        let (tls, certmgr) = ("TLSType=tls/s2n\n", "CertmgrType=certmgr/script\n");
        let named = "TLSParameters=slurmd_cert_file=/e/c.pem,slurmd_cert_key_file=/e/k.pem\n";
        let hosts = |lines: &[&str], section: &str| {
            slurmds(&format!("NodeName=n9\n{}", lines.concat()), section).len()
        };
        assert_eq!([hosts(&[], restart), hosts(&[tls, certmgr], restart)], [0, 0]);
        assert_eq!([hosts(&["TLSType=none\n"], restart), hosts(&["TLSType=tls/none\n"], restart)], [0, 0]);
        assert_eq!([hosts(&[tls], restart), hosts(&[tls, certmgr, named], restart)], [1, 1]);
        let of_a_pair = format!("{restart}renew_at = 0.5\n");
        assert_eq!([hosts(&[tls, certmgr], &of_a_pair), hosts(&[tls, certmgr], "")], [1, 1]);
    }
}
