//! The config that `init` writes where there is none.

use std::path::{Path, PathBuf};

use clap::Args;
use site::config::ConfigFile;

use crate::admin::{self, Admin};
use crate::advice::{Advice, Advise as _};
use crate::daemon_files;
use crate::global::Global;
use crate::slurm_conf::SlurmConf;

/// The folder that the defaults of the config mean.
const DEFAULT_FOLDER: &str = "/etc/slurm";

/// Longest cluster name: it stands in the CA's common name.
const MAX_CLUSTER: usize = 40;

/// What a new config is to say.
#[derive(Args, Clone, Debug)]
pub(super) struct NewConfig {
    /// Name of the cluster; default: ClusterName of slurm.conf
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// SlurmUser, for a config that is still to be written; default: that of slurm.conf
    #[arg(long, value_name = "USER")]
    slurm_user: Option<String>,
    /// Folder of CA key, token store and ledger, for a config that is still to be written
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl NewConfig {
    /// The site by the config that is there, or by the one whose text comes with it.
    ///
    /// # Errors
    /// When the config that is there says something else than the options, or SlurmUser is unknown.
    pub(super) fn config(&self, global: &Global) -> anyhow::Result<(Admin, Option<String>)> {
        let path = admin::config_path(global);
        if path.symlink_metadata().is_ok() {
            let admin = Admin::load(global)?;
            self.agrees_with(&admin)?;
            return Ok((admin, None));
        }
        let slurm = SlurmConf::load()?;
        let text = self.text(slurm.as_ref())?;
        let config = ConfigFile::parse(&path, text.as_bytes()).advise()?;
        let admin = Admin::of(config, slurm)?;
        // A host that is restored may have a pair that was half renewed, and its config not yet.
        daemon_files::repair_all(global, &admin);
        Ok((admin, Some(text)))
    }

    fn agrees_with(&self, admin: &Admin) -> anyhow::Result<()> {
        let top = admin.top();
        let cluster = self.cluster.as_ref().is_none_or(|name| *name == admin.cluster());
        let user = self.slurm_user.as_ref().is_none_or(|user| Some(user) == top.slurm_user.as_ref());
        let state_dir = self.state_dir.as_ref().is_none_or(|folder| *folder == top.state_dir);
        for (key, agrees) in [("cluster", cluster), ("slurm_user", user), ("state_dir", state_dir)] {
            if !agrees {
                let path = admin.config.path().display();
                return Err(Advice::new(
                    format!("{path} does not say what --{} says", key.replace('_', "-")),
                    format!("set {key} in {path}, or leave the option out"),
                )
                .into());
            }
        }
        Ok(())
    }

    fn text(&self, slurm: Option<&SlurmConf>) -> anyhow::Result<String> {
        let from_slurm = |key: &str| slurm.and_then(|slurm| slurm.get(key)).map(str::to_owned);
        let cluster = self.cluster.clone().or_else(|| from_slurm("ClusterName"));
        let cluster = cluster.unwrap_or_else(|| "slurm".into());
        if !(1..=MAX_CLUSTER).contains(&cluster.chars().count()) || cluster.chars().any(char::is_control) {
            return Err(Advice::new(
                "that is no name for a cluster",
                format!("give 1 to {MAX_CLUSTER} characters, as in ClusterName of slurm.conf"),
            )
            .into());
        }
        let user = self.slurm_user.clone().or_else(|| from_slurm("SlurmUser"));
        let user = user.or_else(|| slurm.map(|_| "root".into())).ok_or_else(|| {
            Advice::new(
                "nobody says who SlurmUser is: there is no slurm.conf here",
                "name whoever runs slurmctld: slurm-pki init --slurm-user slurm",
            )
        })?;
        let mut text = format!(
            "# Trust of this cluster: CA, node tokens, certificates. Every key is explained in the\n\
             # slurm-pki.toml that comes with the package; what is not set here has its default.\n\
             # World-readable, no secrets in it; the same file serves all hosts.\n\n\
             # ClusterName of slurm.conf\n\
             cluster = {}\n\
             # SlurmUser of slurm.conf: owns state_dir\n\
             slurm_user = {}\n\
             # CA key, token store, ledger. With several controllers: on storage that all of them share\n",
            quoted(&cluster)?,
            quoted(&user)?,
        );
        text += &match &self.state_dir {
            Some(folder) => format!("state_dir = {}\n", quoted(path_text(folder)?)?),
            None => "#state_dir = \"/var/lib/slurm-pki\"\n".into(),
        };
        text += &ca_cert_line(slurm)?;
        Ok(text)
    }
}

/// Slurm looks for ca_cert.pem beside slurm.conf.
fn ca_cert_line(slurm: Option<&SlurmConf>) -> anyhow::Result<String> {
    let folder = slurm.and_then(|slurm| slurm.path().parent()).unwrap_or(Path::new(DEFAULT_FOLDER));
    let comment = "\n[controller]\n# What every host trusts\n";
    if folder == Path::new(DEFAULT_FOLDER) || !folder.is_absolute() {
        return Ok(format!("{comment}#ca_cert = \"{DEFAULT_FOLDER}/ca_cert.pem\"\n"));
    }
    let path = folder.join("ca_cert.pem");
    Ok(format!("{comment}ca_cert = {}\n", quoted(path_text(&path)?)?))
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    let text = path.to_str().filter(|_| path.is_absolute());
    text.ok_or_else(|| {
        Advice::new(
            format!("{} is not an absolute path in UTF-8", path.display()),
            "name the folder by its whole path",
        )
        .into()
    })
}

/// A JSON string is a TOML basic string.
fn quoted(text: &str) -> anyhow::Result<String> {
    Ok(serde_json::to_string(text)?)
}
