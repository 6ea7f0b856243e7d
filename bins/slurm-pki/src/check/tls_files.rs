//! Which files Slurm loads: those of TLSParameters, else its own names beside slurm.conf (docs/slurm-contract.md 3.1).

use std::path::{Path, PathBuf};

use site::config::Daemon;
use site::host;

use super::scene::Scene;
use crate::parameters::Parameters;
use crate::slurm_conf::SlurmConf;

/// What every host trusts.
pub(super) fn ca_cert(scene: &Scene) -> PathBuf {
    let conf = scene.slurm_conf().or(scene.dbd());
    let value = conf.map_or_else(|| scene.get("TLSParameters"), |conf| conf.get("TLSParameters"));
    let named = Parameters::of(value).get("ca_cert_file");
    in_folder(scene, conf, named.unwrap_or("ca_cert.pem"))
}

/// A daemon's certificate and key.
pub(super) fn pair(scene: &Scene, daemon: Daemon) -> (PathBuf, PathBuf) {
    let (conf, value) = match daemon {
        Daemon::Dbd => {
            let conf = scene.dbd();
            (conf.or(scene.slurm_conf()), conf.and_then(|conf| conf.get("TLSParameters")))
        }
        _ => (scene.slurm_conf(), scene.get("TLSParameters")),
    };
    let file = |ending: &str| {
        let key = format!("{}_{ending}_file", daemon.short());
        let default = format!("{}_{ending}.pem", daemon.short());
        let named = Parameters::of(value).get(&key).unwrap_or(&default);
        in_folder(scene, conf, &expanded(scene, daemon, named))
    };
    (file("cert"), file("cert_key"))
}

/// Whether a slurm.conf is a configless daemon's copy.
pub(super) fn is_fetched(conf: &Path) -> bool {
    conf.components().any(|part| part.as_os_str() == "conf-cache") || conf.starts_with("/run/slurm/conf")
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

fn in_folder(scene: &Scene, conf: Option<&SlurmConf>, name: &str) -> PathBuf {
    let beside = conf.map_or(scene.admin.controller.ca_cert.as_path(), SlurmConf::path);
    beside.parent().unwrap_or(Path::new("/")).join(name)
}
