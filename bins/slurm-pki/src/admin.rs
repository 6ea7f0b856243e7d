//! The site as an admin sees it: the whole config, Slurm's user and the cluster's name.

use nix::unistd::{Gid, Uid, User};
use site::config::{ConfigFile, ControllerConfig, TopLevel};
use site::file::Owner;

use crate::advice::{Advice, Advise as _};
use crate::cli::Global;
use crate::slurm_conf::SlurmConf;

/// Everything a command needs to know about the site.
#[derive(Debug)]
pub(crate) struct Admin {
    /// The config file.
    pub(crate) config: ConfigFile,
    /// Its `[controller]` section; the top-level keys are in it.
    pub(crate) controller: ControllerConfig,
    /// slurm.conf, where there is one.
    pub(crate) slurm: Option<SlurmConf>,
}

impl Admin {
    /// Reads config and slurm.conf. The admin command refuses unknown keys anywhere.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn load(global: &Global) -> anyhow::Result<Self> {
        let config = match &global.config {
            Some(path) => ConfigFile::load_from(path),
            None => ConfigFile::load(),
        }
        .advise()?;
        config.refuse_unknown().advise()?;
        let controller = ControllerConfig::read(&config).advise()?;
        Ok(Self { config, controller, slurm: SlurmConf::load()? })
    }

    /// The top-level keys.
    pub(crate) fn top(&self) -> &TopLevel {
        &self.controller.top
    }

    /// The cluster's name: the config's, slurm.conf's, else "slurm".
    pub(crate) fn cluster(&self) -> String {
        let from_slurm = || self.slurm.as_ref()?.get("ClusterName").map(str::to_owned);
        self.top().cluster.clone().or_else(from_slurm).unwrap_or_else(|| "slurm".into())
    }

    /// Slurm's user, to whom everything below state_dir belongs. Only the admin command looks users up.
    ///
    /// # Errors
    /// When neither config nor slurm.conf names it, or the host does not know it.
    pub(crate) fn slurm_user(&self) -> anyhow::Result<Owner> {
        let from_slurm = || self.slurm.as_ref()?.get("SlurmUser").map(str::to_owned);
        let name = self.top().slurm_user.clone().or_else(from_slurm).ok_or_else(|| {
            Advice::new(
                "nobody says who SlurmUser is: there is no slurm.conf here",
                format!(
                    "set slurm_user = \"slurm\" (or whoever runs slurmctld) in {}",
                    self.config.path().display()
                ),
            )
        })?;
        owner_named(&name)
    }
}

/// Looks a user up, by name or number.
///
/// # Errors
/// When the host does not know it.
pub(crate) fn owner_named(name: &str) -> anyhow::Result<Owner> {
    let user = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid))?,
        Err(_) => User::from_name(name)?,
    };
    match user {
        Some(user) => Ok(Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
        None => Err(Advice::new(
            format!("this host knows no user {name}"),
            "create it as on the other hosts of the cluster, with the same uid everywhere",
        )
        .into()),
    }
}

/// Whoever runs this command.
pub(crate) fn caller() -> Owner {
    Owner { uid: Uid::effective().as_raw(), gid: Gid::effective().as_raw() }
}
