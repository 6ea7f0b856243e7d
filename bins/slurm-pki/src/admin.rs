//! The site as an admin sees it: the whole config, Slurm's user and the cluster's name.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use site::config::{ConfigFile, ControllerConfig, Place, TopLevel, VaultConfig};
use site::file::{Owner, make_folder};
use site::store::Store;

use crate::advice::{Advice, Advise as _};
use crate::daemon_files;
use crate::global::Global;
use crate::slurm_conf::SlurmConf;

/// Users of the cluster may go through it.
pub(crate) const STATE_DIR_MODE: u32 = 0o755;

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
    /// Reads config and slurm.conf. The admin command refuses unknown keys anywhere. A daemon's pair that a killed run
    /// left half changed is put right.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn load(global: &Global) -> anyhow::Result<Self> {
        let config = match &global.config {
            Some(path) => ConfigFile::load_from(path),
            None => ConfigFile::load(),
        }
        .advise()?;
        let admin = Self::of(config, SlurmConf::load()?)?;
        daemon_files::repair_all(global, &admin);
        Ok(admin)
    }

    /// The same for a config that was read, or is about to be written.
    ///
    /// # Errors
    /// When it has an unknown key, or a value without a meaning.
    pub(crate) fn of(config: ConfigFile, slurm: Option<SlurmConf>) -> anyhow::Result<Self> {
        config.refuse_unknown().advise()?;
        let controller = ControllerConfig::read(&config).advise()?;
        let admin = Self { config, controller, slurm };
        admin.refuse_links_of_others()?;
        // Who cannot be named owns nothing here yet; commands that need SlurmUser say so themselves.
        if let Ok(owner) = admin.slurm_user() {
            site::trust::slurm_user(owner.uid);
        }
        Ok(admin)
    }

    /// SlurmUser could have put links in the place of these folders, for root to write somewhere else.
    fn refuse_links_of_others(&self) -> anyhow::Result<()> {
        let files = &self.controller;
        let state_dir = &files.top.state_dir;
        let last = files.ledger.join("last");
        let (outgoing, rehearsal) = (state_dir.join("outgoing"), state_dir.join("rehearsal"));
        let keys = [&files.ca_key, &files.ca_chain].into_iter().filter_map(|path| path.parent());
        let folders = [files.tokens.as_path(), &last, &outgoing, &rehearsal];
        keys.chain(folders).try_for_each(refuse_links_of_others)
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

    /// The store that the config names, to read and to write.
    ///
    /// # Errors
    /// When it is in Vault and `[vault]` does not mean anything.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        match self.controller.store {
            Place::Local => Ok(Store::of(&self.controller)),
            Place::Vault => {
                let records = signer::Records::of(VaultConfig::read(&self.config).advise()?);
                Ok(Store::elsewhere(&self.controller, Box::new(records)))
            }
        }
    }

    /// Slurm's user, to whom everything below state_dir belongs. Only the admin command looks users up.
    ///
    /// # Errors
    /// When neither config nor slurm.conf names it, or the host does not know it.
    pub(crate) fn slurm_user(&self) -> anyhow::Result<Owner> {
        // Slurm's own default is root (slurm.conf(5)).
        let from_slurm = || Some(self.slurm.as_ref()?.get("SlurmUser").unwrap_or("root").to_owned());
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

    /// SlurmUser, for a command that makes files which must be SlurmUser's.
    ///
    /// # Errors
    /// As [`slurm_user`](Self::slurm_user), and when the caller is neither root nor SlurmUser.
    pub(crate) fn slurm_user_to_write_for(&self) -> anyhow::Result<Owner> {
        let owner = self.slurm_user()?;
        let uid = caller().uid;
        if uid == 0 || uid == owner.uid {
            return Ok(owner);
        }
        let name = owner_name(owner);
        Err(Advice::new(
            format!("what this makes must belong to {name}, and you cannot give files away"),
            format!("run it as root, or as {name}"),
        )
        .into())
    }
}

/// Root goes to a folder through no link but root's own. Asked early, for a refusal before anything is begun: what is
/// written goes there in the same way (`site::folder`), whatever was exchanged since.
///
/// # Errors
/// When somebody else's link is on the way.
pub(crate) fn refuse_links_of_others(folder: &Path) -> anyhow::Result<()> {
    site::folder::refuse_links_of_others(folder).advise()
}

/// Makes a folder below state_dir, and state_dir itself as `init` does: a command may come before it.
///
/// # Errors
/// When one of them cannot be made.
pub(crate) fn make_below(
    state_dir: &Path,
    folder: &Path,
    mode: u32,
    owner: Option<Owner>,
) -> anyhow::Result<()> {
    make_folder(state_dir, STATE_DIR_MODE, owner).advise()?;
    make_folder(folder, mode, owner).advise()
}

/// The config file that this command line means, there or not.
pub(crate) fn config_path(global: &Global) -> PathBuf {
    let from_environment = || std::env::var_os(site::config::VARIABLE).filter(|name| !name.is_empty());
    let named = global.config.clone().or_else(|| from_environment().map(PathBuf::from));
    named.unwrap_or_else(|| site::config::DEFAULT_PATH.into())
}

/// An owner's name, or number where this host has no name for it.
pub(crate) fn owner_name(owner: Owner) -> String {
    let user = User::from_uid(Uid::from_raw(owner.uid)).ok().flatten();
    user.map_or_else(|| owner.uid.to_string(), |user| user.name)
}

/// The name of an owner's group, or its number where this host has no name for it.
pub(crate) fn group_name(owner: Owner) -> String {
    let group = Group::from_gid(Gid::from_raw(owner.gid)).ok().flatten();
    group.map_or_else(|| owner.gid.to_string(), |group| group.name)
}

/// Looks a user up, by name or number.
///
/// # Errors
/// When the host does not know it.
pub(crate) fn owner_named(name: &str) -> anyhow::Result<Owner> {
    // Whoever runs this is there, whether the host has a name for them (in a container) or not.
    if name == caller().uid.to_string() {
        return Ok(caller());
    }
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
