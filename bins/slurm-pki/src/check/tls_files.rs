//! Which files Slurm loads: those of TLSParameters, else its own names beside slurm.conf (docs/slurm-contract.md 3.1).

use std::path::{Path, PathBuf};

use site::config::Daemon;
use site::host;

use super::scene::Scene;
use crate::parameters::Parameters;
use crate::slurm_conf::SlurmConf;

/// slurmdbd.conf, where it lies beside slurm.conf.
///
/// # Errors
/// When it is there and cannot be read.
pub(super) fn slurmdbd_conf(scene: &Scene) -> anyhow::Result<Option<SlurmConf>> {
    match scene.slurm_conf() {
        Some(conf) => SlurmConf::load_from(&conf.path().with_file_name("slurmdbd.conf")),
        None => Ok(None),
    }
}

/// What every host trusts.
pub(super) fn ca_cert(scene: &Scene) -> PathBuf {
    let named = Parameters::of(scene.get("TLSParameters")).get("ca_cert_file");
    in_folder(scene, named.unwrap_or("ca_cert.pem"))
}

/// A daemon's certificate and key.
pub(super) fn pair(scene: &Scene, daemon: Daemon) -> (PathBuf, PathBuf) {
    let dbd = (daemon == Daemon::Dbd).then(|| slurmdbd_conf(scene).ok().flatten()).flatten();
    let value = match (&dbd, daemon) {
        (Some(conf), _) => conf.get("TLSParameters"),
        (None, Daemon::Dbd) => None,
        (None, _) => scene.get("TLSParameters"),
    };
    let file = |ending: &str| {
        let key = format!("{}_{ending}_file", daemon.short());
        let default = format!("{}_{ending}.pem", daemon.short());
        let named = Parameters::of(value).get(&key).unwrap_or(&default);
        in_folder(scene, &expanded(scene, daemon, named))
    };
    (file("cert"), file("cert_key"))
}

/// `%h` and `%n` mean something in slurmd's names alone.
fn expanded(scene: &Scene, daemon: Daemon, name: &str) -> String {
    if daemon != Daemon::Slurmd {
        return name.to_owned();
    }
    let host = String::from_utf8_lossy(&host::short()).into_owned();
    let node = scene.node.as_ref().map_or(host.as_str(), pki::name::NodeName::as_str);
    name.replace("%n", node).replace("%h", &host)
}

fn in_folder(scene: &Scene, name: &str) -> PathBuf {
    let beside = scene.slurm_conf().map_or(scene.admin.controller.ca_cert.as_path(), SlurmConf::path);
    beside.parent().unwrap_or(Path::new("/")).join(name)
}
