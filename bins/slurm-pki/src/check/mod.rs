//! `slurm-pki check`: the one doctor, and the one monitor. Every trap in the last table of docs/check.md that files,
//! or a running slurmctld, can show, each with what to do.

mod access;
mod ca;
mod conf;
mod expiry;
mod files;
mod finding;
mod fleet;
mod host;
mod in_time;
mod keys;
mod node;
mod rehearsal;
pub(crate) mod running;
mod scene;
mod shown;
mod tls_files;
mod vault;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pki::name::NodeName;
use site::config::{CheckConfig, ConfigFile};

use crate::admin::Admin;
use crate::advice::{Advice, Advise as _};
use crate::daemon_files;
use crate::exit::Exit;
use crate::fleet::quoted;
use crate::global::Global;
use crate::moment;
use crate::slurm_conf::SlurmConf;
use finding::{Findings, Group, Severity};
use in_time::{Progress, Seen};
pub(crate) use keys::{key_ids, must_load};
use scene::{HostRoot, Roles, Scene};

/// What looks at one part.
type Look = fn(&Scene, &mut Findings);

/// Nagios itself gives a plugin a minute.
pub(crate) const LIMIT: Duration = Duration::from_secs(50);

/// Other hosts take their time, each of them as much as `[fleet] timeout` gives it.
const LIMIT_OF_FLEET: Duration = Duration::from_secs(24 * 3600);

/// Where a configless slurmd, or sackd and its clients, keep slurm.conf (docs/slurm-contract.md 3.1).
const CONFIGLESS: [&str; 2] = ["/var/spool/slurmd/conf-cache/slurm.conf", "/run/slurm/conf/slurm.conf"];

/// Look for everything that is wrong, or will be, and say what to do; for people and for Nagios
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "It finds out by what is there whether this host is a controller, a node or a login host, and \
    says what it did not look at. What it finds is left as it is. The rehearsal leaves one mark (see rehearse); and as \
    with other commands, a renewal of a daemon's pair that was killed half way is ended first, which \
    is said on stderr; with --dry-run it is only said.\n\n\
    The first line is a summary. --warn and --critical are how long before its end a certificate is worth a word: at \
    most a quarter, and a tenth, of its life.\n\n\
    Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown, or wrong usage.\n\n\
    Examples:\n  \
    slurm-pki check\n  \
    slurm-pki check --only conf,ca\n  \
    slurm-pki check --fleet                               the backup controllers too\n  \
    slurm-pki check --quiet --warn 60d --critical 14d     one line, for a monitor\n  \
    slurm-pki check --skip hidepid                        a risk that this site takes\n  \
    slurm-pki check --json | jq -r '.data.findings[] | select(.severity != \"ok\") | .code'"
)]
pub(crate) struct Check {
    /// Only these parts
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Group>,
    /// Findings that do not count, by their code; they are told all the same
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    skip: Vec<String>,
    /// How long before an end to warn; else warn under check in the config, 30d
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    warn: Option<Duration>,
    /// How long before an end it is critical; else critical under check in the config, 7d
    #[arg(long, value_name = "TIME", value_parser = moment::parse_span)]
    critical: Option<Duration>,
    /// The node's NodeName, where that is not the host's name
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Run check on the other controllers too, through the site's tools ([fleet]), with the same --skip, --warn, --critical
    #[arg(long)]
    fleet: bool,
    /// Do not run the programs
    #[arg(long)]
    no_rehearsal: bool,
    /// How long it may take, 50s; with --fleet a day. After that the answer is unknown, and what was found
    #[arg(long, value_name = "TIME", value_parser = moment::parse_limit)]
    timeout: Option<Duration>,
    /// List what is well, too
    #[arg(long)]
    all: bool,
    /// Where a container sees the host's own files (units, audit rules, trust store, /proc)
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    host_root: PathBuf,
    /// Whether this is `vault check`.
    #[arg(skip)]
    is_of_vault: bool,
}

/// What `conf check` is told.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OfConf {
    /// Findings that do not count, by their code; they are told all the same
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    skip: Vec<String>,
    /// The node's NodeName, where that is not the host's name
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// List what is well, too
    #[arg(long)]
    all: bool,
}

impl Check {
    /// `conf check`: the part of slurm.conf alone.
    pub(crate) fn of_conf(options: &OfConf) -> Self {
        let OfConf { skip, node, all } = options.clone();
        Self {
            only: vec![Group::Conf],
            skip,
            warn: None,
            critical: None,
            node,
            fleet: false,
            no_rehearsal: true,
            timeout: None,
            all,
            host_root: PathBuf::from("/"),
            is_of_vault: false,
        }
    }

    /// `vault check`: the part of Vault alone, in use yet or not.
    pub(crate) fn of_vault(
        skip: &[String],
        warn: Option<Duration>,
        critical: Option<Duration>,
        all: bool,
    ) -> Self {
        let only = vec![Group::Vault];
        let options = OfConf { skip: skip.to_vec(), all, ..OfConf::default() };
        Self { only, warn, critical, is_of_vault: true, ..Self::of_conf(&options) }
    }

    /// Looks, and says. The exit code is the answer.
    ///
    /// # Errors
    /// When the command line means nothing.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let given = self.node.as_deref().map(|name| NodeName::parse(name.as_bytes())).transpose().usage()?;
        let nothing = (Findings::new(&self.skip), Roles::default());
        let (own, of_all) = (self.clone(), global.clone());
        let look = move |progress: &Progress| own.whole(&of_all, given.as_ref(), progress);
        let (found, roles) = in_time::run(self.limit(), nothing, look)?;
        let schema = if self.is_of_vault { "slurm-pki.vault.check.v1" } else { "slurm-pki.check.v1" };
        shown::show(global, schema, &found, &roles, self.all)?;
        Ok(Exit(found.worst().code()))
    }

    fn whole(&self, global: &Global, given: Option<&NodeName>, progress: &Progress) -> anyhow::Result<Seen> {
        let mut found = Findings::new(&self.skip);
        match self.scene(global, given) {
            Ok(scene) => {
                self.look(global, &scene, progress, &mut found);
                Ok((found, scene.roles()))
            }
            Err(e) if is_usage(&e) => Err(e),
            Err(e) => {
                found.begin(Group::Files);
                found.error(Severity::Critical, "config", &e);
                found.not_looked_at("everything else: not before this is mended");
                Ok((found, Roles::default()))
            }
        }
    }

    fn scene(&self, global: &Global, given: Option<&NodeName>) -> anyhow::Result<Scene> {
        let config = match &global.config {
            Some(path) => ConfigFile::load_from(path),
            None => ConfigFile::load(),
        }
        .advise()?;
        let admin = Admin::of(config, slurm_conf()?)?;
        // As every command does: a daemon that starts before somebody does it would find a key of another pair.
        daemon_files::repair_all(global, &admin);
        let thresholds = self.thresholds(&admin.config)?;
        let ask = [Group::Conf, Group::Node, Group::Keys].into_iter().any(|group| self.wants(group));
        let ask = ask.then(|| running::patience(self.limit()));
        Scene::of(admin, ask, HostRoot::new(&self.host_root), thresholds, given)
    }

    fn look(&self, global: &Global, scene: &Scene, progress: &Progress, found: &mut Findings) {
        let parts: [(Group, &str, Look); 6] = [
            (Group::Conf, "conf", conf::look),
            (Group::Files, "files", files::look),
            (Group::Ca, "ca", ca::look),
            (Group::Host, "host", host::look),
            (Group::Node, "node", node::look),
            (Group::Keys, "keys", keys::look),
        ];
        let roles = scene.roles();
        for (_, name, look) in parts.iter().filter(|(group, ..)| self.wants(*group)) {
            progress.next(name, found, &roles);
            look(scene, found);
        }
        progress.next("vault, rehearsal and fleet", found, &roles);
        if self.only.contains(&Group::Vault)
            || (self.wants(Group::Vault) && scene.controller && vault::is_in_use(scene))
        {
            vault::look(scene, global, found);
        }
        if self.is_of_vault {
            return;
        }
        if self.wants(Group::Rehearsal) && !self.no_rehearsal && !global.dry_run {
            rehearsal::look(scene, found);
        } else {
            found.not_looked_at("a rehearsal of this host's programs: not wanted");
        }
        fleet::look(scene, global, self.wants_fleet().then(|| self.for_others(&scene.thresholds)), found);
    }

    /// What a check on another controller is told of this one's command line, for its shell.
    fn for_others(&self, thresholds: &CheckConfig) -> String {
        let mut options: String = self.skip.iter().map(|code| format!(" --skip={}", quoted(code))).collect();
        // One alone could be out of order with the other one there.
        if self.warn.or(self.critical).is_some() {
            let seconds = |span: Duration| span.as_secs();
            let (warn, critical) = (seconds(thresholds.warn), seconds(thresholds.critical));
            options += &format!(" --warn={warn}s --critical={critical}s");
        }
        options
    }

    fn limit(&self) -> Duration {
        self.timeout.unwrap_or(if self.wants_fleet() { LIMIT_OF_FLEET } else { LIMIT })
    }

    fn wants_fleet(&self) -> bool {
        self.fleet || self.only.contains(&Group::Fleet)
    }

    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }

    fn thresholds(&self, config: &ConfigFile) -> anyhow::Result<CheckConfig> {
        let from_config = CheckConfig::read(config).advise()?;
        let warn = self.warn.unwrap_or(from_config.warn);
        let critical = self.critical.unwrap_or_else(|| from_config.critical.min(warn));
        if critical > warn {
            return Err(Advice {
                usage: true,
                ..Advice::new("--critical is longer than --warn", "swap them")
            }
            .into());
        }
        Ok(CheckConfig { warn, critical, ..from_config })
    }
}

/// The site's slurm.conf, else what a configless daemon of this host was given.
fn slurm_conf() -> anyhow::Result<Option<SlurmConf>> {
    if let Some(conf) = SlurmConf::load()? {
        return Ok(Some(conf));
    }
    if std::env::var_os("SLURM_CONF").is_some_and(|name| !name.is_empty()) {
        return Ok(None);
    }
    for path in CONFIGLESS {
        if let Some(conf) = SlurmConf::load_from(Path::new(path))? {
            return Ok(Some(conf));
        }
    }
    Ok(None)
}

fn is_usage(e: &anyhow::Error) -> bool {
    e.chain().filter_map(|cause| cause.downcast_ref::<Advice>()).any(|advice| advice.usage)
}
