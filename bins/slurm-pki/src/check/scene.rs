//! What `check` looks at: this host, found out by what is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pki::name::NodeName;
use pki::time::UnixTime;
use serde::Serialize;
use site::config::{CheckConfig, Daemon, DaemonConfig};
use site::file::Owner;
use site::{clock, host};

use super::running::Running;
use crate::admin::{Admin, owner_name};
use crate::advice::Advise as _;
use crate::members::{self, Member, Members, Role};
use crate::rehearse;
use crate::slurm_conf::SlurmConf;

/// Slurm's default (slurm.conf(5)).
const SPOOL: &str = "/var/spool/slurmd";

/// Below which folder the host's own files are, as node_exporter's `--path.rootfs` has it.
#[derive(Clone, Debug)]
pub(crate) struct HostRoot(PathBuf);

impl HostRoot {
    /// `/`, or where a container sees the host.
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Where a file of the host is to be found from here.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Whether programs started here are the host's own.
    pub(crate) fn is_this_host(&self) -> bool {
        self.0 == Path::new("/")
    }
}

/// What this host does in the cluster.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Roles {
    /// CA key or token store are here.
    pub(crate) controller: bool,
    /// The node that this host is.
    pub(crate) node: Option<String>,
    /// sackd runs here.
    pub(crate) sackd: bool,
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.controller.then(|| "controller".to_owned()),
            self.node.as_ref().map(|node| format!("node {node}")),
            self.sackd.then(|| "sackd".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "neither controller nor node" } else { "" })?;
        f.write_str(&parts.join(" and "))
    }
}

/// Everything that the groups look at.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) admin: Admin,
    /// What slurmctld runs with.
    pub(crate) running: Running,
    /// What is left of the time for asking it.
    pub(crate) patience: Duration,
    pub(crate) host: HostRoot,
    pub(crate) now: UnixTime,
    pub(crate) thresholds: CheckConfig,
    /// slurmdbd.conf beside slurm.conf, or where that would be; or why it cannot be read.
    pub(crate) dbd: Result<Option<SlurmConf>, String>,
    /// Who runs what, or why that is not known.
    pub(crate) members: Result<Members, String>,
    pub(crate) controller: bool,
    /// Whether sackd runs here.
    pub(crate) sackd: bool,
    /// A node's token file that is here.
    pub(crate) token: Option<rehearse::Here>,
    /// What the node is called, where this is one.
    pub(crate) node: Option<NodeName>,
    /// `None`: nobody says who it is.
    pub(crate) slurm_user: Option<Owner>,
}

impl Scene {
    /// Looks around. `given` is the node's name where that is not the host's. What slurmctld runs with is asked for
    /// where `ask` says so, with the time that there is for asking it, on a controller, and where there is no slurm.conf:
    /// every node asking it once a minute would be a load.
    ///
    /// # Errors
    /// When the config's `[node]` cannot be used.
    pub(crate) fn of(
        admin: Admin,
        ask: Option<Duration>,
        host: HostRoot,
        thresholds: CheckConfig,
        given: Option<&NodeName>,
    ) -> anyhow::Result<Self> {
        let token = rehearse::find_node(&admin, given)?.ok();
        let beside = admin.slurm.as_ref().map_or_else(SlurmConf::path_here, |conf| conf.path().to_owned());
        let dbd = SlurmConf::load_from(&beside.with_file_name("slurmdbd.conf")).map_err(|e| e.to_string());
        let members = Members::of(&admin).map_err(|e| e.to_string());
        let here = |role| members.as_ref().is_ok_and(|all| all.with(role).any(is_this_host));
        let controller = rehearse::is_controller(&admin.controller) || here(Role::Ctld);
        let sackd = here(Role::Sackd) || super::host::is_enabled(&host, "sackd");
        let slurm_user = admin.slurm_user().ok();
        let now = clock::now();
        let begun = Instant::now();
        let node = None;
        let running = match &admin.slurm {
            Some(_) if !controller => {
                Running::NotAsked("a controller's check compares it with slurm.conf".into())
            }
            _ => match ask {
                None => Running::NotAsked("only other parts are wanted".into()),
                Some(limit) => Running::ask(limit),
            },
        };
        let mut scene = Self {
            admin,
            running,
            patience: ask.unwrap_or_default().saturating_sub(begun.elapsed()),
            host,
            now,
            thresholds,
            dbd,
            members,
            controller,
            sackd,
            token,
            node,
            slurm_user,
        };
        scene.node = scene.find_node(given);
        Ok(scene)
    }

    /// The node's name, where this is a node: it was named, has a token, slurm.conf names this host, or slurmd runs or ran
    /// here. Its empty spool folder says nothing: a package makes that on head nodes, too.
    fn find_node(&self, given: Option<&NodeName>) -> Option<NodeName> {
        let has_token = || self.token.as_ref().filter(|_| !self.sackd).map(|here| here.name.clone());
        if let Some(name) = given.cloned().or_else(has_token).or_else(|| self.named_in_slurm_conf()) {
            return Some(name);
        }
        let name = NodeName::parse(&host::short()).ok()?;
        let spool = self.spool_dir(&name);
        let kept = ["certmgr_state", "conf-cache"].iter().any(|file| spool.join(file).exists());
        (kept || super::host::is_enabled(&self.host, "slurmd")).then_some(name)
    }

    fn named_in_slurm_conf(&self) -> Option<NodeName> {
        let all = self.members.as_ref().ok()?.all();
        Some(all.iter().find(|member| is_this_host(member))?.nodes.first()?.name.clone())
    }

    /// What this host asks as: the node's name, else the host's, as sackd has it.
    pub(crate) fn own_name(&self) -> String {
        let host = || String::from_utf8_lossy(&host::full()).into_owned();
        self.node.as_ref().map_or_else(host, ToString::to_string)
    }

    /// SlurmUser's name, as chown takes it.
    pub(crate) fn slurm_user_name(&self) -> String {
        self.slurm_user.map_or_else(|| "SlurmUser".into(), owner_name)
    }

    /// In one word each.
    pub(crate) fn roles(&self) -> Roles {
        Roles {
            controller: self.controller,
            node: self.node.as_ref().map(ToString::to_string),
            sackd: self.sackd,
        }
    }

    /// slurm.conf, where there is one.
    pub(crate) fn slurm_conf(&self) -> Option<&SlurmConf> {
        self.admin.slurm.as_ref()
    }

    /// A key of slurm.conf; where there is none (a login host without slurm.conf), of what runs.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        match self.slurm_conf() {
            Some(conf) => conf.get(key),
            None => self.running.get(key),
        }
    }

    /// slurmdbd.conf, where there is one that can be read.
    pub(crate) fn dbd(&self) -> Option<&SlurmConf> {
        self.dbd.as_ref().ok()?.as_ref()
    }

    /// Whether slurmdbd speaks TLS.
    pub(crate) fn dbd_tls_is_on(&self) -> bool {
        self.dbd().is_some_and(|conf| is_tls(conf.get("TLSType")))
    }

    /// Whether Slurm's daemons speak TLS, as slurm.conf has it; on slurmdbd's own host, as slurmdbd.conf has it.
    pub(crate) fn tls_is_on(&self) -> bool {
        match (self.slurm_conf(), self.dbd()) {
            (None, Some(_)) => self.dbd_tls_is_on(),
            _ => is_tls(self.get("TLSType")),
        }
    }

    /// Whether nodes ask slurmctld for their certificates.
    pub(crate) fn certmgr_is_on(&self) -> bool {
        self.tls_is_on() && self.get("CertmgrType").is_some()
    }

    /// SlurmdSpoolDir of a node.
    pub(crate) fn spool_dir(&self, node: &NodeName) -> PathBuf {
        let folder = self.get("SlurmdSpoolDir").unwrap_or(SPOOL);
        let host = String::from_utf8_lossy(&host::short()).into_owned();
        PathBuf::from(folder.replace("%n", node.as_str()).replace("%h", &host))
    }

    /// `[daemons.X]` of the config.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(crate) fn daemon(&self, daemon: Daemon) -> anyhow::Result<DaemonConfig> {
        DaemonConfig::read(&self.admin.config, &self.admin.controller, daemon).advise()
    }
}

fn is_tls(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("tls/s2n"))
}

fn is_this_host(member: &Member) -> bool {
    members::is_this_host(&member.host)
}
